"""Runs that their concurrency key or their template's rate holds back: they keep their place, and those behind them go."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.database.conftest import Person, Room, Worker
from tests.database.queued import queue, seed


async def rated(room: Room, runs: int, **more: Any) -> str:
    return await seed(room, f"rated-{uuid.uuid4().hex[:6]}", rate_limit={"runs": runs, "per_seconds": 3600}, **more)


async def ids(worker: Worker, limit: int = 9) -> list[str]:
    return [claim["run_id"] for claim in await worker.claim(limit)]


@asynccontextmanager
async def another_claim_decides(room: Room, what: str) -> AsyncIterator[None]:
    """As it is between another claim's look at a key or a rate and its commit."""
    async with room.owner.transaction():
        await room.owner.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"opsroom.{what}",))
        yield


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


async def test_what_a_rate_holds_back_keeps_its_place_and_not_its_lanes_turn(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slow, plain = await rated(room, 1), await seed(room, "plain")
    await queue(operator, session_id, slow, "D")
    assert len(await worker.claim()) == 1
    held = [await queue(operator, session_id, slow) for _ in range(3)]
    behind = [await queue(operator, session_id, plain) for _ in range(2)]
    (claim,) = await worker.claim(1)
    assert claim["run_id"] == behind[0]
    await worker.succeed(claim)
    await room.owner.execute("update public.runs set rate_runs = 2 where id = any (%s)", (held,))
    assert await ids(worker) == [held[0]], "as soon as its rate has room it is the next one, where it has always been"


async def test_a_claim_takes_what_is_left_of_a_rate_and_fills_its_lanes_with_others(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slow, plain = await rated(room, 2), await seed(room, "plain")
    await operator.call("set_lane", p_session_id=session_id, p_lane="A", p_capacity=4)
    first = [await queue(operator, session_id, slow) for _ in range(5)]
    others = [await queue(operator, session_id, plain) for _ in range(3)]
    assert set(await ids(worker, 3)) == {*first[:2], others[0]}, "never more than it asked for"
    assert await ids(worker) == [others[1]], "never more than the lane has slots for"
    assert await ids(worker) == []


async def test_lanes_share_what_is_left_of_a_rate(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slow, plain = await rated(room, 1), await seed(room, "plain")
    first = await queue(operator, session_id, slow, "A")
    await queue(operator, session_id, slow, "B")
    behind = await queue(operator, session_id, plain, "B")
    assert set(await ids(worker)) == {first, behind}


async def test_one_held_template_after_another_is_passed_by(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slow = [await rated(room, 1) for _ in range(3)]
    keyed = await seed(room, "upgrade", concurrency_key="{{ params.database }}")
    for slug, lane in zip(slow, "BCD", strict=True):
        await queue(operator, session_id, slug, lane)
    other = (await operator.call("create_session", p_title="Other"))["id"]
    await queue(operator, other, keyed, database="prod")
    assert len(await worker.claim(9)) == 4
    for slug in slow:
        await queue(operator, session_id, slug)
        await queue(operator, session_id, keyed, database="prod")
    last = await queue(operator, session_id, await seed(room, "plain"))
    assert await ids(worker) == [last]


async def test_each_run_goes_by_the_rate_of_its_own_version(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slug = await rated(room, 1)
    await queue(operator, session_id, slug, "B")
    assert len(await worker.claim()) == 1
    await queue(operator, session_id, slug)
    await seed(room, slug, rate_limit={"runs": 2, "per_seconds": 3600})
    faster = await queue(operator, session_id, slug)
    assert await ids(worker) == [faster]
    assert await ids(worker) == []


async def test_what_a_rate_holds_back_takes_no_key(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    key = "{{ params.database }}"
    slug = await rated(room, 1, concurrency_key=key)
    await queue(operator, session_id, slug, "D", database="test")
    assert len(await worker.claim()) == 1
    await queue(operator, session_id, slug, database="prod")
    await seed(room, slug, concurrency_key=key)
    behind = await queue(operator, session_id, slug, database="prod")
    assert await ids(worker) == [behind]


async def test_a_key_that_another_claim_is_about_to_take_is_passed_by(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    slug = await seed(room, f"keyed-{uuid.uuid4().hex[:6]}", concurrency_key="all")
    keyed = await queue(operator, session_id, slug)
    behind = await queue(operator, session_id, await seed(room, "plain"))
    assert await room.value("select concurrency_key from public.runs where id = %s", keyed) == f"{slug}:all"
    async with another_claim_decides(room, f"key:{slug}:all"):
        claims = [claim for claim in await worker.claim(9) if claim["session_id"] == session_id]
    assert [claim["run_id"] for claim in claims] == [behind], f"{keyed} is held"
    await worker.succeed(claims[0])
    assert keyed in await ids(worker)


@pytest.mark.parametrize(
    ("used", "goes"),
    [
        pytest.param(1, "behind", id="used up, whatever the other one does"),
        pytest.param(0, None, id="not known: it may be its turn"),
    ],
)
async def test_a_rate_that_another_claim_decides_about_is_passed_by_only_if_it_is_used_up(
    room: Room, operator: Person, session_id: str, worker: Worker, used: int, goes: str | None
) -> None:
    slow = await rated(room, 1)
    for _ in range(used):
        await queue(operator, session_id, slow, "B")
        assert len(await worker.claim()) == 1
    runs = {"held": await queue(operator, session_id, slow)}
    runs["behind"] = await queue(operator, session_id, await seed(room, "plain"))
    async with another_claim_decides(room, f"rate:{slow}"):
        assert await ids(worker) == ([runs[goes]] if goes else [])
    assert await ids(worker) == ([] if goes else [runs["held"]])


async def test_claims_at_once_keep_to_a_rate_and_none_of_them_leaves_the_others_behind(
    room: Room, operator: Person, worker: Worker
) -> None:
    slow, plain = await rated(room, 5), await seed(room, "plain")
    for number in range(6):
        session = (await operator.call("create_session", p_title=f"Rate {number}"))["id"]
        for lane in "ABCD":
            for slug in (slow, plain, slow, plain):
                await queue(operator, session, slug, lane)
    workers = [await room.worker() for _ in range(6)]
    done = {slow: 0, plain: 0}
    async with asyncio.timeout(60):
        while done != {slow: 5, plain: 48}:
            for one, claims in zip(workers, await asyncio.gather(*(w.claim(4) for w in workers)), strict=True):
                for claim in claims:
                    done[claim["template_slug"]] += 1
                    await one.succeed(claim)
            assert done[slow] <= 5
    assert await worker.claim(100) == []
