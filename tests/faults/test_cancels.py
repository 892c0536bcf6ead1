"""Cancel at each point of a run's life: nothing of it is left, and it ends once."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.faults.ward import LEASE, Ward
from tests.support.wire import Do, Wire

POINTS: dict[str, tuple[str, Do, tuple[str, ...]]] = {
    "claimed": ("claim_batch", "hold_answer", ("cancelled",)),
    "before_the_start_is_committed": ("start_runs?", "hold_request", ("cancelled",)),
    "before_the_spawn": ("start_runs?", "hold_answer", ("cancelled",)),
    "while_finishing": ("finish_runs?", "hold_request", ("succeeded", "cancelled")),
    "finished_and_not_yet_known": ("finish_runs?", "hold_answer", ("succeeded",)),
}


@pytest.mark.parametrize("point", POINTS)
async def test_cancel_at_a_point(ward: Ward, wire: Wire, point: str) -> None:
    function, do, ends = POINTS[point]
    run_id = await ward.go(seconds=3 if point == "before_the_spawn" else 0)
    trap = wire.on(function, do)
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url):
        async with asyncio.timeout(20):
            await trap.reached.wait()
        await ward.call("select cancel_run(%s)", run_id)
        trap.release()
        run = await ward.until(run_id)
    assert run["status"] in ends
    if point in ("claimed", "before_the_start_is_committed"):
        assert ward.seen(run_id) == []
    await ward.check()


async def test_cancel_of_a_queued_run(ward: Ward) -> None:
    run_id = await ward.go()
    await ward.call("select cancel_run(%s)", run_id)
    async with ward.worker():
        assert (await ward.until(await ward.go()))["status"] == "succeeded"
    assert (await ward.run(run_id))["status"] == "cancelled" and ward.seen(run_id) == []
    await ward.check()


@pytest.mark.parametrize("times", [1, 5])
async def test_cancel_of_a_running_run(ward: Ward, times: int) -> None:
    run_id = await ward.go("setsid sleep 300 &", seconds=30, retry=True)
    async with ward.worker():
        await ward.until_seen(run_id)
        await asyncio.gather(*(ward.call("select cancel_run(%s)", run_id) for _ in range(times)))
        assert (await ward.until(run_id))["status"] == "cancelled"
    history = await ward.check()
    assert [e["type"] for e in history.events[run_id]].count("run.cancel_requested") == 1
    assert len(history.runs) == 1, "what a person cancelled is not retried"


async def test_cancel_by_force_of_a_run_whose_worker_does_not_answer(ward: Ward) -> None:
    run_id = await ward.go(seconds=30)
    async with ward.worker() as worker:
        await ward.until_seen(run_id)
        worker.send(signal.SIGSTOP)
        await ward.call("select cancel_run(%s)", run_id)
        assert (await ward.run(run_id))["status"] == "running"
        await ward.call("select cancel_run(%s, null, true)", run_id)
        assert (await ward.run(run_id))["status"] == "cancelled"
        worker.send(signal.SIGCONT)
        await worker.until_said("outcome=lost")
        assert (await ward.until(await ward.go()))["status"] == "succeeded"
    await ward.check(outlive_seconds=LEASE)


async def test_cancel_while_the_database_is_out_of_reach_of_the_worker(ward: Ward, wire: Wire) -> None:
    run_id = await ward.go(seconds=30)
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url):
        await ward.until_seen(run_id)
        wire.freeze()
        await ward.call("select cancel_run(%s)", run_id)
        await asyncio.sleep(1)  # the length of the outage
        wire.mend()
        run = await ward.until(run_id)
    assert run["status"] == "cancelled"
    await ward.check()
