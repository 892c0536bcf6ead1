"""One `opsroom up`: lock, start, wait, stop. And `opsroom reset`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from typing import Protocol

from opsroom.local.environment import write_run
from opsroom.local.errors import NoPermission, StackError
from opsroom.local.lock import exclusive
from opsroom.local.paths import Ports, State
from opsroom.local.progress import Report
from opsroom.local.supervisor import Supervisor, stop_requested


class Backend(Protocol):
    """What is to be started: the embedded stack, or the programs around a hosted project."""

    async def start(self, supervisor: Supervisor) -> dict[str, str]: ...


async def run(state: State, ports: Ports, backend: Backend, report: Report) -> None:
    """Start `backend`, say that it is ready, keep it until a signal comes. Stops all it started, whatever happens."""
    began = time.monotonic()
    state.create()
    with exclusive(state):
        supervisor = Supervisor(report)
        async with stop_requested(_kill_own_children) as stop:
            try:
                starting = asyncio.ensure_future(backend.start(supervisor))
                await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)  # type: ignore[arg-type]
                if not starting.done():
                    starting.cancel()
                    with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup, StackError):
                        await starting
                    return
                facts = _result(starting)
                write_run(state, ports, facts)
                report.ready(facts, time.monotonic() - began)
                await stop
            finally:
                state.run_file.unlink(missing_ok=True)
                report.note("Stopping …")
                await supervisor.stop()


def _result(starting: asyncio.Future[dict[str, str]]) -> dict[str, str]:
    """The outcome of the start. Of several failures at the same time the first foreseen one is told."""
    try:
        return starting.result()
    except BaseExceptionGroup as group:
        foreseen = group.subgroup(StackError)
        if foreseen is None:
            raise
        first: BaseException = foreseen
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from group


def _kill_own_children() -> None:
    """A second Ctrl-C: no more waiting. Only processes whose parent is this one, which are the ones it started."""
    for pid in _children():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _children() -> list[int]:
    path = f"/proc/self/task/{os.getpid()}/children"
    try:
        with open(path) as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def reset(state: State) -> None:
    """Delete everything the stack keeps. Refuses while it runs."""
    if not state.root.exists():
        return
    with exclusive(state):
        kept = {state.lock_file.name, "tools"}  # `tools` is what `make` installed to set the stack up
        for path in state.root.iterdir():
            if path.name in kept:
                continue
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            except PermissionError as error:
                raise NoPermission(
                    f"{error.filename or path} belongs to another user: run `opsroom reset` as that user."
                ) from error
