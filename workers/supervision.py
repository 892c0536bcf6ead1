"""The worker's end of a supervisor and of its command's streams. See `workers.leash`."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Self

import uvloop

PIPE_BYTES = 1 << 20
STREAM_LIMIT = 1 << 18


class Supervisor:
    """This end of a supervisor's control socket. It takes one command after the other."""

    def __init__(self, control: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._control = control
        self._reader = reader
        self._writer = writer

    def send_streams(self, handles: Sequence[int]) -> None:
        """The streams of its next command, which is sent next. Raises OSError when it is gone or does not read."""
        if self._writer.transport.get_write_buffer_size():
            raise BlockingIOError("it does not read")
        # Streams come attached to a byte, here to one that means nothing before a message.
        socket.send_fds(self._control, [b" "], list(handles))

    def send(self, message: Mapping[str, object]) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def line(self) -> bytes:
        """What it says next; empty once it is gone."""
        try:
            return await self._reader.readline()
        except ConnectionError:
            return b""

    @property
    def gone(self) -> bool:
        return self._reader.at_eof()

    def close(self) -> None:
        self._writer.close()


class Stream:
    """A pipe of which a command has the writing end, and this process reads."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport, writer: int) -> None:
        self.reader = reader
        self.writer = writer
        self._transport = transport

    @classmethod
    async def open(cls) -> Self:
        read, write = os.pipe()
        if sys.platform == "linux":
            import fcntl

            # A larger pipe spares wake-ups when a command floods; the kernel may refuse it to ordinary users.
            with contextlib.suppress(OSError):
                fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=STREAM_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        # uvloop closes the descriptor and then the file: that would close what another thread has opened meanwhile.
        file = os.fdopen(read, "rb", buffering=0, closefd=not isinstance(loop, uvloop.Loop))
        transport, _ = await loop.connect_read_pipe(lambda: protocol, file)
        return cls(reader, transport, write)

    def close_writer(self) -> None:
        """Once the command has it: the stream ends when nobody can write to it."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def close(self) -> None:
        self.close_writer()
        self._transport.close()
