"""A relay in front of the gateway that can shut Realtime alone: sockets break and no new one comes through, while all
other requests go on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opsroom.local.paths import free_port


@dataclass
class Door:
    """The relay on `port`, in front of `target`, a port of this machine."""

    target: int
    port: int = field(default_factory=free_port)
    shut: bool = False
    _sockets: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def shut_realtime(self) -> None:
        """Break all sockets and let none through."""
        self.shut = True
        for socket in list(self._sockets):
            socket.transport.abort()

    def open_realtime(self) -> None:
        """Let sockets through again."""
        self.shut = False

    async def serve(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n")
            realtime = b" /realtime/" in head
            if not (realtime and self.shut):
                back, far = await asyncio.open_connection("127.0.0.1", self.target)
                far.write(head)
                if realtime:
                    self._sockets.add(near)
                ways = {asyncio.create_task(_pipe(reader, far)), asyncio.create_task(_pipe(back, near))}
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
        self._sockets.discard(near)
        for writer in (near, far):
            if writer is not None:
                writer.transport.abort()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def open_door(target: int) -> AsyncIterator[Door]:
    """A door that is open."""
    door = Door(target)
    server = await asyncio.start_server(door.serve, "127.0.0.1", door.port)
    try:
        yield door
    finally:
        server.close()
