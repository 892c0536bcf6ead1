"""The checker is worth something: with a promise's mechanism switched off, it turns red and names the rule."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.ward import Ward, fence
from tests.worker.room import WorkerProcess

LINK = {"name": "late", "kind": "link", "media_type": "text/html", "url": "https://example.com"}


@asynccontextmanager
async def mutated(ward: Ward, function: str, *changes: tuple[str, str]) -> AsyncIterator[None]:
    """`private` or `public` function with parts of its text replaced; as it was afterwards."""
    (row,) = await ward.sql("select pg_get_functiondef(%s::regproc) as text", function)
    text = row["text"]
    for old, new in changes:
        assert old in text, f"{function} does not say {old!r} any more: mend the mutation"
        text = text.replace(old, new)
    await ward.admin(text)
    try:
        yield
    finally:
        await ward.admin(row["text"])


async def assert_red(ward: Ward, rule: str, **about: object) -> None:
    with pytest.raises(AssertionError) as caught:
        await ward.check(**about)
    assert rule in str(caught.value), str(caught.value)
    assert "run " in str(caught.value)


async def lost_claim(ward: Ward) -> dict[str, object]:
    run_id = await ward.go()
    (claim,) = await ward.claim(await ward.hands())
    assert await ward.start(claim) == "started"
    await ward.lose(run_id)
    return claim


NO_FENCE = (
    "if v_run.claim_token = p_claim_token and v_run.status in ('claimed', 'running') then",
    "if v_run.claim_token = p_claim_token then",
)


async def test_without_the_fence_a_late_artifact_is_accepted_and_found(ward: Ward) -> None:
    claim = await lost_claim(ward)
    await ward.check(witnessed=False)
    async with mutated(ward, "private.lock_claim", NO_FENCE):
        answer = await ward.service("put_artifact", **fence(claim), p_artifact=LINK)
        assert answer["verdict"] == "ok", "the mutation works"
    await assert_red(ward, "no accepted write after the fence", witnessed=False)


async def test_without_the_fence_and_the_lifecycle_trigger_late_events_are_accepted_and_found(ward: Ward) -> None:
    claim = await lost_claim(ward)
    await ward.check(witnessed=False)
    async with mutated(ward, "private.lock_claim", NO_FENCE):
        await ward.sql("alter table public.runs disable trigger check_change")
        try:
            assert await ward.append(claim, 1, {"type": "log", "message": "late"}) == "ok", "the mutation works"
        finally:
            await ward.sql("alter table public.runs enable trigger check_change")
    await assert_red(ward, "no accepted write after the fence", witnessed=False)


async def test_a_worker_that_spawns_before_its_start_is_committed_is_found(ward: Ward) -> None:
    run_id = await ward.go(seconds=1.2)
    command = (sys.executable, "-m", "tests.faults.spawn_first")
    worker = await WorkerProcess.start(ward.environment(), ward.folder / "mutant.log", command)
    try:
        assert (await ward.until(run_id))["finished_at"]
    finally:
        await worker.kill()
    await assert_red(ward, "every start was committed before")


async def test_without_the_lock_of_the_lane_two_claims_take_the_same_slot_and_it_is_found(ward: Ward) -> None:
    slug = await ward.witnessed()
    for _ in range(8):
        await ward.launch(slug)
    workers = [await ward.hands() for _ in range(4)]
    unlocked = ("for no key update of l skip locked", "")
    # Between count and claim: each has counted before the first one has claimed, however late it came.
    slowly = ("with taken as", "perform pg_sleep(1);\n    with taken as")
    async with mutated(ward, "private.take_runs", unlocked), mutated(ward, "private.claim_lanes", slowly):
        claims = await asyncio.gather(*(ward.claim(worker) for worker in workers))
    assert sum(map(len, claims)) > 1, "the mutation works"
    await assert_red(ward, "lanes within capacity", witnessed=False)


async def test_without_materialized_a_claim_takes_more_than_the_lane_has_and_it_is_found(ward: Ward) -> None:
    """`where id in (select … limit n for update skip locked)` may be evaluated anew for each row: then n is not n."""
    slug = await ward.witnessed()
    for _ in range(8):
        await ward.launch(slug)
    # So that every index of runs has them in the queue's order: which one the planner takes does not matter then.
    await ward.sql("alter table public.runs disable trigger user")
    await ward.sql(
        "update runs as r set queued_at = queued_at - make_interval(secs => n), place_at = place_at + make_interval(secs => n)"
        " from (select id, row_number() over (order by id) as n from runs where session_id = %s) as q where q.id = r.id",
        ward.session_id,
    )
    await ward.sql("alter table public.runs enable trigger user")
    (row,) = await ward.sql("select pg_get_functiondef('private.claim_lanes'::regproc) as text")
    begin, end, after = (row["text"].index(at) for at in ("  loop\n", "    with taken as", "    claimed := claimed"))
    naive = """
    where r.status = 'queued' and r.session_id = p_lanes[1].session_id and r.lane = p_lanes[1].lane and r.id in (
      select q.id from public.runs as q
      where q.status = 'queued' and q.session_id = p_lanes[1].session_id and q.lane = p_lanes[1].lane
      order by q.priority desc, q.place_at, q.id
      limit p_lanes[1].capacity
      for update of q skip locked)"""
    answer = "claimed := array(select id from public.runs where claim_request = p_request_id);\nend;\n$function$"
    # The plan that real databases fall into with fresh statistics, made certain: for each run of an index, in its order, the
    # subquery is evaluated anew, skips what this statement has changed, and gives that very run.
    ways = ("hashjoin", "mergejoin", "material", "memoize", "hashagg", "sort", "seqscan", "bitmapscan", "indexonlyscan")
    plan = "".join(f"SET enable_{way} TO off " for way in ways) + "\nAS $function$"
    changes = (
        (row["text"][begin:end], "  v_now := clock_timestamp();\n"),
        ("where r.id = any (v_going)", naive),
        (row["text"][after:].rstrip(), answer),
        ("AS $function$", plan),
    )
    async with mutated(ward, "private.claim_lanes", *changes):
        claims = await ward.claim(await ward.hands(), 8)
    assert len(claims) == 8, "the mutation works"
    await assert_red(ward, "lanes within capacity", witnessed=False)
