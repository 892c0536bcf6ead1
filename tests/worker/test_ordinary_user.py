"""A worker that does not run as root: everything works, and its credentials are closed to what it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.worker.room import Room, WorkerProcess, processes_with

NOBODY = 65534
IDENTITY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")

READ_EVERY_ENVIRONMENT = """
readable=0
for file in /proc/[0-9]*/environ; do
  if text=$(tr '\\0' '\\n' < "$file" 2>/dev/null) && [ -n "$text" ]; then
    readable=$((readable + 1))
    case "$text" in *SUPABASE_SERVICE_ROLE_KEY*) echo "the key is readable in $file" ;; esac
  fi
done
[ "$readable" -gt 0 ] && echo "looked"
setsid sleep 300 & echo done
"""


@pytest.fixture
def open_folder() -> Generator[Path]:
    """A folder that every user may write to, with every folder above it open to them."""
    folder = Path(tempfile.mkdtemp(prefix="opsroom-open-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def another_user_runs_python() -> bool:
    """Whether this is root, and its interpreter is where others may reach it."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    # By way of env: setpriv itself still has the rights of root when it looks the program up.
    return (
        subprocess.run([*IDENTITY, "env", sys.executable, "-c", ""], check=False, capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not another_user_runs_python(), reason="needs root, and an interpreter that another user reaches")
async def test_the_service_key_is_closed_to_the_processes_of_runs(room: Room, open_folder: Path) -> None:
    room.folder = open_folder
    run_id = await room.launch_script(READ_EVERY_ENVIRONMENT)
    env = room.environment() | {"HOME": str(open_folder)}
    worker = await WorkerProcess.start(env, open_folder / "log", (*IDENTITY, sys.executable, "-m", "workers"))
    try:
        run = await room.until(run_id)
    finally:
        await worker.kill()
    output = await room.output(run_id)
    assert (run["status"], output) == ("succeeded", "looked\ndone\n"), worker.said
    assert not processes_with(run_id)
