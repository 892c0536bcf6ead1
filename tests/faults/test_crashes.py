"""kill -9 of the worker, of its leash, of a supervisor and of the command, at every point of a run."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.faults.ward import Ward
from tests.support.wire import Do, Wire
from tests.worker.room import WorkerProcess, eventually
from workers.leash.system import descendants

# Where the worker is when it dies: the call, what the wire does to it, and whether the run had started.
POINTS: dict[str, tuple[str, Do, bool]] = {
    "after_claim_was_committed": ("claim_batch", "hold_answer", False),
    "after_claim_before_start": ("start_runs?", "hold_request", False),
    "after_start_was_committed": ("start_runs?", "hold_answer", True),
    "before_its_events_arrive": ("append_events|finish_runs?", "hold_request", True),
    "before_finish": ("finish_runs?", "hold_request", True),
    "after_finish_was_committed": ("finish_runs?", "hold_answer", True),
}


OFTEN = ("after_claim_before_start", "after_start_was_committed", "after_finish_was_committed")


@pytest.mark.parametrize(
    "point", [point if point in OFTEN else pytest.param(point, marks=pytest.mark.soak) for point in POINTS]
)
async def test_kill_9_of_the_worker(ward: Ward, wire: Wire, point: str) -> None:
    function, do, started = POINTS[point]
    run_id = await ward.go(retry=True)
    trap = wire.on(function, do)
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url) as worker:
        async with asyncio.timeout(20):
            await trap.reached.wait()
        worker.send(signal.SIGKILL)
        await worker.ended()
    if point == "after_finish_was_committed":
        assert (await ward.run(run_id))["status"] == "succeeded"
    else:
        await ward.lose(run_id)
        run = await ward.run(run_id)
        assert (run["status"], run["reason"], run["started_at"] is not None) == ("failed", "lost", started)
        again = await ward.successor(run_id)
        async with ward.worker():
            assert (await ward.until(again))["status"] == "succeeded"
    assert len(ward.seen(run_id)) <= 2
    await ward.check()


async def test_kill_9_of_the_worker_while_the_command_talks(ward: Ward) -> None:
    run_id = await ward.go("echo talking", seconds=30, retry=True)
    async with ward.worker() as worker, ward.worker() as other:
        await ward.until_output(run_id, "talking")
        row = (
            await ward.sql("select pid from workers where id = (select claimed_by from runs where id = %s)", run_id)
        )[0]
        victim, heir = (worker, other) if row["pid"] == worker.process.pid else (other, worker)
        victim.send(signal.SIGKILL)
        await victim.ended()
        # Nothing is helped along here: the loss is noticed, and the successor started, by the heir.
        again = await ward.successor(run_id)
        await ward.until_seen(again)
        await ward.call("select cancel_run(%s)", again)
        await ward.until(again)
        assert heir.process.returncode is None
    assert (await ward.run(run_id))["reason"] == "lost"
    await ward.check()


async def test_kill_9_of_a_run_that_its_template_does_not_retry_leaves_it_lost(ward: Ward) -> None:
    run_id = await ward.go(seconds=30)
    async with ward.worker() as worker:
        await ward.until_seen(run_id)
        worker.send(signal.SIGKILL)
        await worker.ended()
    await ward.lose(run_id)
    assert not await ward.sql("select from runs where retry_of = %s", run_id)
    await ward.check()


def leash_of(worker: WorkerProcess) -> int:
    (pid,) = [
        pid
        for pid in descendants(worker.process.pid)
        if b"workers.leash" in command_line(pid) and parent(pid) == worker.process.pid
    ]
    return pid


def command_line(pid: int) -> bytes:
    """Empty once the process is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def command_of(ward: Ward, run_id: str) -> int:
    return int(next(line.split()[3] for line in ward.witness.read_text().splitlines() if run_id in line))


@pytest.mark.parametrize("victim", ["leash", "supervisor", "child"])
async def test_kill_9_below_the_worker_mid_output(ward: Ward, victim: str) -> None:
    run_id = await ward.go("setsid sleep 300 & setsid bash -c 'sleep 301 & sleep 302' & echo talking", seconds=2)
    async with ward.worker() as worker:
        await ward.until_output(run_id, "talking")
        child = command_of(ward, run_id)
        pid = {"leash": leash_of(worker), "supervisor": parent(child), "child": child}[victim]
        os.kill(pid, signal.SIGKILL)
        run = await ward.until(run_id, seconds=20)
        if victim == "leash":
            # The supervisors go on without it: the run is not hurt.
            assert run["status"] in ("succeeded", "failed")
        else:
            assert (run["status"], run["reason"], run["exit_code"]) == ("failed", "step_failed", 137)
        # And the worker works on.
        assert (await ward.until(await ward.go()))["status"] == "succeeded"
    await ward.check()


async def test_kill_9_of_the_leash_and_of_the_worker_together(ward: Ward) -> None:
    """The two that watch die in the same moment; the supervisor is alone."""
    run_id = await ward.go("setsid sleep 300 &", seconds=30)
    async with ward.worker() as worker:
        await ward.until_seen(run_id)
        leash = leash_of(worker)
        os.kill(leash, signal.SIGSTOP)
        worker.send(signal.SIGKILL)
        os.kill(leash, signal.SIGKILL)
        await worker.ended()
    await ward.lose(run_id)
    await ward.check()


async def test_kill_9_of_the_leash_before_the_start(ward: Ward, wire: Wire) -> None:
    trap = wire.on("start_runs?", "hold_request")
    run_id = await ward.go()
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url) as worker:
        await trap.reached.wait()
        os.kill(leash_of(worker), signal.SIGKILL)
        trap.release()
        assert (await ward.until(run_id))["status"] == "succeeded"
    await ward.check()


async def test_a_worker_killed_and_restarted_finds_stale_claims_of_its_former_self(ward: Ward) -> None:
    """Same host, same name, new process: it does not take up what it does not hold."""
    run_id = await ward.go(seconds=30)
    name = "the-same-name"
    async with ward.worker(OPSROOM_WORKER_NAME=name) as worker:
        await ward.until_seen(run_id)
        worker.send(signal.SIGKILL)
        await worker.ended()
    async with ward.worker(OPSROOM_WORKER_NAME=name) as worker:
        await worker.until_said("worker started")
        later = await ward.launch(await ward.witnessed(), lane="B")
        assert (await ward.until(later))["status"] == "succeeded"
        await ward.lose(run_id)
    assert ward.seen(run_id) == ["started"]
    await ward.check()


async def test_a_fleet_killed_at_once_is_held_back_by_the_breaker_and_ends(ward: Ward) -> None:
    runs = [await ward.launch(await ward.witnessed(seconds=30), lane=lane) for lane in "ABCD"]
    async with ward.worker() as one, ward.worker() as two:
        for run_id in runs:
            await ward.until_seen(run_id)
        for worker in (one, two):
            worker.send(signal.SIGKILL)
            await worker.ended()
    await ward.sql(
        "update runs set lease_expires_at = clock_timestamp() - interval '1 s' where id = any(%s::uuid[])", runs
    )

    async def held() -> bool:
        return (await ward.sql("select sweep_runs() as said"))[0]["said"]["held"]

    assert await held(), "most leases ended together: one more lease"

    async def ended() -> bool:
        await held()
        rows = await ward.sql("select from runs where id = any(%s::uuid[]) and finished_at is null", runs)
        return not rows

    await eventually(ended, "the breaker to let go", 15)
    await ward.check()
