"""The HTTP of artifacts: their bytes, whole or in part, as a download or shown in a box that nothing gets out of; and
what the viewer draws of them.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from opsroom.control_plane.models import Artifact
from opsroom.room.artifact_views import PICTURE_TYPES, shape_of, view_of
from opsroom.room.sign_ins import COOKIE, SignIn, require

_PART: Final = re.compile(r"^bytes=(\d{1,15}-\d{0,15}|-\d{1,15})$")
_NOTHING: Final = "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'"
_BOXED: Final = f"{_NOTHING}; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
"""Shown inside of the page: own styles and own pictures, and no script, no request, no form, no access to the room."""


async def _find(request: Request) -> tuple[SignIn, Artifact | None]:
    signed_in = require(request.cookies.get(COOKIE))
    detail = await signed_in.control_plane.read_run(request.path_params["run_id"])
    wanted = request.path_params["artifact_id"]
    return signed_in, next((item for item in detail.artifacts if item.id == wanted), None)


async def artifact_view(request: Request) -> Response:
    """What the viewer draws of an artifact, as JSON."""
    signed_in, found = await _find(request)
    if found is None:
        return _none()
    return JSONResponse(await view_of(signed_in.control_plane, found), headers={"Cache-Control": "private, no-store"})


async def artifact_bytes(request: Request) -> Response:
    """The bytes of an artifact, read with the person's own token. A download, unless `?inline` asks for a picture or an
    HTML page, which come boxed. Without `Range` they are checked against the digest on record while they are sent, and
    the answer breaks off if they differ; with `Range` they come as the store has them.
    """
    signed_in, found = await _find(request)
    if found is None or found.object_path is None:
        return _none()
    headers, media_type = _headers(found, "inline" in request.query_params)
    part = request.headers.get("range", "")
    stack = AsyncExitStack()
    if _PART.match(part):
        stored = await stack.enter_async_context(signed_in.control_plane.open_artifact_part(found, part))
        for name in ("content-range", "content-length"):
            if name in stored.headers:
                headers[name] = stored.headers[name]
        chunks, status = stored.aiter_raw(64 * 1024), stored.status_code
    else:
        chunks, status = await stack.enter_async_context(signed_in.control_plane.open_artifact(found)), 200
        if found.size_bytes is not None:
            headers["content-length"] = str(found.size_bytes)
    return StreamingResponse(_then_close(chunks, stack), status, headers, media_type)


async def bundle(request: Request) -> Response:
    """The evidence bundle of an ended run, read with the person's own token."""
    room = require(request.cookies.get(COOKIE)).control_plane
    found = await room.bundle(request.path_params["run_id"])
    if found is None:
        return PlainTextResponse("This run has no bundle yet.", status_code=404)
    stack = AsyncExitStack()
    chunks = await stack.enter_async_context(room.open_bundle(found))
    name = f"evidence-{found.run_id}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"', "content-length": str(found.size_bytes)}
    return StreamingResponse(_then_close(chunks, stack), media_type="application/zip", headers=headers)


def _none() -> Response:
    return PlainTextResponse("This run has no such artifact.", status_code=404)


async def _then_close(chunks: AsyncIterator[bytes], stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in chunks:
            yield chunk


def _headers(found: Artifact, inline: bool) -> tuple[dict[str, str], str]:
    """Headers that keep the bytes harmless, whatever their record says of them, and the media type."""
    name = found.name.replace("\\", "/").rsplit("/", 1)[-1]
    plain = re.sub(r"[^\w.\-]", "_", name, flags=re.ASCII) or "artifact"
    shape = shape_of(found) if inline else ""
    media_type, policy, how = "application/octet-stream", _NOTHING, "attachment"
    headers = {"accept-ranges": "bytes", "cache-control": "private, no-store"}
    if shape == "image" and found.media_type in PICTURE_TYPES:
        media_type, policy, how = found.media_type, _BOXED, "inline"
    elif shape == "html":
        media_type, policy, how = "text/html; charset=utf-8", _BOXED, "inline"
        headers["x-frame-options"] = "SAMEORIGIN"
    headers["content-disposition"] = f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    headers["content-security-policy"] = policy
    return headers, media_type
