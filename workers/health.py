"""The worker's health over HTTP: /healthz (alive), /readyz (will take work), /metrics (Prometheus)."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from workers.metrics import CONTENT_TYPE, Metrics

log = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 5.0
LARGEST_REQUEST: Final = 16 * 1024


class Health:
    """A server for three addresses. Answering at all shows that the event loop turns."""

    def __init__(self, metrics: Metrics, not_ready: Callable[[], str | None], remark: Callable[[], str]) -> None:
        self._metrics = metrics
        self._not_ready = not_ready
        self._remark = remark
        self._server: asyncio.Server | None = None
        self.port: int | None = None

    async def start(self, host: str, port: int) -> None:
        """Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=LARGEST_REQUEST)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("health is served", extra={"host": host, "port": self.port})

    async def close(self) -> None:
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                method, path = (*request.split(b"\r\n", 1)[0].decode("latin-1").split(" "), "", "")[:2]
                status, kind, body = self._answer(method, path.partition("?")[0])
                head = [f"HTTP/1.1 {status.value} {status.phrase}", f"content-type: {kind}"]
                head += [f"content-length: {len(body)}", "connection: close", "", ""]
                writer.write("\r\n".join(head).encode() + (b"" if method == "HEAD" else body))
                await writer.drain()
        writer.close()

    def _answer(self, method: str, path: str) -> tuple[HTTPStatus, str, bytes]:
        text = "text/plain; charset=utf-8"
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, text, b"only GET is answered\n"
        match path:
            case "/healthz":
                return HTTPStatus.OK, text, b"alive\n"
            case "/readyz":
                if reason := self._not_ready():
                    return HTTPStatus.SERVICE_UNAVAILABLE, text, f"not ready: {reason}\n".encode()
                return HTTPStatus.OK, text, f"ready\n{self._remark()}\n".encode()
            case "/metrics":
                return HTTPStatus.OK, CONTENT_TYPE, self._metrics.exposition()
            case _:
                return HTTPStatus.NOT_FOUND, text, b"there are /healthz, /readyz and /metrics\n"
