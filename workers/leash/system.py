"""What the leash asks of the kernel."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Mapping

PR_SET_CHILD_SUBREAPER = 36
IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Meant for the worker, which decides about its runs itself."""
DEFAULT_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
"""A command has them all as every program expects it, whatever this interpreter, or a shell before it, ignores."""

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere processes are ended by their process group alone."""
    if sys.platform == "linux":
        _libc.prctl(option, value, 0, 0, 0)


def stat_fields(pid: int) -> list[bytes]:
    """/proc/PID/stat from the state on. Raises OSError when there is no such process."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        # The command may hold spaces and brackets: the fields start after the last bracket.
        return file.read().rpartition(b")")[2].split()


def process_tree() -> dict[int, list[int]]:
    """Children of every process that lives, from one walk over /proc; empty where there is none."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        if name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(stat_fields(int(name))[1]), []).append(int(name))
    return children


def descendants(root: int) -> list[int]:
    """Every process below `root`, parents first."""
    children, found = process_tree(), [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found[1:]


def become_reaper() -> int:
    """Adopt orphans, ignore signals meant for the worker; a descriptor that becomes readable when a child ends."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, _noticed)
    return wake_read


def program(name: str, environment: Mapping[str, str]) -> str:
    """The file of the program `name`, looked for as execvp(3) does, on the PATH that the command itself will have."""
    if "/" in name:
        return name
    paths = [f"{folder or '.'}/{name}" for folder in environment.get("PATH", os.defpath).split(":")]
    there = [path for path in paths if os.path.isfile(path)]
    # If there is none, starting it says why.
    return next((path for path in there if os.access(path, os.X_OK)), (there or paths)[0])


def send_signal(pid: int, number: int, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def reap(also: int = 0) -> Iterator[tuple[int, int]]:
    """The children that have ended, without waiting. Raises ChildProcessError once none is left at all."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG | also)
        if pid == 0:
            return
        yield pid, status


def exit_of(status: int | None) -> tuple[int, int | None]:
    """Exit code as a shell gives it (128 + signal for a killed command) and the signal, if any."""
    if status is None:
        return 137, signal.SIGKILL
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status), os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None


def _noticed(number: int, frame: object) -> None:
    """SIGCHLD only has to wake the poll, by the wake-up descriptor."""
