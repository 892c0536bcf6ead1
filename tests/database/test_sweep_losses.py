"""The sweep and workers whose own connection is gone: their runs end after the grace, and the answer says when that is."""

import asyncio
from typing import Any

import psycopg
import pytest

from tests.database.conftest import Person, Room, Worker
from tests.database.stuck import claimed, expire, row

NOTHING = {"lost": 0, "timed_out": 0, "retried": 0, "held": False, "due_in": None}


async def attached(room: Room, worker: Worker) -> psycopg.AsyncConnection[Any]:
    own = await psycopg.AsyncConnection.connect(room.stack.database_url("worker"), autocommit=True)
    await own.execute("set role service_role")
    await own.execute("select public.attach_worker(%s)", (worker.id,))
    return own


async def until_missing(room: Room, worker: Worker) -> dict[str, Any]:
    """The answer of the sweep that found its connection gone."""
    async with asyncio.timeout(10):
        while True:
            answer = await worker.call("sweep_runs")
            assert answer["lost"] == 0
            if await room.value("select missing_since from public.workers where id = %s", worker.id):
                return answer


async def miss(room: Room, worker: Worker, seconds: float) -> None:
    """No server process has that pid."""
    await room.owner.execute(
        "update public.workers set missing_since = clock_timestamp() - make_interval(secs => %s), backend_pid = -1,"
        " backend_start = clock_timestamp() where id = %s",
        (seconds, worker.id),
    )


async def test_a_worker_whose_connection_is_gone_loses_its_runs_after_the_grace(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    own = await attached(room, worker)
    claim = await claimed(operator, session_id, worker)
    assert await worker.call("sweep_runs") == NOTHING
    await own.close()
    answer = await until_missing(room, worker)
    async with asyncio.timeout(10):
        while answer["lost"] == 0:
            assert 0 <= answer["due_in"] <= 1, "it is worth sweeping again when the grace is over"
            await asyncio.sleep(answer["due_in"])
            answer = await worker.call("sweep_runs")
    assert answer["due_in"] is None
    lost = await row(room, claim["run_id"])
    assert lost["reason"] == "lost"
    gap = await room.value(
        "select r.finished_at - w.missing_since from public.runs r join public.workers w on w.id = r.claimed_by where r.id = %s",
        claim["run_id"],
    )
    assert gap.total_seconds() >= 1
    assert await worker.beat(claim) == ["lost"]


async def test_a_worker_that_connects_anew_keeps_its_runs(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    dsn = room.stack.database_url("worker")
    claim = await claimed(operator, session_id, worker)
    for _ in range(2):
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
            await own.execute("set role service_role")
            await own.execute("select public.attach_worker(%s)", (worker.id,))
            assert (await worker.call("sweep_runs"))["lost"] == 0
            assert await room.value("select missing_since from public.workers where id = %s", worker.id) is None
    assert await worker.beat(claim) == ["ok"]


@pytest.mark.parametrize(
    ("gone", "there", "cut"),
    [
        pytest.param([5, 5, 5], 2, True, id="most of five"),
        pytest.param([20, 5, 20], 2, True, id="within half a minute of each other"),
        pytest.param([5, 5, 5], 0, True, id="all three"),
        pytest.param([5, 5], 0, False, id="both, and two are too few to tell"),
        pytest.param([5, 5, 5], 3, False, id="half is not most"),
        pytest.param([5, 5, 40], 1, False, id="who died before does not count"),
        pytest.param([40, 40, 40], 0, False, id="after half a minute they are lost all the same"),
    ],
)
async def test_when_most_workers_lose_their_connection_together_the_lease_decides(
    room: Room, operator: Person, session_id: str, worker: Worker, gone: list[int], there: int, cut: bool
) -> None:
    await room.owner.execute("update public.workers set stopped_at = now() where id <> %s", (worker.id,))
    claim = await claimed(operator, session_id, worker)
    fleet = [worker, *[await room.worker() for _ in range(len(gone) + there - 1)]]
    for one, seconds in zip(fleet, [*gone, *[None] * there], strict=True):
        # Those that are there are so by this very connection; no server process has the pid of the others.
        await room.owner.execute(
            "update public.workers set missing_since = clock_timestamp() - make_interval(secs => %s), "
            "backend_pid = case when %s::int is null then pg_backend_pid() else -1 end, backend_start = "
            "(select backend_start from pg_stat_activity where pid = pg_backend_pid()) where id = %s",
            (seconds, seconds, one.id),
        )
    answer = await worker.call("sweep_runs")
    assert (answer["held"], answer["lost"]) == (cut, 0 if cut else 1)
    if cut:
        await expire(room, claim["run_id"])
        assert (await worker.call("sweep_runs"))["lost"] == 1
    await room.owner.execute("update public.workers set stopped_at = now()")


async def test_without_runs_a_missing_worker_is_no_reason_to_sweep_again(room: Room, worker: Worker) -> None:
    own = await attached(room, worker)
    await own.close()
    assert await until_missing(room, worker) == NOTHING


async def test_the_first_grace_to_be_over_is_told(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    await room.owner.execute("update public.workers set stopped_at = now() where id <> %s", (worker.id,))
    await room.owner.execute("update public.lanes set capacity = 10 where session_id = %s", (session_id,))
    later = await room.worker()
    sooner_claim = await claimed(operator, session_id, worker)
    later_claim = await claimed(operator, session_id, later)
    # So far from over that no slow machine gets there.
    await room.owner.execute(
        "create or replace function private.missing_grace() returns interval language sql immutable "
        "set search_path = '' as $$ select interval '10 minutes' $$"
    )
    try:
        await miss(room, worker, 300)
        await miss(room, later, 200)
        assert 200 < (await worker.call("sweep_runs"))["due_in"] <= 300
        async with room.owner.transaction():
            await room.owner.execute("select pg_advisory_xact_lock(hashtextextended('opsroom.sweep', 0))")
            assert 200 < (await worker.call("sweep_runs"))["due_in"] <= 300, "as well while another sweep is under way"
        await miss(room, worker, 601)
        answer = await worker.call("sweep_runs")
        assert (answer["lost"], answer["held"]) == (1, False)
        assert 300 < answer["due_in"] <= 400, "who is left"
    finally:
        await room.owner.execute(
            "create or replace function private.missing_grace() returns interval language sql immutable "
            "set search_path = '' as $$ select interval '1 second' $$"
        )
    assert (await row(room, sooner_claim["run_id"]))["reason"] == "lost"
    assert await later.beat(later_claim) == ["ok"]
    await room.owner.execute("update public.workers set stopped_at = now()")


async def test_a_sweep_that_did_all_it_may_says_that_there_is_more_to_do(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    await room.owner.execute("update public.lanes set capacity = 10 where session_id = %s", (session_id,))
    for _ in range(3):
        await operator.call("create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"})
    for claim in await worker.claim(10):
        await expire(room, claim["run_id"])
    answers = [await worker.call("sweep_runs", p_limit=2) for _ in range(2)]
    assert [(a["lost"], a["due_in"]) for a in answers] == [(2, 0), (1, None)]
