"""A relay in front of Postgres that the test controls: it cuts, holds, doubles or delays what passes, by name.

It frames the protocol, so a test can say "the answer of `finish_run`, after the server has committed". Nothing in the
product knows of it. A connection is of the kind `heartbeat`, `listen` or `calls`, by what it was used for.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.support.stack import Stack

Do = Literal["hold_request", "cut_request", "hold_answer", "cut_answer", "twice"]
Kind = Literal["heartbeat", "listen", "calls"]

UNTYPED = {80877103: "ssl", 80877104: "gssenc"}


@dataclass
class Trap:
    """Waits for a call whose SQL matches; `reached` is set then, and a held one goes on with `release`."""

    pattern: re.Pattern[bytes]
    do: Do
    left: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    sprung: int = 0

    def release(self) -> None:
        self.released.set()


class _Link:
    """One connection of a worker through the wire."""

    def __init__(self, wire: Wire, near: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._wire = wire
        self._near_reader, self.near = near
        self.kind: Kind = "calls"
        self._answer_trap: Trap | None = None
        self._swallow = 0

    async def serve(self) -> None:
        try:
            self._far_reader, self.far = await asyncio.open_connection("127.0.0.1", self._wire.target)
        except OSError:
            self.abort()
            return
        up, down = asyncio.create_task(self._requests()), asyncio.create_task(self._answers())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, OSError):
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        self.abort()

    def abort(self) -> None:
        for writer in (self.near, getattr(self, "far", None)):
            if writer:
                writer.transport.abort()

    async def _requests(self) -> None:
        while True:  # before the first typed message: SSL and GSS requests, then the startup packet
            head = await self._near_reader.readexactly(8)
            length, code = struct.unpack("!ii", head)
            self.far.write(head + await self._near_reader.readexactly(length - 8))
            if code not in UNTYPED:
                break
            self._swallow = 0
        while True:
            head = await self._near_reader.readexactly(5)
            body = await self._near_reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
            await self._wire.open.wait()
            if head[:1] in b"QP":
                await self._spring(head, body)
            else:
                self.far.write(head + body)
            await self.far.drain()

    async def _spring(self, head: bytes, body: bytes) -> None:
        if b'public."heartbeat"(' in body or b"public.heartbeat(" in body:
            self.kind = "heartbeat"
        elif body[:6].lower() == b"listen":
            self.kind = "listen"
        trap = self._wire.trap_for(body)
        if trap is None:
            self.far.write(head + body)
            return
        match trap.do:
            case "cut_request":
                trap.reached.set()
                self.abort()
                raise ConnectionAbortedError
            case "hold_request":
                trap.reached.set()
                await trap.released.wait()
                self.far.write(head + body)
            case "hold_answer" | "cut_answer":
                self._answer_trap = trap
                self.far.write(head + body)
            case "twice":
                self._swallow = 1
                trap.reached.set()
                self.far.write((head + body) * 2)

    async def _answers(self) -> None:
        if await self._plain_prelude():
            return
        pending = b""
        while True:
            head = await self._far_reader.readexactly(5)
            pending += head + await self._far_reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
            if head[:1] == b"A" and self._wire.deaf:
                pending = pending[: -struct.unpack("!i", head[1:])[0] - 1]
                continue
            if (self._answer_trap or self._swallow) and head[:1] != b"Z":
                continue  # the whole answer: only then is the statement's transaction known to be committed
            if self._swallow:
                self._swallow, pending = self._swallow - 1, b""
                continue
            if trap := self._answer_trap:
                self._answer_trap = None
                trap.reached.set()
                if trap.do == "cut_answer":
                    self.abort()
                    return
                await trap.released.wait()
            await self._wire.open.wait()
            self.near.write(pending)
            pending = b""
            await self.near.drain()

    async def _plain_prelude(self) -> bool:
        """The one-letter answers to SSL and GSS requests have no frame. Embedded Postgres says N to both."""
        while True:
            first = await self._far_reader.read(1)
            if not first:
                return True
            if first != b"N":
                rest = await self._far_reader.readexactly(4)
                self.near.write(first + rest + await self._far_reader.readexactly(struct.unpack("!i", rest)[0] - 4))
                return False
            self.near.write(first)
            await self.near.drain()


class Wire:
    """Use as `async with Wire(stack) as wire`; `wire.url` is the worker's way to the database."""

    def __init__(self, stack: Stack, host: str = "127.0.0.1") -> None:
        self.target = stack.postgres.port
        self._host = host
        self._stack = stack
        self._links: set[_Link] = set()
        self._traps: list[Trap] = []
        self._up = True
        self.open = asyncio.Event()
        self.open.set()
        self.deaf = False
        """Whether notifications are dropped on the way, as they are behind a transaction pooler."""
        self.chance: Callable[[bytes], Do | None] | None = None
        """For soaks: asked about every call, may name what is to happen to it."""

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._serve, self._host, 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = self._stack.database_url("worker").replace(
            f"127.0.0.1:{self._stack.postgres.port}/", f"{self._host}:{port}/"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for trap in self._traps:
            trap.release()
        self.cut()
        self._server.close()

    def on(self, function: str, do: Do, times: int = 1) -> Trap:
        """Set a trap for calls of `public.<function>`; `start_runs?` and the like are patterns."""
        trap = Trap(re.compile(rf"public\.\"?({function})\"?\(".encode()), do, times)
        self._traps.append(trap)
        return trap

    def trap_for(self, body: bytes) -> Trap | None:
        for trap in self._traps:
            if trap.left and trap.pattern.search(body):
                trap.left -= 1
                trap.sprung += 1
                return trap
        if self.chance and (do := self.chance(body)):
            trap = Trap(re.compile(b""), do, 0, sprung=1)
            asyncio.get_running_loop().call_later(1.0, trap.release)
            return trap
        return None

    def cut(self, kind: Kind | None = None) -> int:
        """Break the connections (of one kind); new ones are refused after a cut of all, until `mend`."""
        if kind is None:
            self._up = False
        chosen = [link for link in self._links if kind in (None, link.kind)]
        for link in chosen:
            link.abort()
        return len(chosen)

    def freeze(self) -> None:
        """Let no byte through and break nothing: a half-open link, as behind a dead router."""
        self.open.clear()

    def mend(self) -> None:
        self._up = True
        self.open.set()

    def links(self, kind: Kind) -> set[object]:
        """The connections of a kind, to compare."""
        return {link for link in self._links if link.kind == kind}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer))
        self._links.add(link)
        try:
            await link.serve()
        finally:
            self._links.discard(link)
