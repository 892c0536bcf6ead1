"""A relay in front of Storage that fails uploads as the test asks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

Fault = Literal["refused", "500", "429", "400", "cut midway", "cut answer", "slow"]


class HttpWire:
    """One request per connection. The next `times` uploads go wrong; everything else passes."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.fault: Fault | None = None
        self.times = 0
        self.hit = 0

    async def __aenter__(self) -> HttpWire:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def next(self, fault: Fault, times: int) -> None:
        self.fault, self.times = fault, times

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._relay(reader, writer)
        writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fault = self.fault if self.times and head.startswith(b"POST /storage") else None
        if fault:
            self.times, self.hit = self.times - 1, self.hit + 1
        if fault == "refused":
            writer.transport.abort()
            return
        lines = [line for line in head.split(b"\r\n") if line]
        length = next(
            (int(v) for k, _, v in (line.partition(b":") for line in lines) if k.lower() == b"content-length"), 0
        )
        if fault == "cut midway":
            await reader.readexactly(length // 2)
            writer.transport.abort()
            return
        body = await reader.readexactly(length)
        if fault in ("500", "429", "400"):
            said = b'{"statusCode":"%s","error":"injected","message":"injected"}' % fault.encode()
            writer.write(b"HTTP/1.1 %s Injected\r\ncontent-type: application/json\r\n" % fault.encode())
            writer.write(b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(said), said))
            await writer.drain()
            return
        if fault == "slow":
            await asyncio.sleep(2)
        kept = [line for line in lines if not line.lower().startswith(b"connection:")]
        far_reader, far = await asyncio.open_connection("127.0.0.1", self._target)
        far.write(b"\r\n".join([*kept, b"connection: close"]) + b"\r\n\r\n" + body)
        answer = b""
        with contextlib.suppress(ConnectionError):  # an early answer: the body is not read to its end
            while chunk := await far_reader.read(65536):
                answer += chunk
        far.close()
        if fault == "cut answer":
            writer.transport.abort()
            return
        writer.write(answer)
        await writer.drain()
