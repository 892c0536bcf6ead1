"""Artifacts shown inside the page: small texts only, and nothing in them that a browser would run."""

import contextlib
import html
import json
from typing import Final

import nh3
from markdown_it import MarkdownIt

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Artifact
from opsroom.domain.errors import InvalidArgument
from opsroom.room.present_run import PREVIEW_BYTES

_markdown: Final = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_TAGS: Final = nh3.ALLOWED_TAGS - {"img", "map", "area"}


async def preview(room: ControlPlane, artifact: Artifact) -> str:
    """Safe HTML for an artifact. Raises InvalidArgument when it is too large."""
    if artifact.kind == "image":
        source = f"/api/runs/{artifact.run_id}/artifacts/{artifact.id}?inline"
        return f'<img src="{html.escape(source)}" alt="{html.escape(artifact.name)}">'
    if (artifact.size_bytes or 0) > PREVIEW_BYTES:
        raise InvalidArgument(f"{artifact.name} is too large to show here.", hint="Download it.")
    async with room.open_artifact(artifact) as chunks:
        raw = b"".join([chunk async for chunk in chunks])
    return as_html(artifact.kind, raw.decode(errors="replace"))


def as_html(kind: str, text: str) -> str:
    """Text of a kind of artifact as safe HTML: Markdown is rendered and cleaned, all else is shown as it is."""
    if kind == "markdown":
        cleaned = nh3.clean(_markdown.render(text), tags=_TAGS, link_rel="noopener noreferrer")
        return f'<div class="prose">{cleaned}</div>'
    if kind == "json":
        with contextlib.suppress(ValueError):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return f"<pre>{html.escape(text)}</pre>"
