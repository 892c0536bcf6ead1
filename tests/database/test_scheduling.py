"""Which run goes next: pauses, moves, keys, rates, and a fair share for every session."""

import asyncio
import json
import uuid
from typing import Any

import psycopg
import pytest

from tests.database.conftest import TEMPLATE, Person, Room, Worker

SPEC = TEMPLATE | {"params": {"properties": {"database": {"type": "string", "default": "odoo"}}}}


async def seed(room: Room, slug: str, **more: Any) -> str:
    await room.owner.execute("select private.seed_template(%s::json)", (json.dumps(SPEC | {"slug": slug} | more),))
    return slug


async def queue(operator: Person, session_id: str, template: str, lane: str = "A", **params: Any) -> str:
    run = await operator.call("create_run", p_session_id=session_id, p_template=template, p_params=params, p_lane=lane)
    return run["id"]


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


async def test_runs_with_one_key_go_one_after_another_across_sessions(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slug = await seed(room, "upgrade", concurrency_key="{{ params.database }}")
    other = (await operator.call("create_session", p_title="Other"))["id"]
    first = await queue(operator, session_id, slug, "A", database="prod")
    second = await queue(operator, other, slug, "A", database="prod")
    third = await queue(operator, other, slug, "B", database="test")
    claims = await worker.claim(9)
    assert {c["run_id"] for c in claims} == {first, third}
    await worker.succeed(next(c for c in claims if c["run_id"] == first))
    assert [c["run_id"] for c in await worker.claim(9)] == [second]


async def test_a_key_that_goes_elsewhere_does_not_keep_those_behind_it_waiting(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    """Two lanes' heads have the same key: one goes, and in the other's lane the next run does, in one and the same claim."""
    keyed, plain = await seed(room, "upgrade", concurrency_key="all"), await seed(room, "plain")
    first = await queue(operator, session_id, keyed, "A")
    blocked, behind = await queue(operator, session_id, keyed, "B"), await queue(operator, session_id, plain, "B")
    assert {c["run_id"] for c in await worker.claim(9)} == {first, behind}
    assert await worker.claim(9) == []
    assert (await operator.call("read_run", p_run_id=blocked))["run"]["status"] == "queued"


async def test_a_lane_with_slots_passes_over_a_key_that_it_just_took(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    keyed, plain = await seed(room, "upgrade", concurrency_key="all"), await seed(room, "plain")
    await operator.call("set_lane", p_session_id=session_id, p_lane="A", p_capacity=2)
    first, _ = [await queue(operator, session_id, keyed) for _ in range(2)]
    behind = await queue(operator, session_id, plain)
    assert {c["run_id"] for c in await worker.claim(9)} == {first, behind}


async def test_claims_at_once_never_share_a_key(room: Room, operator: Person, worker: Worker) -> None:
    slug = await seed(room, "upgrade", concurrency_key="all")
    for i in range(6):
        session = (await operator.call("create_session", p_title=f"Key {i}"))["id"]
        for lane in "ABCD":
            await queue(operator, session, slug, lane)
    workers = [await room.worker() for _ in range(6)]
    done = 0
    async with asyncio.timeout(60):
        while done < 24:
            claims = [c for answer in await asyncio.gather(*(w.claim(4) for w in workers)) for c in answer]
            assert len(claims) <= 1
            for claim in claims:
                await workers[[str(w.id) for w in workers].index(await owner_of(room, claim["run_id"]))].succeed(claim)
                done += 1


async def owner_of(room: Room, run_id: str) -> str:
    return str(await room.value("select claimed_by from public.runs where id = %s", run_id))


async def test_a_rate_limit_holds_runs_back(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    slug = await seed(room, f"rated-{uuid.uuid4().hex[:6]}", rate_limit={"runs": 2, "per_seconds": 3600})
    for lane in "ABCD":
        await queue(operator, session_id, slug, lane)
    assert len(await worker.claim(9)) == 2
    assert await worker.claim(9) == []
    await room.owner.execute("select public.claim_runs(%s, 0, gen_random_uuid())", (worker.id,))
    assert await room.value("select private.claimed_lately(%s, 3600)", slug) == 2


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
