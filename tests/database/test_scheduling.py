"""Which run goes next: pauses, moves, retries, and a fair share for every session."""

import uuid

import psycopg
import pytest

from tests.database.conftest import Person, Room, Worker
from tests.database.queued import queue, seed


async def test_a_paused_lane_keeps_its_queue(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    slug = await seed(room, "plain")
    held, free = await queue(operator, session_id, slug, "A"), await queue(operator, session_id, slug, "B")
    first, again = [
        await operator.call("set_lane", p_session_id=session_id, p_lane="A", p_paused=True) for _ in range(2)
    ]
    assert first["paused_at"] == again["paused_at"] is not None
    assert [c["run_id"] for c in await worker.claim(9)] == [free]
    await operator.call("set_lane", p_session_id=session_id, p_lane="A", p_paused=False)
    assert [c["run_id"] for c in await worker.claim(9)] == [held]


async def test_a_paused_session_keeps_its_queue(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    run = await queue(operator, session_id, await seed(room, "plain"))
    await operator.call("set_session_paused", p_session_id=session_id, p_paused=True)
    assert await worker.claim(9) == []
    await operator.call("set_session_paused", p_session_id=session_id, p_paused=False)
    assert [c["run_id"] for c in await worker.claim(9)] == [run]


async def test_capacity_is_changed_while_runs_go_on(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slug = await seed(room, "plain")
    for _ in range(4):
        await queue(operator, session_id, slug)
    assert len(await worker.claim(9)) == 1
    await operator.call("set_lane", p_session_id=session_id, p_lane="A", p_capacity=3)
    assert len(await worker.claim(9)) == 2
    await operator.call("set_lane", p_session_id=session_id, p_lane="A", p_capacity=1)
    assert await worker.claim(9) == []
    for bad in (0, 101):
        with pytest.raises(psycopg.Error) as refused:
            await operator.call("set_lane", p_session_id=session_id, p_lane="A", p_capacity=bad)
        assert refused.value.sqlstate == "ORV02"


async def test_a_queued_run_is_moved_and_a_claimed_one_is_not(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slug = await seed(room, "plain")
    first, second = await queue(operator, session_id, slug), await queue(operator, session_id, slug)
    moved = await operator.call("move_run", p_run_id=second, p_priority=10)
    assert (moved["lane"], moved["priority"]) == ("A", 10)
    assert [c["run_id"] for c in await worker.claim(9)] == [second]
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("move_run", p_run_id=second, p_lane="B")
    assert refused.value.sqlstate == "ORC05"
    await operator.call("move_run", p_run_id=first, p_lane="D")
    assert [c["lane"] for c in await worker.claim(9)] == ["D"]


async def test_sessions_share_the_workers(room: Room, operator: Person, worker: Worker) -> None:
    """A session that queued first and most does not keep a later one waiting."""
    slug = await seed(room, "plain")
    greedy, modest = [(await operator.call("create_session", p_title=t))["id"] for t in ("Greedy", "Modest")]
    for lane in "ABCD":
        for _ in range(3):
            await queue(operator, greedy, slug, lane)
    late = await queue(operator, modest, slug)
    first, second = await worker.claim(1), await worker.claim(1)
    assert first[0]["session_id"] == greedy
    assert second[0]["run_id"] == late


async def test_a_wide_lane_does_not_swallow_a_whole_claim(room: Room, operator: Person, worker: Worker) -> None:
    slug = await seed(room, "plain")
    sessions = [(await operator.call("create_session", p_title=t))["id"] for t in ("Wide", "Narrow")]
    await operator.call("set_lane", p_session_id=sessions[0], p_lane="A", p_capacity=50)
    for _ in range(10):
        await queue(operator, sessions[0], slug)
    await queue(operator, sessions[1], slug)
    claims = await worker.claim(6)
    assert len(claims) == 6
    assert {c["session_id"] for c in claims} == set(sessions)


async def test_a_retry_keeps_the_place_of_its_lane(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slug = await seed(room, "plain")
    first, second = await queue(operator, session_id, slug), await queue(operator, session_id, slug)
    (claim,) = await worker.claim()
    await worker.start(claim)
    await worker.finish(claim, "failed", "step_failed")
    retry = await operator.call("retry_run", p_run_id=first)
    assert [c["run_id"] for c in await worker.claim()] == [retry["id"]]
    assert await room.value("select status from public.runs where id = %s", second) == "queued"


async def test_a_resumed_retry_carries_what_succeeded(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    run = await queue(operator, session_id, await seed(room, "plain"))
    (claim,) = await worker.claim()
    await worker.start(claim)
    await worker.append(
        claim,
        1,
        {"type": "step.started", "step": "first"},
        {"type": "step.finished", "step": "first", "data": {"status": "succeeded", "exit_code": 0}},
        {"type": "step.started", "step": "second"},
    )
    await worker.call(
        "put_artifact",
        p_run_id=run,
        p_claim_token=claim["claim_token"],
        p_artifact={
            "name": "report",
            "kind": "link",
            "media_type": "text/html",
            "url": "https://example.test",
            "step": "first",
        },
    )
    await worker.finish(claim, "failed", "step_failed")
    retry = await operator.call("retry_run", p_run_id=run, p_resume=True)
    detail = await operator.call("read_run", p_run_id=retry["id"])
    assert [(s["status"], s["carried_from"]) for s in detail["steps"]] == [("succeeded", run), ("pending", None)]
    assert [(a["name"], a["carried_from"]) for a in detail["artifacts"]] == [("report", run)]
    (again,) = await worker.claim()
    assert [c["step"] for c in again["carried"]] == ["first"]
    await worker.start(again)
    events = [
        {"type": "step.started", "step": "second"},
        {"type": "step.finished", "step": "second", "data": {"status": "succeeded"}},
    ]
    assert (await worker.finish(again, "succeeded", batch=1, events=events))["status"] == "succeeded"


async def test_force_ends_a_run_at_once_and_its_worker_finds_it_lost(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    run = await queue(operator, session_id, await seed(room, "plain"))
    (claim,) = await worker.claim()
    await worker.start(claim)
    assert (await operator.call("cancel_run", p_run_id=run))["status"] == "running"
    assert await worker.beat(claim) == ["cancel"]
    assert (await operator.call("cancel_run", p_run_id=run, p_force=True))["status"] == "cancelled"
    assert await worker.beat(claim) == ["lost"]
    assert (await worker.finish(claim, "cancelled", "cancelled_by_person"))["status"] == "cancelled"


async def test_an_exhausted_run_is_a_dead_letter(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    retry = {"attempts": 2, "on": ["failed"], "backoff_seconds": 0}
    run = await queue(operator, session_id, await seed(room, "twice", retry=retry))
    attempts: list[str] = []
    for _ in range(2):
        (claim,) = await worker.claim()
        await worker.start(claim)
        await worker.finish(claim, "failed", "step_failed")
        attempts.append(claim["run_id"])
    assert attempts[0] == run
    detail = await operator.call("read_run", p_run_id=attempts[1])
    assert detail["run"]["dead_letter"] is True
    assert [(a["attempt"], a["status"]) for a in detail["attempts"]] == [(1, "failed"), (2, "failed")]
    assert (await operator.call("read_run", p_run_id=run))["run"]["dead_letter"] is False


async def test_a_worker_of_another_protocol_is_told_what_to_do(room: Room, worker: Worker) -> None:
    args = {"p_name": "w", "p_host": "h", "p_pid": 1, "p_version": "0", "p_capacity": 1, "p_transport": "https"}
    for protocol, advice in ((0, "Upgrade the worker."), (99, "Apply the newer migrations: supabase db push")):
        with pytest.raises(psycopg.Error) as refused:
            await worker.call("register_worker", p_worker_id=uuid.uuid4(), p_protocol=protocol, **args)
        assert refused.value.sqlstate == "ORC09"
        assert refused.value.diag.message_hint == advice


async def test_the_fleet_is_seen(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    await queue(operator, session_id, await seed(room, "plain"))
    await queue(operator, session_id, await seed(room, "plain"))
    await worker.claim()
    await worker.call("sweep_runs")
    fleet = await operator.call("read_fleet")
    mine = next(w for w in fleet["workers"] if w["id"] == str(worker.id))
    assert (mine["active"], mine["attached"]) == (1, False)
    assert (fleet["queued"], fleet["active"], fleet["stuck"]) == (1, 1, 0)
    assert fleet["last_sweep_at"]
    assert fleet["oldest_queued_at"]
