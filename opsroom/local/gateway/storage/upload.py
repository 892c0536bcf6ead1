"""The two forms in which clients send an object: a multipart form, or the plain body."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from opsroom.local.gateway.errors import StorageError
from opsroom.local.gateway.storage.blobs import Blob, Blobs

_CHUNK = 1 << 20
_FORM_OVERHEAD = 128 * 1024


@dataclass(frozen=True)
class Upload:
    blob: Blob
    media_type: str
    cache_control: str
    user_metadata: dict[str, Any] | None


async def receive(request: Request, blobs: Blobs, limit: int) -> Upload:
    """Store what the request carries, `limit` bytes at most. The caller removes the blob when the row is refused."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit + _FORM_OVERHEAD:
        raise StorageError(413, "Payload too large", "The object exceeded the maximum allowed size")
    try:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            return await _receive_form(request, blobs, limit)
        blob = await blobs.write(request.stream(), limit)
    except ClientDisconnect as error:
        raise StorageError(400, "aborted", "The upload was not finished") from error
    return Upload(
        blob,
        request.headers.get("content-type", "application/octet-stream"),
        request.headers.get("cache-control", "no-cache"),
        _metadata_header(request.headers.get("x-metadata")),
    )


async def _receive_form(request: Request, blobs: Blobs, limit: int) -> Upload:
    parser = MultiPartParser(
        request.headers, _limited(request, limit + _FORM_OVERHEAD), max_files=1, max_fields=8, max_part_size=64 * 1024
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise StorageError(400, "invalid_request", f"The form could not be read: {error}") from error
    try:
        file = next((value for value in form.values() if isinstance(value, UploadFile)), None)
        if file is None:
            raise StorageError(400, "invalid_request", "The form has no file")
        blob = await blobs.write(_chunks(file), limit)
        cache = form.get("cacheControl")
        return Upload(
            blob,
            file.content_type or "application/octet-stream",
            f"max-age={cache}" if isinstance(cache, str) and cache.isdecimal() else "no-cache",
            _metadata(form.get("metadata")),
        )
    finally:
        await form.close()


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise StorageError(413, "Payload too large", "The object exceeded the maximum allowed size")
        yield chunk


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK):
        yield chunk


def _metadata_header(text: str | None) -> dict[str, Any] | None:
    try:
        return _metadata(base64.b64decode(text).decode() if text else None)
    except ValueError as error:
        raise StorageError(400, "invalid_request", "x-metadata must be base64 of a JSON object") from error


def _metadata(text: object) -> dict[str, Any] | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StorageError(400, "invalid_request", "metadata must be a JSON object") from error
    return value if isinstance(value, dict) else None
