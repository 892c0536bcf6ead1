"""Child processes that die with us and can be told to stop by their pid."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# Larger logs are set aside at the next start; one older file is kept.
_LOG_BYTES = 8 * 1024 * 1024


def die_with_parent(sent: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that makes the kernel send `sent` to the child when this process is gone, even by SIGKILL.

    Linux only (prctl(2), PR_SET_PDEATHSIG); elsewhere children are stopped by the orderly shutdown alone.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(sent), 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return arrange


async def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    folder: Path,
    death_signal: signal.Signals = signal.SIGTERM,
) -> asyncio.subprocess.Process:
    """Start `command` with its output in `log`, in a session of its own: a Ctrl-C reaches only the supervisor."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        log.chmod(0o600)
        return await asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent(death_signal),
        )


async def stop(
    process: asyncio.subprocess.Process,
    *,
    sent: signal.Signals = signal.SIGTERM,
    grace_seconds: float = 10,
    times: int = 1,
) -> None:
    """Ask `times` times with `sent`, waiting after each, then kill the process group. Returns when it is gone."""
    for _ in range(times):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(sent)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await process.wait()
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def runs(pid: int, argument: str) -> bool:
    """Whether process `pid` is alive and has `argument` on its command line: a bare pid may have been given anew."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        command, state = _ask_ps(pid), ""
    return state != "Z" and argument.encode() in command


def _ask_ps(pid: int) -> bytes:
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
    return listed.stdout


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, for an error message; empty when there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 8192))
        return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-count:])
