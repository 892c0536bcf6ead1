"""What the artifact viewer draws of an artifact: read by bounded parts, laid out here, and nothing in it that a browser
would run. The browser gets JSON and shows its texts as text; only Markdown comes as HTML, rendered without raw HTML and
cleaned.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.errors import ArtifactMissing
from opsroom.control_plane.models import Artifact
from opsroom.domain.errors import EvidenceExpired
from opsroom.room.archive_list import NotListed, tar_list, zip_list
from opsroom.room.diff_rows import diff_rows
from opsroom.room.json_rows import json_rows
from opsroom.room.table_rows import table_rows

MB: Final = 1024 * 1024
LAID_OUT_BYTES: Final = 4 * MB
"""A larger document is shown as text, by parts."""
TABLE_BYTES: Final = 2 * MB
ARCHIVE_BYTES: Final = 16 * MB
PICTURE_BYTES: Final = 32 * MB
PAGE_BYTES: Final = 16 * MB

PICTURE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/svg+xml"})
"""Shown by an `<img>`, which runs no script, not even an SVG's."""

_markdown: Final = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_TAGS: Final = nh3.ALLOWED_TAGS - {"img", "map", "area"}
_SUFFIXES: Final = {
    "markdown": (".md", ".markdown"),
    "json": (".json", ".geojson", ".sarif"),
    "diff": (".diff", ".patch"),
    "table": (".csv", ".tsv"),
    "zip": (".zip", ".jar", ".whl", ".apk"),
    "tar": (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"),
    "html": (".html", ".htm"),
    "image": (".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".svg"),
}
_TYPES: Final = {
    "text/markdown": "markdown",
    "application/json": "json",
    "text/x-diff": "diff",
    "text/csv": "table",
    "text/tab-separated-values": "table",
    "application/zip": "zip",
    "application/x-tar": "tar",
    "text/html": "html",
}


def shape_of(artifact: Artifact) -> str:
    """How an artifact is shown: link, markdown, json, diff, table, zip, tar, html, image or text."""
    if artifact.object_path is None:
        return "link"
    by_name = next((shape for shape, ends in _SUFFIXES.items() if artifact.name.lower().endswith(ends)), "")
    media = (artifact.media_type or "").partition(";")[0].strip().lower()
    match artifact.kind:
        case "markdown" | "json" | "diff" | "html":
            return artifact.kind
        case "image":
            return "image" if media in PICTURE_TYPES else "text"
        case "archive":
            return by_name if by_name in ("zip", "tar") else "zip" if media == "application/zip" else "tar"
        case _ if by_name == "image" or media in PICTURE_TYPES:
            return "image" if media in PICTURE_TYPES else "text"
        case _:
            return by_name or _TYPES.get(media, "text")


async def view_of(room: ControlPlane, artifact: Artifact) -> dict[str, Any]:
    """The record of an artifact, the `shape` it is shown in and what that shape needs; `note` says what is left out or
    why another shape was chosen.
    """
    shape, size = shape_of(artifact), artifact.size_bytes or 0
    record = {
        "id": artifact.id,
        "run": artifact.run_id,
        "name": artifact.name,
        "kind": artifact.kind,
        "media_type": artifact.media_type or "",
        "size": size,
        "sha256": artifact.sha256 or "",
        "step": artifact.step or "",
        "at": artifact.created_at.isoformat(),
    }
    try:
        return {**record, "note": "", **await _drawn(room, artifact, shape, size)}
    except ArtifactMissing as error:
        return {**record, "shape": "missing", "note": f"{error.message} {error.hint}"}
    except EvidenceExpired as error:
        return {**record, "shape": "expired", "note": f"{error.message} {error.hint}"}


async def _drawn(  # noqa: PLR0911 - one return per shape
    room: ControlPlane, artifact: Artifact, shape: str, size: int
) -> dict[str, Any]:
    match shape:
        case "link":
            safe = urlsplit(artifact.url or "").scheme in ("http", "https")
            return {"shape": "link", "url": artifact.url or "", "safe": safe}
        case "markdown" | "json" | "diff":
            if size > LAID_OUT_BYTES:
                return _as_text(f"This {shape} is too large to be laid out.")
            text = (await _part(room, artifact, 0, size)).decode(errors="replace")
            return await _laid_out(shape, text)
        case "table":
            head = await _part(room, artifact, 0, min(size, TABLE_BYTES))
            table = await asyncio.to_thread(table_rows, head.decode(errors="replace"), size <= TABLE_BYTES)
            return {"shape": "table", **table}
        case "zip" | "tar":
            return await _archive(room, artifact, shape, size)
        case "image":
            return await _present(room, artifact, "image", size, PICTURE_BYTES)
        case "html":
            return await _present(room, artifact, "html", size, PAGE_BYTES)
        case _:
            return await _present(room, artifact, "text", size, size)


def _as_text(note: str) -> dict[str, Any]:
    return {"shape": "text", "note": f"{note} Shown as text."}


async def _laid_out(shape: str, text: str) -> dict[str, Any]:
    if shape == "markdown":
        return {"shape": "markdown", "html": await asyncio.to_thread(as_prose, text)}
    if shape == "diff":
        return {"shape": "diff", **await asyncio.to_thread(diff_rows, text)}
    try:
        return {"shape": "json", **await asyncio.to_thread(json_rows, text)}
    except ValueError as error:
        return _as_text(f"Not JSON that can be shown as a tree: {error}.")


def as_prose(text: str) -> str:
    """Markdown as safe HTML: raw HTML stays text, pictures from elsewhere are left out, links open apart."""
    cleaned = nh3.clean(
        _markdown.render(text),
        tags=_TAGS,
        link_rel="noopener noreferrer",
        url_schemes={"http", "https", "mailto"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return f'<div class="prose">{cleaned}</div>'


async def _archive(room: ControlPlane, artifact: Artifact, shape: str, size: int) -> dict[str, Any]:
    listing: Callable[[], dict[str, Any]]
    taken = min(size, ARCHIVE_BYTES)
    if shape == "zip":
        tail = await _part(room, artifact, size - taken, taken)
        listing = lambda: zip_list(tail)  # noqa: E731
    else:
        head = await _part(room, artifact, 0, taken)
        listing = lambda: tar_list(head, whole=taken == size)  # noqa: E731
    try:
        return {"shape": "archive", **await asyncio.to_thread(listing)}
    except NotListed as error:
        return {"shape": "binary", "note": f"Not an archive that can be listed: {error}."}


async def _present(room: ControlPlane, artifact: Artifact, shape: str, size: int, limit: int) -> dict[str, Any]:
    """For what the browser reads by itself: see that the store has it, and that it is not too much."""
    await _part(room, artifact, 0, min(1, size))
    if size > limit:
        return {"shape": "binary", "note": "Too large to be shown here. Download it."}
    return {"shape": shape}


async def _part(room: ControlPlane, artifact: Artifact, start: int, length: int) -> bytes:
    """`length` bytes from `start`, never more, whatever the store sends."""
    if length <= 0:
        return b""
    held = bytearray()
    async with room.open_artifact_part(artifact, f"bytes={start}-{start + length - 1}") as response:
        skip = start if response.status_code == 200 else 0  # a store that knows no parts sends all
        async for chunk in response.aiter_bytes(64 * 1024):
            held += chunk[skip:]
            skip = max(0, skip - len(chunk))
            if len(held) >= length:
                break
    return bytes(held[:length])
