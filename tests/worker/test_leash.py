"""The leash by itself: what a command is started with, and that its supervisor is as good as new afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from workers.leash.control_groups import PREFIX
from workers.process import Exit, Leash, Process, ProcessNotStarted


@pytest.fixture
async def leash() -> AsyncIterator[Leash]:
    leash = Leash(spares=1)
    await leash.start()
    yield leash
    await leash.close()


async def spawn(leash: Leash, folder: Path, *argv: str, path: str | None = None) -> Process:
    env = {"PATH": os.environ["PATH"] if path is None else path}
    return await leash.spawn(argv, env, folder, time.monotonic() + 60)


async def said(leash: Leash, folder: Path, *argv: str) -> str:
    process = await spawn(leash, folder, *argv)
    try:
        text = await process.stdout.read()
        assert await process.wait() == Exit(0), (await process.stderr.read()).decode()
    finally:
        process.close()
    return text.decode().strip()


async def why_not(leash: Leash, folder: Path, *argv: str, path: str | None = None) -> str:
    with pytest.raises(ProcessNotStarted) as refused:
        await spawn(leash, folder, *argv, path=path)
    return str(refused.value)


async def test_a_command_ignores_and_blocks_no_signal_and_leads_its_own_session(leash: Leash, tmp_path: Path) -> None:
    lines = (await said(leash, tmp_path, "cat", "/proc/self/status")).splitlines()
    status = dict(line.split(":\t", 1) for line in lines if line.startswith("Sig"))
    # 32 and 33 are the C library's own: its posix_spawn has them ignored.
    assert int(status["SigIgn"], 16) & 0x7FFFFFFF == int(status["SigBlk"], 16) == 0
    pid, *_, session = (await said(leash, tmp_path, "cut", "-d ", "-f1,6", "/proc/self/stat")).split()
    assert pid == session


async def test_a_command_has_three_streams_and_the_directory_it_was_given(leash: Leash, tmp_path: Path) -> None:
    assert await said(leash, tmp_path, "pwd", "-P") == str(tmp_path.resolve())
    # The fourth is what `ls` reads with.
    assert (await said(leash, tmp_path, "ls", "/proc/self/fd")).split() == ["0", "1", "2", "3"]
    assert await said(leash, tmp_path, "cat") == "", "its input is empty"


async def test_a_program_is_looked_for_on_the_path_of_the_command(leash: Leash, tmp_path: Path) -> None:
    first, second, closed = (tmp_path / name for name in ("first", "second", "closed"))
    for folder in (first, second, closed):
        folder.mkdir()
    (first / "tool").mkdir()
    for folder, mode in ((second, 0o755), (closed, 0o644)):
        (folder / "tool").write_text(f"#!/bin/sh\necho {folder.name}\n")
        (folder / "tool").chmod(mode)
    process = await spawn(leash, tmp_path, "tool", path=f"{first}:{closed}:{second}")
    assert (await process.stdout.read()).strip() == b"second"
    process.close()
    assert "No such file or directory" in await why_not(leash, second, "tool", path=str(tmp_path)), "not here"
    assert "Permission denied" in await why_not(leash, tmp_path, "tool", path=str(closed))
    assert "No such file or directory" in await why_not(leash, tmp_path / "none", "true")
    assert "can not be started" in await why_not(leash, tmp_path, "true", "x" * (1 << 20))


async def test_one_supervisor_takes_command_after_command_and_keeps_nothing_of_them(
    leash: Leash, tmp_path: Path
) -> None:
    supervisor = await said(leash, tmp_path, "sh", "-c", "echo $PPID")
    handles = os.listdir(f"/proc/{supervisor}/fd")
    assert {await said(leash, tmp_path, "sh", "-c", "echo $PPID") for _ in range(20)} == {supervisor}
    assert os.listdir(f"/proc/{supervisor}/fd") == handles
    assert os.readlink(f"/proc/{supervisor}/cwd") == "/"


async def test_a_supervisor_that_was_killed_while_it_had_nothing_to_do_is_passed_over(
    leash: Leash, tmp_path: Path
) -> None:
    supervisor = await said(leash, tmp_path, "sh", "-c", "echo $PPID")
    os.kill(int(supervisor), signal.SIGKILL)
    deadline = time.monotonic() + 10
    # Blocking: this process must not hear of it before it has the next command.
    while (Path("/proc") / supervisor).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert await said(leash, tmp_path, "sh", "-c", "echo $PPID") != supervisor


async def test_a_supervisor_that_had_to_kill_is_in_its_group_again_for_the_next_command(
    leash: Leash, tmp_path: Path
) -> None:
    if leash.groups == "none":
        pytest.skip("this machine lets nobody make control groups")
    where = ("sh", "-c", "echo $PPID; cat /proc/self/cgroup")
    supervisor, *groups = (await said(leash, tmp_path, *where)).split()
    assert any(f"/{PREFIX}" in group and f"-{supervisor}-" in group for group in groups)
    left = await said(leash, tmp_path, "sh", "-c", "(setsid sleep 300 & echo $!) 2>&1")
    assert not Path(f"/proc/{left}").exists(), "what it left has ended with it"
    assert (await said(leash, tmp_path, *where)).split() == [supervisor, *groups]
