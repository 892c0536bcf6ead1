"""Processes of runs, started and ended through the leash. See `workers.leash` for what it promises."""

import array
import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers import leash
from workers.environment import base_environment

PIPE_BYTES = 1 << 20
STREAM_LIMIT = 1 << 18
SPARES = 2
"""Supervisors that sit ready."""
REFILL_SECONDS = 0.02


class ProcessNotStarted(Exception):
    """The command does not exist, may not be executed, or its arguments are too long."""


@dataclass(frozen=True)
class Exit:
    """How a command ended: `code` as a shell gives it, `left` the processes that would not die."""

    code: int
    signal: int | None = None
    left: int = 0


class Process:
    """A running command; its streams end when all that it started is gone."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamReader],
        transports: tuple[asyncio.BaseTransport, ...],
        control: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.stdout, self.stderr = streams
        self._transports = transports
        self._reader, self._writer = control
        self._exit = asyncio.create_task(self._read_exit())

    async def wait(self) -> Exit:
        """Until the command and everything that it started has ended."""
        return await asyncio.shield(self._exit)

    def stop(self, grace_seconds: float) -> None:
        """TERM to the process group now, KILL to the whole tree after the grace."""
        self._send({"do": "stop", "grace": grace_seconds})

    def kill(self) -> None:
        """KILL to the whole tree now."""
        self._send({"do": "kill"})

    def extend(self, until: float) -> None:
        """Let it live until this moment of the monotonic clock, unless told again."""
        self._send({"do": "until", "at": until})

    def close(self) -> None:
        """Let go of the pipes and of the supervisor, which ends all that is left."""
        for transport in self._transports:
            transport.close()
        self._writer.close()

    def _send(self, message: Mapping[str, object]) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def _read_exit(self) -> Exit:
        line = await _line(self._reader)
        if not line:
            # The supervisor was killed; the kernel took the command with it, and its orphans fell to the leash.
            return Exit(code=137, signal=9)
        said = json.loads(line)
        return Exit(said["exit"], said["signal"], said["left"])


async def _line(reader: asyncio.StreamReader) -> bytes:
    """What the supervisor says next; empty once it is gone."""
    try:
        return await reader.readline()
    except ConnectionError:
        return b""


@dataclass
class Seat:
    """A supervisor that waits for its command, and this end of its control socket and of the command's streams."""

    streams: tuple[asyncio.StreamReader, asyncio.StreamReader]
    transports: tuple[asyncio.BaseTransport, ...]
    control: tuple[asyncio.StreamReader, asyncio.StreamWriter]

    def close(self) -> None:
        for transport in (*self.transports, self.control[1]):
            transport.close()


class Leash:
    """The worker's one small helper program that starts all processes. Restarted when it is gone.

    Forking a supervisor takes longer than starting the command itself, so some sit ready: the next commands' first
    bytes do not wait for it.
    """

    def __init__(self, spares: int = SPARES) -> None:
        self._spares = spares
        self._ready: list[Seat] = []
        self._refill: asyncio.Task[None] | None = None
        self._door: socket.socket | None = None
        self._program: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the program, unless it is running."""
        async with self._starting:
            if self._program and self._program.returncode is None:
                return
            await self.close()
            ours, theirs = socket.socketpair()
            with theirs:
                os.set_inheritable(theirs.fileno(), True)
                self._program = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", str(Path(leash.__file__)), str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env=base_environment(),
                    start_new_session=True,
                )
            self._door = ours

    async def close(self) -> None:
        """End the program; runs that are still there keep their own supervisors."""
        if self._refill and self._refill is not asyncio.current_task():
            self._refill.cancel()
        while self._ready:
            self._ready.pop().close()
        if self._door:
            self._door.close()
            self._door = None
        if self._program:
            await self._program.wait()
            self._program = None

    async def spawn(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, until: float) -> Process:
        """Start `argv`. Raises ProcessNotStarted."""
        if any("\x00" in text for text in (*argv, *env, *env.values())):
            raise ProcessNotStarted("an argument or environment variable holds a NUL character")
        seat = await self._take_seat()
        try:
            order = {"argv": list(argv), "env": dict(env), "cwd": str(cwd), "until": until}
            seat.control[1].write(json.dumps(order).encode() + b"\n")
            # No answer: the supervisor was killed, perhaps by the command, so that has started. `wait` tells the end.
            answer = json.loads(await _line(seat.control[0]) or b"{}")
            if "error" in answer:
                raise ProcessNotStarted(answer["error"])
        except BaseException:
            seat.close()
            raise
        return Process(seat.streams, seat.transports, seat.control)

    def prepare(self) -> None:
        """Have supervisors sit ready, soon: not in the way of the command that is being started."""
        if self._refill is None or self._refill.done():
            self._refill = asyncio.create_task(self._refill_seats())

    async def _refill_seats(self) -> None:
        while len(self._ready) < self._spares:
            await asyncio.sleep(REFILL_SECONDS)
            try:
                self._ready.append(await self._new_seat())
            except (OSError, ProcessNotStarted):
                return

    async def _take_seat(self) -> Seat:
        # A supervisor without the program above it could lose what escapes from it: then the spares are renewed.
        await self.start()
        self.prepare()
        while self._ready:
            seat = self._ready.pop()
            if not seat.control[0].at_eof():
                return seat
            seat.close()
        return await self._new_seat()

    async def _new_seat(self) -> Seat:
        await self.start()
        ours, theirs = socket.socketpair()
        out_read, out_write = _pipe()
        err_read, err_write = _pipe()
        try:
            await self._hand_over(theirs.fileno(), out_write, err_write)
        except BaseException:
            ours.close()
            os.close(out_read)
            os.close(err_read)
            raise
        finally:
            theirs.close()
            os.close(out_write)
            os.close(err_write)
        control = await asyncio.open_connection(sock=ours)
        out, out_transport = await _stream(out_read)
        err, err_transport = await _stream(err_read)
        return Seat((out, err), (out_transport, err_transport), control)

    async def _hand_over(self, *handles: int) -> None:
        message = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", handles))]
        for attempt in (1, 2):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                if self._door:
                    self._door.sendmsg([b"!"], message)
                    return
            if attempt == 1:
                if self._program:
                    await self._program.wait()
                await self.start()
        raise ProcessNotStarted("the leash, which starts all processes, does not stay alive; see the worker's log")


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
