"""Claims: atomic, in order, never more than a lane has slots for."""

import asyncio
import uuid
from collections import Counter
from typing import Any

import pytest

from tests.database.conftest import Person, Room, Worker


async def create(operator: Person, session_id: str, **more: Any) -> dict[str, Any]:
    args = {"p_session_id": session_id, "p_template": "greet", "p_params": {"name": "ada"}} | more
    return await operator.call("create_run", **args)


async def test_a_lane_goes_one_after_another_and_lanes_go_in_parallel(
    operator: Person, session_id: str, worker: Worker
) -> None:
    runs = [await create(operator, session_id, p_lane=lane) for lane in "AABCD"]
    claims = await worker.claim(10)
    assert {c["run_id"] for c in claims} == {runs[i]["id"] for i in (0, 2, 3, 4)}
    assert await worker.claim(10) == []
    await worker.succeed(next(c for c in claims if c["lane"] == "A"))
    assert [c["run_id"] for c in await worker.claim(10)] == [runs[1]["id"]]


async def test_priority_goes_first_then_age(operator: Person, session_id: str, worker: Worker) -> None:
    low, first, second, high = [await create(operator, session_id, p_priority=priority) for priority in (-5, 0, 0, 100)]
    order = []
    for _ in range(4):
        (claim,) = await worker.claim(10)
        order.append(claim["run_id"])
        await worker.succeed(claim)
    assert order == [run["id"] for run in (high, first, second, low)]


async def test_not_before_waits_and_lets_others_pass(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    later = await room.value("select (clock_timestamp() + interval '1 hour')::text")
    await create(operator, session_id, p_not_before=later, p_priority=100)
    now = await create(operator, session_id)
    assert [c["run_id"] for c in await worker.claim(10)] == [now["id"]]


async def test_a_wider_lane_takes_as_many_as_it_has_slots(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    await room.owner.execute("update public.lanes set capacity = 3 where session_id = %s and lane = 'A'", (session_id,))
    for _ in range(5):
        await create(operator, session_id)
    assert len(await worker.claim(10)) == 3
    assert await worker.claim(10) == []


async def test_a_limit_is_never_exceeded(operator: Person, session_id: str, worker: Worker) -> None:
    for lane in "ABCD":
        await create(operator, session_id, p_lane=lane)
    assert len(await worker.claim(2)) == 2
    assert await worker.claim(0) == []


async def test_a_draining_worker_gets_nothing(operator: Person, session_id: str, worker: Worker) -> None:
    await create(operator, session_id)
    await worker.call("drain_worker", p_worker_id=worker.id)
    assert await worker.claim() == []


@pytest.mark.parametrize("claimers", [8])
async def test_many_claimers_never_share_a_run_or_overfill_a_lane(
    room: Room, operator: Person, worker: Worker, claimers: int
) -> None:
    """16 lanes, 96 runs, 8 claimers at once: each run is claimed once and a lane holds one claim at any moment."""
    sessions = [(await operator.call("create_session", p_title=f"Crowd {i}"))["id"] for i in range(4)]
    for _ in range(6):
        for session in sessions:
            for lane in "ABCD":
                await create(operator, session, p_lane=lane)
    seen: Counter[str] = Counter()

    async def claimer() -> None:
        mine = await room.worker()
        idle = 0
        while idle < 20:
            claims = await mine.claim(3)
            idle = 0 if claims else idle + 1
            for claim in claims:
                seen[claim["run_id"]] += 1
                await mine.succeed(claim)

    async def watcher() -> int:
        most = 0
        while True:
            busy = await room.value(
                "select max(n) from (select count(*) as n from public.runs where session_id = any(%s) "
                "and status in ('claimed', 'running') group by session_id, lane) as t",
                sessions,
            )
            most = max(most, busy or 0)
            if await room.value(
                "select bool_and(finished_at is not null) from public.runs where session_id = any(%s)", sessions
            ):
                return most
            await asyncio.sleep(0)

    async with asyncio.timeout(120):
        most, *_ = await asyncio.gather(watcher(), *(claimer() for _ in range(claimers)))
    assert most == 1
    assert len(seen) == 96
    assert set(seen.values()) == {1}
    overlaps = await room.value(
        "select count(*) from public.runs as a join public.runs as b on a.session_id = b.session_id and a.lane = b.lane "
        "and a.id < b.id and a.claimed_at < b.finished_at and b.claimed_at < a.finished_at where a.session_id = any(%s)",
        sessions,
    )
    assert overlaps == 0


async def test_a_claim_repeated_while_the_first_is_under_way_waits_for_it(
    operator: Person, session_id: str, worker: Worker
) -> None:
    for lane in "ABCD":
        await create(operator, session_id, p_lane=lane)
    request = uuid.uuid4()
    answers = await asyncio.gather(
        *(worker.call("claim_runs", p_worker_id=worker.id, p_limit=2, p_request_id=request) for _ in range(3))
    )
    assert answers[0] == answers[1] == answers[2]
    assert len(answers[0]) == 2


async def test_the_cost_of_a_claim_does_not_grow_with_the_queue(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    """The plan walks the queue's index by lane: no scan of the runs, whatever their number."""
    run = await create(operator, session_id)
    await room.owner.execute("set enable_seqscan = off")
    try:
        source = await room.value("select prosrc from pg_proc where proname = 'waiting_lanes'")
        query = source.partition("return")[2].partition(";")[0].strip("( \n)")
        plan = await room.column("explain " + query.replace("p_now", "clock_timestamp()"))
        assert run["status"] == "queued"
        assert sum("runs_queue" in line for line in plan) == 3, "\n".join(plan)
        assert not any("Seq Scan" in line for line in plan)
    finally:
        await room.owner.execute("reset enable_seqscan")
