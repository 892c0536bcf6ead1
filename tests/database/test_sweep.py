"""The sweep: ends what is stuck, once, and starts what the template asks for."""

import asyncio
from typing import Any

import pytest

from tests.database.conftest import TEMPLATE, Person, Room, Worker
from tests.database.stuck import claimed, expire, row


async def successor(room: Room, run_id: str) -> dict[str, Any] | None:
    return await room.value("select to_json(r) from public.runs as r where retry_of = %s", run_id)


async def test_a_run_that_never_started_gets_a_successor(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    claim = await claimed(operator, session_id, worker)
    await expire(room, claim["run_id"])
    assert await worker.call("sweep_runs") == {"lost": 1, "timed_out": 0, "retried": 1, "held": False, "due_in": None}
    lost = await row(room, claim["run_id"])
    assert (lost["status"], lost["reason"]) == ("failed", "lost")
    new = await successor(room, claim["run_id"])
    assert new is not None
    assert (new["status"], new["attempt"], new["lane"]) == ("queued", 2, "A")
    assert await worker.call("sweep_runs") == {"lost": 0, "timed_out": 0, "retried": 0, "held": False, "due_in": None}


async def test_a_started_run_is_not_repeated_unless_its_template_asks(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    claim = await claimed(operator, session_id, worker)
    await worker.start(claim)
    await worker.append(claim, 1, {"type": "step.started", "step": "first"})
    await expire(room, claim["run_id"])
    await worker.call("sweep_runs")
    assert await successor(room, claim["run_id"]) is None
    steps = await room.column(
        "select status from public.run_steps where run_id = %s order by position", claim["run_id"]
    )
    assert steps == ["failed", "skipped"]


async def test_a_template_that_asks_for_retries_gets_them_up_to_its_limit(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    spec = TEMPLATE | {"slug": "stubborn", "retry": {"attempts": 2, "on": ["lost", "failed"], "backoff_seconds": 0}}
    await room.store_template(spec)
    claim = await claimed(operator, session_id, worker, "stubborn")
    await worker.start(claim)
    await expire(room, claim["run_id"])
    await worker.call("sweep_runs")
    assert await successor(room, claim["run_id"]) is not None
    (second,) = await worker.claim()
    assert second["attempt"] == 2
    await worker.start(second)
    await worker.finish(second, "failed", "step_failed")
    assert await successor(room, second["run_id"]) is None


async def test_after_a_start_of_the_database_leases_get_their_time(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    claim = await claimed(operator, session_id, worker)
    await expire(room, claim["run_id"])
    async with room.owner.transaction(force_rollback=True):
        await room.owner.execute(
            "create or replace function private.database_started_at() returns timestamptz language sql stable "
            "set search_path = '' as $$ select clock_timestamp() - interval '29 seconds' $$"
        )
        assert (await room.value("select public.sweep_runs()"))["lost"] == 0
    assert (await worker.call("sweep_runs"))["lost"] == 1


async def test_backoff_holds_the_successor_back_with_jitter(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    spec = TEMPLATE | {"slug": "patient", "retry": {"attempts": 5, "on": ["failed"], "backoff_seconds": 60}}
    await room.store_template(spec)
    claim = await claimed(operator, session_id, worker, "patient")
    await worker.start(claim)
    await worker.finish(claim, "failed", "step_failed")
    wait = await room.value(
        "select extract(epoch from not_before - queued_at) from public.runs where retry_of = %s", claim["run_id"]
    )
    assert 29 < wait <= 60
    assert await worker.claim() == []


async def test_a_cancelled_run_that_is_lost_gets_no_successor(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    claim = await claimed(operator, session_id, worker)
    await operator.call("cancel_run", p_run_id=claim["run_id"])
    await expire(room, claim["run_id"])
    await worker.call("sweep_runs")
    assert (await row(room, claim["run_id"]))["reason"] == "lost"
    assert await successor(room, claim["run_id"]) is None


async def test_a_heartbeat_keeps_a_run(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    claim = await claimed(operator, session_id, worker)
    await worker.start(claim)
    await expire(room, claim["run_id"])
    assert await worker.beat(claim) == ["ok"]
    assert (await worker.call("sweep_runs"))["lost"] == 0


async def test_a_queue_timeout_and_a_run_timeout_end_a_run(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    spec = TEMPLATE | {"slug": "hasty", "queue_timeout_seconds": 1, "timeout_seconds": 1}
    await room.store_template(spec)
    claim = await claimed(operator, session_id, worker, "hasty")
    await worker.start(claim)
    waiting = await operator.call("create_run", p_session_id=session_id, p_template="hasty", p_params={"name": "ada"})
    assert (await worker.call("sweep_runs"))["timed_out"] == 0
    await room.owner.execute(
        "update public.runs set start_deadline_at = now() - interval '1 s' where id = %s", (waiting["id"],)
    )
    await room.owner.execute(
        "update public.runs set started_at = now() - interval '62 s' where id = %s", (claim["run_id"],)
    )
    assert (await worker.call("sweep_runs"))["timed_out"] == 2
    assert (await row(room, waiting["id"]))["reason"] == "queue_timeout"
    assert (await row(room, claim["run_id"]))["reason"] == "run_timeout"


@pytest.mark.parametrize("sweepers", [5])
async def test_sweepers_at_once_end_each_run_once(
    room: Room, operator: Person, session_id: str, worker: Worker, sweepers: int
) -> None:
    for lane in "ABC":
        await operator.call(
            "create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"}, p_lane=lane
        )
    for claim in await worker.claim(4):
        await expire(room, claim["run_id"])
    answers = await asyncio.gather(*(worker.call("sweep_runs") for _ in range(sweepers)))
    assert sum(a["lost"] for a in answers) == 3


async def test_a_sweep_is_bounded(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    for lane in "ABC":
        await operator.call(
            "create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"}, p_lane=lane
        )
    for claim in await worker.claim(4):
        await expire(room, claim["run_id"])
    assert (await worker.call("sweep_runs", p_limit=2))["lost"] == 2
    assert (await worker.call("sweep_runs", p_limit=2))["lost"] == 1


async def test_when_most_leases_end_together_they_get_one_more(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    for lane in "ABCD":
        await operator.call(
            "create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"}, p_lane=lane
        )
    claims = await worker.claim(4)
    for claim in claims:
        await expire(room, claim["run_id"])
    answer = await worker.call("sweep_runs")
    assert (answer["lost"], answer["held"]) == (0, True)
    assert await worker.beat(claims[0]) == ["ok"]
    await room.owner.execute("update private.sweep_state set held_until = clock_timestamp() - interval '1 s'")
    assert (await worker.call("sweep_runs"))["lost"] == 3
    assert (await worker.call("sweep_runs"))["held"] is False
    assert await room.value("select held_until from private.sweep_state") is None


async def test_leases_that_are_held_keep_no_other_stuck_run_waiting(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    await room.owner.execute("update private.sweep_state set held_until = null")
    await room.owner.execute("update public.lanes set capacity = 10 where session_id = %s", (session_id,))
    for _ in range(5):
        await operator.call("create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"})
    *over, late = await worker.claim(10)
    for claim in over:
        await expire(room, claim["run_id"])
    await worker.start(late)
    await room.owner.execute(
        "update public.runs set started_at = clock_timestamp() - make_interval(secs => timeout_seconds + 61) where id = %s",
        (late["run_id"],),
    )
    answer = await worker.call("sweep_runs", p_limit=1)
    assert (answer["held"], answer["lost"], answer["timed_out"]) == (True, 0, 1)
    assert (await row(room, late["run_id"]))["reason"] == "run_timeout"
    await room.owner.execute("update private.sweep_state set held_until = null")


@pytest.mark.parametrize(
    ("over", "live", "held"),
    [
        pytest.param(3, 3, False, id="all three, and three are too few to tell"),
        pytest.param(4, 4, True, id="all four"),
        pytest.param(4, 7, True, id="most of seven"),
        pytest.param(4, 8, False, id="half is not most"),
    ],
)
async def test_the_breaker_opens_when_most_of_at_least_four_leases_are_over(
    room: Room, operator: Person, session_id: str, worker: Worker, over: int, live: int, held: bool
) -> None:
    await room.owner.execute("update private.sweep_state set held_until = null")
    await room.owner.execute("update public.lanes set capacity = 10 where session_id = %s", (session_id,))
    for _ in range(live):
        await operator.call("create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"})
    claims = await worker.claim(10)
    assert len(claims) == live
    for claim in claims[:over]:
        await expire(room, claim["run_id"])
    answer = await worker.call("sweep_runs")
    assert (answer["held"], answer["lost"]) == (held, 0 if held else over)
    until = await room.value("select extract(epoch from held_until - last_sweep_at) from private.sweep_state")
    assert until is None or 29 < until < 31, "one lease"
    assert (until is not None) == held
