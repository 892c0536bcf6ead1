"""Keeps the processes of the stack: starts them, watches them, restarts one that crashed, stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from opsroom.local import process
from opsroom.local.errors import StackError
from opsroom.local.progress import Report

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
# The programs first, then what they use. (They start side by side, so the order of starting would not do.)
_STOP_ORDER = ("UI", "worker", "Edge Function runtime", "gateway", "database")
# A process that ran this long before it crashed starts again with a short pause.
_STEADY_SECONDS = 60.0


class Watched(Protocol):
    """A process the supervisor may restart: the database or a service."""

    process: asyncio.subprocess.Process | None

    @property
    def log(self) -> Path: ...

    async def start(self) -> None: ...

    async def wait_until_ready(self) -> None: ...

    async def stop(self) -> None: ...

    def sweep(self) -> None: ...


@dataclass
class Supervisor:
    """Holds what was started."""

    report: Report
    _running: list[tuple[str, Watched]] = field(default_factory=list)
    _watchers: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self, name: str, watched: Watched) -> None:
        """Start a process, wait until it serves, and watch it from then on."""
        self._running.append((name, watched))
        await watched.start()
        await watched.wait_until_ready()
        self._watchers.append(asyncio.create_task(self._watch(name, watched)))

    async def stop(self) -> None:
        """Stop everything that was started, and nothing else."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers.clear()
        for _, watched in sorted(self._running, key=lambda item: _STOP_ORDER.index(item[0])):
            await watched.stop()
        self._running.clear()

    async def _watch(self, name: str, watched: Watched) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            assert watched.process is not None
            started = time.monotonic()
            code = await watched.process.wait()
            watched.sweep()
            if time.monotonic() - started > _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self.report.note(
                f"The {name} ended unexpectedly ({_how(code)}); the end of {watched.log}:\n"
                f"{process.last_lines(watched.log)}\nIt is started again in {pause:.0f} s."
            )
            while True:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                try:
                    await watched.start()
                    await watched.wait_until_ready()
                except StackError as error:
                    await watched.stop()
                    self.report.note(f"{error}\nThe {name} is started again in {pause:.0f} s.")
                    continue
                self.report.note(f"The {name} runs again.")
                break


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@asynccontextmanager
async def stop_requested(on_second: Callable[[], None]) -> AsyncIterator[Awaitable[object]]:
    """Gives something to await that is done at the first SIGINT, SIGTERM or SIGHUP. The second calls `on_second`."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def received() -> None:
        if asked.is_set():
            on_second()
        asked.set()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, received)
    waiting = asyncio.create_task(asked.wait())
    try:
        yield waiting
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        for number in signals:
            loop.remove_signal_handler(number)
