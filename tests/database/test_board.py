"""What the board asks of the database: whom a session needs, what a person has seen, and the order of a lane by hand."""

import random
import uuid
from typing import Any

import psycopg
import pytest

from tests.database.conftest import TEMPLATE, Person, Room, Worker

LANES = ("A", "B")


async def queue(operator: Person, session_id: str, **more: Any) -> str:
    args = {"p_template": "greet", "p_params": {"name": "ada"}} | more
    return (await operator.call("create_run", p_session_id=session_id, **args))["id"]


def ids(*runs: Any) -> str:
    """As Postgres writes an array."""
    return "{" + ",".join(map(str, runs)) + "}"


async def listed(person: Person, session_id: str, archived: bool = False) -> dict[str, Any]:
    sessions = await person.call("list_sessions", p_archived=archived)
    return next(item for item in sessions if item["id"] == session_id)


async def waiting(person: Person, session_id: str, lane: str) -> list[str]:
    board = await person.call("read_board", p_session_id=session_id)
    return [run["id"] for run in next(item for item in board["lanes"] if item["lane"] == lane)["queue"]]


async def fail(operator: Person, session_id: str, worker: Worker) -> str:
    run_id = await queue(operator, session_id)
    (claim,) = await worker.claim()
    await worker.start(claim)
    await worker.finish(claim, "failed", "step_failed", message="no")
    return run_id


async def test_a_failure_needs_each_person_until_they_have_seen_it(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    viewer = await room.person("viewer")
    run_id = await fail(operator, session_id, worker)
    for person in (operator, viewer):
        item = await listed(person, session_id)
        assert (item["failed"], item["unseen"], item["last_status"]) == (1, 1, "failed")
    assert await viewer.call("mark_seen", p_run_ids=ids(run_id, uuid.uuid4())) == 1
    assert await viewer.call("mark_seen", p_run_ids=ids(run_id)) == 0
    assert (await listed(viewer, session_id))["unseen"] == 0
    assert (await listed(operator, session_id))["unseen"] == 1
    assert (await viewer.call("read_run", p_run_id=run_id))["run"]["seen"] is True
    assert (await operator.call("read_run", p_run_id=run_id))["run"]["seen"] is False
    async with room.acting("authenticated", operator.user_id) as connection:
        rows = await (await connection.execute("select count(*) from public.seen_runs")).fetchone()
    assert rows == (0,), "a person sees their own rows only"


async def test_the_failures_of_a_session_are_seen_at_once_and_live_runs_are_not(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    for _ in range(3):
        await fail(operator, session_id, worker)
    live = await queue(operator, session_id)
    assert await operator.call("mark_seen", p_session_id=session_id) == 3
    assert await operator.call("mark_seen", p_run_ids=ids(live)) == 0
    assert (await listed(operator, session_id))["unseen"] == 0


async def test_a_failure_that_is_retried_or_older_than_the_membership_needs_nobody(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    run_id = await fail(operator, session_id, worker)
    newcomer = await room.person("operator")
    item = await listed(newcomer, session_id)
    assert (item["failed"], item["unseen"]) == (1, 0)
    await operator.call("retry_run", p_run_id=run_id)
    item = await listed(operator, session_id)
    assert (item["failed"], item["unseen"], item["queued"]) == (0, 0, 1)


async def test_what_waits_for_an_approval_shows_in_the_list_and_on_its_card(
    room: Room, operator: Person, session_id: str
) -> None:
    spec = TEMPLATE | {"slug": "asks-first", "risk": "block"}
    await room.store_template(spec)
    run_id = await queue(operator, session_id, p_template="asks-first")
    assert (await listed(operator, session_id))["waiting"] == 1
    card = (await operator.call("read_run", p_run_id=run_id))["run"]
    assert (card["awaiting_approval"], card["waiting_gate"]) == (True, "")
    await operator.call("cancel_run", p_run_id=run_id)
    assert (await listed(operator, session_id))["waiting"] == 0


async def test_what_is_seen_rings_for_the_persons_other_tabs(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    run_id = await fail(operator, session_id, worker)
    await room.owner.execute("delete from realtime.messages")
    await operator.call("mark_seen", p_run_ids=ids(run_id))
    rung = await room.column("select topic from realtime.messages")
    assert sorted(rung) == [f"session:{session_id}", "sessions"]


@pytest.mark.parametrize("seed", range(3))
async def test_runs_stand_where_they_were_placed(room: Room, operator: Person, session_id: str, seed: int) -> None:
    """Any placings in any order of two lanes, with priorities, give what moving items of two lists gives."""
    chance = random.Random(seed)
    lists: dict[str, list[str]] = {lane: [] for lane in LANES}
    for _ in range(8):
        lane = chance.choice(LANES)
        await queue(operator, session_id, p_lane=lane, p_priority=chance.choice((-5, 0, 0, 0, 7)))
    for lane in LANES:
        lists[lane] = await waiting(operator, session_id, lane)
    if seed == 2:  # the same time for all: there is room between no two of them
        await room.owner.execute(
            "update public.runs set place_at = '2026-01-01', priority = 0 where session_id = %s", (session_id,)
        )
        lists = {lane: await waiting(operator, session_id, lane) for lane in LANES}
    for _ in range(30):
        source, target = chance.choice(LANES), chance.choice(LANES)
        if not lists[source]:
            continue
        run_id = chance.choice(lists[source])
        lists[source].remove(run_id)
        at = chance.randint(0, len(lists[target]))
        before = lists[target][at] if at < len(lists[target]) else None
        lists[target].insert(at, run_id)
        placed = [await operator.call("place_run", p_run_id=run_id, p_lane=target, p_before=before) for _ in range(2)]
        assert placed[0] == placed[1], "the same call again changes nothing"
        assert {lane: await waiting(operator, session_id, lane) for lane in LANES} == lists


async def test_a_run_is_not_placed_before_one_that_has_left_the_lane(
    operator: Person, session_id: str, worker: Worker
) -> None:
    first, second = [await queue(operator, session_id) for _ in range(2)]
    await worker.claim()
    for run_id, before in ((second, first), (first, None)):
        with pytest.raises(psycopg.Error) as refused:
            await operator.call("place_run", p_run_id=run_id, p_lane="A", p_before=before)
        assert refused.value.sqlstate == "ORC05"
    assert await waiting(operator, session_id, "A") == [second]


async def test_workers_take_runs_in_the_placed_order(operator: Person, session_id: str, worker: Worker) -> None:
    runs = [await queue(operator, session_id) for _ in range(3)]
    await operator.call("place_run", p_run_id=runs[2], p_lane="A", p_before=runs[0])
    (claim,) = await worker.claim()
    assert claim["run_id"] == runs[2]


async def test_a_ring_names_the_lanes_that_changed_and_they_are_read_alone(
    room: Room, operator: Person, session_id: str
) -> None:
    run_id = await queue(operator, session_id, p_lane="B")
    await room.owner.execute("delete from realtime.messages")
    await operator.call("place_run", p_run_id=run_id, p_lane="D")
    (lanes,) = await room.column(
        "select payload -> 'lanes' from realtime.messages where topic = %s", f"session:{session_id}"
    )
    assert lanes == ["B", "D"]
    board = await operator.call("read_board", p_session_id=session_id, p_lanes="{B,D}")
    assert [(lane["lane"], lane["queued"]) for lane in board["lanes"]] == [("B", 0), ("D", 1)]


async def test_what_is_held_back_does_not_wait_for_a_worker(room: Room, operator: Person, session_id: str) -> None:
    await room.clear_queue()
    for lane in ("A", "B"):
        await queue(operator, session_id, p_lane=lane)
    assert (await operator.call("read_fleet"))["queued"] == 2
    await operator.call("set_lane", p_session_id=session_id, p_lane="A", p_paused=True)
    assert (await operator.call("read_fleet"))["queued"] == 1
    await operator.call("set_session_paused", p_session_id=session_id, p_paused=True)
    fleet = await operator.call("read_fleet")
    assert (fleet["queued"], fleet["oldest_queued_at"]) == (0, None)
