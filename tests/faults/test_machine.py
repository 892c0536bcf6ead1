"""The worker's machine: stopped, its clock wrong, its disk or memory full; and commands that do not want to end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.ward import Ward
from tests.support.history_source import processes_of

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
CGROUP = Path("/sys/fs/cgroup/memory")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


async def test_sigstop_past_the_lease_and_sigcont(ward: Ward) -> None:
    run_id = await ward.go("setsid sleep 300 &", seconds=30, retry=True)
    async with ward.worker() as worker:
        await ward.until_seen(run_id)
        worker.send(signal.SIGSTOP)
        await ward.swept(run_id)
        assert not processes_of({run_id}, ward.folder / "none"), "the supervisor kept the deadline alone"
        again = await ward.successor(run_id)
        worker.send(signal.SIGCONT)
        await worker.until_said("outcome=lost")
        await ward.until_seen(again)
        await ward.call("select cancel_run(%s)", again)
        await ward.until(again)
    assert (await ward.run(run_id))["reason"] == "lost"
    await ward.check()


@pytest.mark.soak
async def test_a_short_sigstop_costs_nothing(ward: Ward) -> None:
    run_id = await ward.go("echo first", seconds=2)
    async with ward.worker() as worker:
        await ward.until_seen(run_id)
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(1.5)  # the length of the pause
        worker.send(signal.SIGCONT)
        assert (await ward.until(run_id))["status"] == "succeeded"
    await ward.check()


@pytest.mark.parametrize("skew", ["-3h", *(pytest.param(skew, marks=pytest.mark.soak) for skew in ("+3h", "+0 x2"))])
async def test_a_worker_with_a_wrong_clock(ward: Ward, skew: str) -> None:
    """Only the database's clock and the monotonic one decide: the worker's wall clock may say what it likes."""
    if not FAKETIME:
        pytest.skip("libfaketime is not installed (Debian: apt-get install libfaketime)")
    run_id = await ward.go("echo first", seconds=1)
    fake = {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": skew, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    async with ward.worker(**fake):
        run = await ward.until(run_id)
        assert run["status"] == "succeeded"
        again = await ward.go(seconds=30)
        await ward.until_seen(again)
        await ward.call("select cancel_run(%s)", again)
        assert (await ward.until(again))["status"] == "cancelled"
    await ward.check()


async def test_the_disk_for_the_spool_is_full(ward: Ward) -> None:
    with small_disk(ward.folder / "small", "256k") as disk:
        body = "head -c 1M /dev/zero >big || echo full; head -c 200k /dev/zero >proof || echo fuller"
        run_id = await ward.go(body, step={"artifacts": [{"path": "*", "kind": "file"}]})
        async with ward.worker(OPSROOM_WORK_ROOT=str(disk)):
            run = await ward.until(run_id)
            assert run["status"] == "failed", "what could not be kept is no success"
            assert "full" in await ward.output(run_id)
            assert (await ward.until(await ward.go()))["status"] == "succeeded", "the next run has the room again"
    await ward.check()


async def test_a_command_takes_all_the_memory_of_its_cgroup(ward: Ward) -> None:
    group = CGROUP / f"opsroom-test-{uuid.uuid4().hex[:8]}"
    if os.geteuid() != 0 or not (CGROUP / "memory.limit_in_bytes").exists():
        pytest.skip("needs root and a cgroup v1 memory controller")
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(48 << 20))
    try:
        run_id = await ward.go(f"echo $BASHPID >{group}/cgroup.procs; tail /dev/zero")
        async with ward.worker():
            run = await ward.until(run_id, seconds=30)
            assert (run["status"], run["reason"]) == ("failed", "step_failed")
            assert (await ward.until(await ward.go()))["status"] == "succeeded"
        await ward.check()
    finally:
        group.rmdir()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("ulimit -v 200000; tail /dev/zero", id="memory limit"),
        pytest.param("ulimit -n 4; exec 9<>/dev/null", id="no descriptors", marks=pytest.mark.soak),
        pytest.param("ulimit -f 1; head -c 1M /dev/zero >big", id="file size limit", marks=pytest.mark.soak),
        pytest.param("ulimit -t 1; while :; do :; done", id="cpu time limit", marks=pytest.mark.soak),
        pytest.param("kill -9 $$", id="kills itself", marks=pytest.mark.soak),
        pytest.param("kill -STOP $PPID; exit 3", id="stops its supervisor"),
    ],
)
async def test_a_command_hits_a_limit(ward: Ward, body: str) -> None:
    run_id = await ward.go(body)
    async with ward.worker():
        run = await ward.until(run_id, seconds=20)
        assert run["status"] == "failed"
        assert (await ward.until(await ward.go()))["status"] == "succeeded"
    await ward.check()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param("setsid sleep 300 & disown", "succeeded", id="setsid"),
        pytest.param(
            "(setsid bash -c 'trap \"\" TERM HUP; sleep 301; sleep 301' &)",
            "succeeded",
            id="double fork",
            marks=pytest.mark.soak,
        ),
        pytest.param("nohup sleep 302 >/dev/null 2>&1 &", "succeeded", id="nohup", marks=pytest.mark.soak),
        pytest.param("sleep 303 &", "succeeded", id="grandchild holds stdout"),
        pytest.param("env -i setsid sleep 304 &", "succeeded", id="without the run's environment"),
        pytest.param(
            "(while :; do setsid sleep 0.05 & sleep 0.02; done) & sleep 0.5", "succeeded", id="always new ones"
        ),
    ],
)
async def test_nothing_escapes(ward: Ward, body: str, status: str) -> None:
    run_id = await ward.go(body)
    async with ward.worker():
        assert (await ward.until(run_id, seconds=15))["status"] == status
    await ward.check()


@pytest.mark.soak
async def test_a_fork_bomb_within_limits(ward: Ward) -> None:
    """Nine generations, each process in a session of its own, under a limit of processes where that binds."""
    body = """
f() { [ "$1" = 0 ] || { setsid bash -c "f $(($1 - 1))" & setsid bash -c "f $(($1 - 1))" & }; sleep 300; }
export -f f; f 7"""
    run_id = await ward.go(body, step={"timeout_seconds": 2})
    async with ward.worker(OPSROOM_WORKER_GRACE_SECONDS="0"):
        assert (await ward.until(run_id, seconds=30))["status"] == "timed_out"
        assert (await ward.until(await ward.go()))["status"] == "succeeded"
    await ward.check()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("timeout 6 yes || :", id="yes", marks=pytest.mark.soak),
        pytest.param("head -c 30000000 /dev/zero | tr '\\0' x", id="one line of 30 MB"),
        pytest.param("head -c 3000000 /dev/urandom", id="any bytes", marks=pytest.mark.soak),
    ],
)
async def test_a_flood_never_delays_a_heartbeat(ward: Ward, body: str) -> None:
    """Longer than the lease: one heartbeat too late and the run is lost."""
    run_id = await ward.go(body)
    async with ward.worker(OPSROOM_OUTPUT_LIMIT_BYTES="3000000"):
        assert (await ward.until(run_id, seconds=40))["status"] == "succeeded"
    await ward.check()
