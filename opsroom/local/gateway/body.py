"""Reading request bodies with a limit."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from opsroom.local.gateway.errors import ApiError
from opsroom.local.gateway.settings import MAX_JSON_BYTES


async def read_body(request: Request, limit: int = MAX_JSON_BYTES) -> bytes:
    """The whole body; 413 as soon as it is known to be larger than `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


async def read_object(request: Request) -> dict[str, Any]:
    """A JSON object; 400 when the body is something else. An empty body is an empty object."""
    raw = await read_body(request)
    try:
        value = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise _not_an_object() from error
    if not isinstance(value, dict):
        raise _not_an_object()
    return value


def _not_an_object() -> ApiError:
    message = "The request body must be a JSON object."
    return ApiError(400, {"code": "bad_json", "error_code": "bad_json", "msg": message, "message": message})


def _too_large(limit: int) -> ApiError:
    message = f"The request body is larger than {limit} bytes."
    return ApiError(413, {"statusCode": "413", "code": "413", "error": "Payload too large", "message": message})
