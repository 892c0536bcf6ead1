"""Seats: supervisors with the next command's pipes, ready but for its exec. See `workers.leash`."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

PIPE_BYTES = 1 << 20
STREAM_LIMIT = 1 << 18


class Supervisor:
    """This end of a supervisor's control socket. It takes one command after the other."""

    def __init__(self, control: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._control = control
        self._reader = reader
        self._writer = writer

    def seat(self, output: int, errors: int) -> None:
        """Have it fork its next command, up to the exec. Raises OSError when it is gone."""
        if self._writer.transport.get_write_buffer_size():
            raise BlockingIOError("it does not read")
        socket.send_fds(self._control, [b'{"sit":true}\n'], [output, errors])

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


@dataclass
class Seat:
    """A supervisor that waits for its command, and this end of the command's streams."""

    supervisor: Supervisor
    streams: tuple[asyncio.StreamReader, asyncio.StreamReader]
    transports: tuple[asyncio.BaseTransport, ...]

    def close(self) -> None:
        for transport in self.transports:
            transport.close()
        self.supervisor.close()

    @classmethod
    async def prepare(cls, supervisor: Supervisor) -> "Seat":
        """Raises OSError when the supervisor is gone."""
        out_read, out_write = _pipe()
        err_read, err_write = _pipe()
        try:
            supervisor.seat(out_write, err_write)
        except BaseException:
            os.close(out_read)
            os.close(err_read)
            supervisor.close()
            raise
        finally:
            os.close(out_write)
            os.close(err_write)
        out, out_transport = await _stream(out_read)
        err, err_transport = await _stream(err_read)
        return cls(supervisor, (out, err), (out_transport, err_transport))


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    if sys.platform == "linux":
        import fcntl

        # A larger pipe spares wake-ups when a command floods; the kernel may refuse it to ordinary users.
        with contextlib.suppress(OSError):
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return read, write


async def _stream(handle: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=STREAM_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(handle, "rb", buffering=0))
    return reader, transport
