"""/functions/v1: passes requests on to the Deno process, streaming both ways."""

from __future__ import annotations

import re

import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from opsroom.local.gateway.errors import ApiError
from opsroom.local.gateway.identity import Gatekeeper
from opsroom.local.gateway.settings import Settings

_NAME = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
# Headers that belong to one hop (RFC 9110, 7.6.1), and those httpx writes itself.
_NOT_FORWARDED = frozenset(
    (
        "connection",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
    )
)


class FunctionsProxy:
    def __init__(self, gatekeeper: Gatekeeper, settings: Settings) -> None:
        self._gatekeeper = gatekeeper
        self._settings = settings
        self.client = httpx.AsyncClient(base_url=settings.functions_url, timeout=httpx.Timeout(150, connect=5))

    def routes(self) -> list[Route]:
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
        return [
            Route("/{name}", self.forward, methods=methods),
            Route("/{name}/{rest:path}", self.forward, methods=methods),
        ]

    async def forward(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not _NAME.match(name):
            raise ApiError(404, {"code": "NOT_FOUND", "message": "Requested function was not found"})
        if name not in self._settings.functions_without_jwt:
            self._gatekeeper.caller_of(request.headers, request.query_params)
        path = "/" + name + ("/" + request.path_params["rest"] if "rest" in request.path_params else "")
        try:
            address = httpx.URL(path=path, query=request.scope["query_string"])
        except httpx.InvalidURL as error:
            raise ApiError(404, {"code": "NOT_FOUND", "message": f"No function has this path: {error}"}) from error
        headers = [(key, value) for key, value in request.headers.items() if key not in _NOT_FORWARDED]
        headers += [("x-forwarded-host", request.url.netloc), ("x-forwarded-proto", request.url.scheme)]
        upstream = self.client.build_request(
            request.method,
            address,
            headers=headers,
            content=request.stream() if request.method not in ("GET", "HEAD") else None,
        )
        try:
            answer = await self.client.send(upstream, stream=True)
        except httpx.TransportError as error:
            raise ApiError(
                503, {"code": "BOOT_ERROR", "message": "The function runtime does not answer: see .opsroom/logs"}
            ) from error
        kept = {key: value for key, value in answer.headers.items() if key not in _NOT_FORWARDED}
        return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=BackgroundTask(answer.aclose))
