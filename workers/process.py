"""Processes of runs, started and ended through the leash. See `workers.leash` for what it promises."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers import leash
from workers.environment import base_environment
from workers.supervision import Stream, Supervisor

PROJECT = str(Path(leash.__file__).parent.parent.parent)
PROGRAM = "import sys; sys.path.append(sys.argv[3]); from workers.leash.nursery import main; main()"
SPARES = 2
"""Supervisors that are there before they are needed."""
REFILL_SECONDS = 0.02
GREETING_SECONDS = 30.0
NOT_ALIVE = "the leash, which starts all processes, does not stay alive; see the worker's log"


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

    def __init__(self, supervisor: Supervisor, streams: Sequence[Stream], on_end: Callable[[Supervisor], None]) -> None:
        self._streams = streams
        self.stdout, self.stderr = (stream.reader for stream in streams)
        self._supervisor = supervisor
        self._on_end = on_end
        self._free = False
        self._exit = asyncio.create_task(self._read_exit())

    async def wait(self) -> Exit:
        """Until the command and everything that it started has ended."""
        return await asyncio.shield(self._exit)

    def stop(self, grace_seconds: float) -> None:
        """TERM to the process group now, KILL to the whole tree after the grace."""
        self._supervisor.send({"do": "stop", "grace": grace_seconds})

    def kill(self) -> None:
        """KILL to the whole tree now."""
        self._supervisor.send({"do": "kill"})

    def extend(self, until: float) -> None:
        """Let it live until this moment of the monotonic clock, unless told again."""
        self._supervisor.send({"do": "until", "at": until})

    def close(self) -> None:
        """Let go of the pipes and of the supervisor, which ends all that is left."""
        for stream in self._streams:
            stream.close()
        if self._free:
            self._on_end(self._supervisor)
        else:
            self._supervisor.close()

    async def _read_exit(self) -> Exit:
        line = await self._supervisor.line()
        if not line:
            # The supervisor was killed; what it had started fell to the leash, which kills it.
            return Exit(code=137, signal=9)
        said = json.loads(line)
        self._free = said["left"] == 0
        return Exit(said["exit"], said["signal"], said["left"])


class Leash:
    """The worker's one small helper program that starts all processes. Restarted when it is gone.

    A supervisor is forked and put into its control group in 20 ms, so that some are there before they are needed. One
    whose command has ended, and all that it started, takes the next one: as many are kept as commands run `at_once`.
    """

    def __init__(self, groups: str = "auto", at_once: int = 1, spares: int = SPARES) -> None:
        self._wanted = groups
        self._spares = spares
        # One that has nothing to do takes 2 MB and no time; a new one takes more time than a short command.
        self._most_free = at_once + spares
        self._free: list[Supervisor] = []
        self._refill: asyncio.Task[None] | None = None
        self._door: socket.socket | None = None
        self._program: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self.groups = "none"
        """The version of control groups that hold the commands: `v2`, `v1` or `none`."""
        self.groups_below = ""
        """The directory of the control group that holds those of the commands."""

    @property
    def held_by(self) -> str:
        """In words."""
        if self.groups == "none":
            return "the process tree"
        return f"control groups {self.groups} below {self.groups_below} and the process tree"

    async def start(self) -> None:
        """Start the program, unless it is running. Raises ProcessNotStarted."""
        async with self._starting:
            if self._program and self._program.returncode is None:
                return
            await self.close()
            ours, theirs = socket.socketpair()
            with theirs:
                os.set_inheritable(theirs.fileno(), True)
                self._program = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", "-c", PROGRAM, str(theirs.fileno()), self._wanted, PROJECT),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env=base_environment(),
                    start_new_session=True,
                )
            self._door = ours
            self.groups, self.groups_below = await _greeting(ours)

    async def close(self) -> None:
        """End the program; runs that are still there keep their own supervisors."""
        if self._refill and self._refill is not asyncio.current_task():
            self._refill.cancel()
        while self._free:
            self._free.pop().close()
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
        streams: list[Stream] = []
        supervisor = None
        try:
            for _ in range(2):
                streams.append(await Stream.open())
            supervisor = await self._take([stream.writer for stream in streams])
            for stream in streams:
                stream.close_writer()
            supervisor.send({"argv": list(argv), "env": dict(env), "cwd": str(cwd), "until": until})
            # No answer: the supervisor was killed, perhaps by the command, so that has started. `wait` tells the end.
            answer = json.loads(await supervisor.line() or b"{}")
            if "error" in answer:
                raise ProcessNotStarted(answer["error"])
        except BaseException:
            for stream in streams:
                stream.close()
            if supervisor:
                supervisor.close()
            raise
        return Process(supervisor, streams, self._take_back)

    def prepare(self) -> None:
        """Have supervisors there, soon: not in the way of the command that is being started."""
        if len(self._free) < self._spares and (self._refill is None or self._refill.done()):
            self._refill = asyncio.create_task(self._add_spares())

    def _take_back(self, supervisor: Supervisor) -> None:
        if supervisor.gone or self._program is None or len(self._free) >= self._most_free:
            supervisor.close()
        else:
            self._free.append(supervisor)

    async def _add_spares(self) -> None:
        while len(self._free) < self._spares:
            await asyncio.sleep(REFILL_SECONDS)
            try:
                await self.start()
                # Those that were used last are used next: they are warm.
                self._free.insert(0, await self._new_supervisor())
            except (OSError, ProcessNotStarted):
                return

    async def _take(self, handles: Sequence[int]) -> Supervisor:
        """One that has the streams `handles`: one that was killed while it had nothing to do is passed over."""
        # A supervisor without the program above it could lose what escapes from it: then the spares are renewed.
        await self.start()
        new = False
        while not new:
            new = not self._free
            supervisor = await self._new_supervisor() if new else self._free.pop()
            try:
                supervisor.send_streams(handles)
            except OSError:
                supervisor.close()
            else:
                self.prepare()
                return supervisor
        raise ProcessNotStarted(NOT_ALIVE)

    async def _new_supervisor(self) -> Supervisor:
        ours, theirs = socket.socketpair()
        try:
            await self._hand_over(theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return Supervisor(ours, *await asyncio.open_connection(sock=ours))

    async def _hand_over(self, handle: int) -> None:
        for attempt in (1, 2):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                if self._door:
                    socket.send_fds(self._door, [b"!"], [handle])
                    return
            if attempt == 1:
                if self._program:
                    await self._program.wait()
                await self.start()
        raise ProcessNotStarted(NOT_ALIVE)


async def _greeting(door: socket.socket) -> tuple[str, str]:
    """What the program says first: by what it holds the commands, and where."""
    said = b""
    door.setblocking(False)
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            while not said.endswith(b"\n"):
                said += (part := await asyncio.get_running_loop().sock_recv(door, 4096))
                if not part:
                    raise ProcessNotStarted(NOT_ALIVE)
    except (ConnectionError, TimeoutError) as error:
        raise ProcessNotStarted(NOT_ALIVE) from error
    finally:
        door.setblocking(True)
    about = json.loads(said)
    return about["groups"], about["below"]
