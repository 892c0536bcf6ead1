"""One stack per state folder. The lock is the kernel's: it ends with the process that holds it, however it ends.

So no pid file is ever trusted: after a crash the lock is simply free, even when the old pid belongs to another program.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from opsroom.local.environment import read_run
from opsroom.local.errors import AlreadyRunning, NoPermission
from opsroom.local.paths import State


@contextmanager
def exclusive(state: State) -> Iterator[None]:
    """Hold the folder. Raises `AlreadyRunning` when another process does."""
    try:
        descriptor = os.open(state.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise NoPermission(f"{state.lock_file} belongs to another user: start with that user.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            running = read_run(state) or {}
            where = f" at {running['ui_url']}" if running.get("ui_url") else ""
            pid = f" (process {running['pid']})" if running.get("pid") else ""
            raise AlreadyRunning(
                f"The stack is already running{where}{pid}: use that one, or stop it with Ctrl-C first."
            ) from error
        state.run_file.unlink(missing_ok=True)  # what a crashed stack left
        yield
        state.run_file.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
