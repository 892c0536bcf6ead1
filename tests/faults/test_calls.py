"""Calls that come late, in the wrong order, twice, from many at once, or from somebody who holds nothing."""

from __future__ import annotations

import asyncio
import uuid
from itertools import permutations
from typing import Any

import psycopg
import pytest

from tests.faults.test_mutations import mutated
from tests.faults.ward import STEP, Ward
from tests.worker.room import eventually


async def end(ward: Ward, claim: dict[str, Any]) -> None:
    assert await ward.append(claim, 1, *STEP) == "ok"
    assert await ward.finish(claim) == "ok"


async def claimed(ward: Ward, **keys: Any) -> tuple[str, dict[str, Any]]:
    await ward.go(**keys)
    worker = await ward.hands()
    (claim,) = await ward.claim(worker)
    return worker, claim


@pytest.mark.parametrize("late", ["claim", "start", "append", "finish", "heartbeat", "release"])
async def test_a_call_that_arrives_again_after_the_end_of_its_run(ward: Ward, late: str) -> None:
    await ward.go()
    later = await ward.go()
    worker, request = await ward.hands(), str(uuid.uuid4())
    (claim,) = await ward.claim(worker, request=request)
    assert await ward.start(claim) == "started"
    await end(ward, claim)
    before = await ward.events(claim["run_id"])
    match late:
        case "claim":
            assert await ward.claim(worker, 100, request) == []
            assert (await ward.run(later))["status"] == "queued"
        case "start":
            assert await ward.start(claim) == "lost"
        case "append":
            assert await ward.append(claim, 2, *STEP) == "lost"
        case "finish":
            assert await ward.finish(claim) == "ok"
        case "heartbeat":
            held = [{"run_id": claim["run_id"], "claim_token": claim["claim_token"]}]
            (beat,) = await ward.service("heartbeat", p_worker_id=worker, p_runs=held)
            assert beat["verdict"] == "lost"
        case _:
            held = [{"run_id": claim["run_id"], "claim_token": claim["claim_token"]}]
            (answer,) = await ward.service("release_runs", p_runs=held)
            assert answer["verdict"] == "lost"
    assert await ward.events(claim["run_id"]) == before
    await ward.check(witnessed=False)


@pytest.mark.parametrize("order", list(permutations(("start", "append", "finish")))[1:], ids="-".join)
async def test_calls_in_any_other_order_are_refused_or_lost_and_the_run_ends_once(
    ward: Ward, order: tuple[str, ...]
) -> None:
    _, claim = await claimed(ward)

    async def call(name: str) -> None:
        try:
            match name:
                case "start":
                    await ward.start(claim)
                case "append":
                    await ward.append(claim, 1, *STEP)
                case _:
                    await ward.finish(claim)
        except psycopg.Error as error:
            assert (error.sqlstate or "").startswith("OR"), f"a domain error, not {error}"

    for name in (*order, *order):
        await call(name)
    run = await ward.run(str(claim["run_id"]))
    assert run["status"] in ("claimed", "running", "succeeded")
    if run["finished_at"] is None:
        await ward.finish(claim, "failed", "worker_error")
    await ward.check(witnessed=False)


async def test_all_calls_of_a_run_at_once_from_many_connections(ward: Ward) -> None:
    worker, claim = await claimed(ward)
    held = [{"run_id": claim["run_id"], "claim_token": claim["claim_token"]}]
    await asyncio.gather(*(ward.start(claim) for _ in range(5)))
    await asyncio.gather(
        *(ward.append(claim, 1, *STEP) for _ in range(5)),
        *(ward.service("heartbeat", p_worker_id=worker, p_runs=held) for _ in range(3)),
    )
    assert set(await asyncio.gather(*(ward.finish(claim) for _ in range(5)))) == {"ok"}
    history = await ward.check(witnessed=False)
    assert len(history.events[str(claim["run_id"])]) == 6


async def test_five_sweepers_at_once_end_every_lost_run_once(ward: Ward) -> None:
    slug = await ward.witnessed(retry=True)
    await ward.sql("update lanes set capacity = 100 where session_id = %s", ward.session_id)
    runs = [await ward.launch(slug) for _ in range(20)]
    claims = await ward.claim(await ward.hands(), 20)
    for claim in claims[:10]:
        assert await ward.start(claim) == "started"
    await ward.sql(
        "update runs set lease_expires_at = clock_timestamp() - interval '1 s' where id = any(%s::uuid[])", runs
    )
    await ward.sql("update private.sweep_state set held_until = clock_timestamp() - interval '1 s'")

    async def swept() -> bool:
        await asyncio.gather(*(ward.service("sweep_runs") for _ in range(5)))
        return not await ward.sql("select id from runs where id = any(%s::uuid[]) and finished_at is null", runs)

    await eventually(swept, "all to be swept", 45)  # a database that was just started gives leases their whole time
    rows = await ward.sql("select retry_of from runs where retry_of = any(%s::uuid[])", runs)
    assert len(rows) == len({row["retry_of"] for row in rows}) == 20
    await ward.check(witnessed=False)


async def test_two_workers_with_the_same_id_never_hold_the_same_run(ward: Ward) -> None:
    slug = await ward.witnessed()
    runs = {await ward.launch(slug, lane=lane) for lane in "ABCD"}
    twins = await ward.hands()
    claims = await asyncio.gather(*(ward.claim(twins, 2) for _ in range(2)))
    again = await ward.claim(twins, 100)
    held = [claim["run_id"] for group in (*claims, again) for claim in group]
    assert len(held) == len(set(held)) and set(held) == runs
    for claim in (claim for group in (*claims, again) for claim in group):
        assert await ward.start(claim) == "started"
        await end(ward, claim)
    await ward.check(witnessed=False)


async def test_a_thief_without_the_token_writes_nothing(ward: Ward) -> None:
    _, claim = await claimed(ward)
    assert await ward.start(claim) == "started"
    thief = {**claim, "claim_token": str(uuid.uuid4())}
    assert [await ward.start(thief), await ward.append(thief, 1, *STEP), await ward.finish(thief)] == ["lost"] * 3
    await end(ward, claim)
    await ward.check(witnessed=False)


async def test_what_a_lost_holder_writes_is_refused_and_its_result_kept_aside(ward: Ward) -> None:
    _, claim = await claimed(ward)
    assert await ward.start(claim) == "started"
    await ward.lose(str(claim["run_id"]))
    assert await ward.append(claim, 1, *STEP) == "lost"
    assert [await ward.finish(claim) for _ in range(2)] == ["lost", "lost"]
    history = await ward.check(witnessed=False)
    assert [e["type"] for e in history.events[str(claim["run_id"])]][-2:] == ["run.failed", "late_evidence"]


@pytest.mark.parametrize("table", ["runs", pytest.param("lanes", marks=pytest.mark.soak)])
async def test_somebody_sits_on_a_row_for_longer_than_the_lease(ward: Ward, table: str) -> None:
    """An open transaction, idle, in a forgotten console: it may cost that run or that lane, and nothing else."""
    hostage, other = await ward.go(seconds=8), await ward.launch(await ward.witnessed(seconds=8), lane="B")
    async with ward.worker() as worker:
        await ward.until_seen(hostage)
        await ward.until_seen(other)
        async with await psycopg.AsyncConnection.connect(ward.stack.database_url("postgres")) as console:
            if table == "runs":
                await console.execute("select from runs where id = %s for update", (hostage,))
            else:
                await console.execute(
                    "select from lanes where session_id = %s and lane = 'A' for update", (ward.session_id,)
                )
                fresh = await ward.launch(await ward.witnessed(), lane="C")
                assert (await ward.until(fresh))["status"] == "succeeded", "other lanes go on"
            assert (await ward.until(other, seconds=20))["status"] == "succeeded"
        run = await ward.until(hostage, seconds=20)
        assert (run["status"], run["reason"]) == (("failed", "lost") if table == "runs" else ("succeeded", None))
        assert worker.process.returncode is None
    await ward.check()


async def test_a_slot_that_comes_free_in_the_middle_of_a_claim_is_taken_later_than_it_was_given_back(
    ward: Ward,
) -> None:
    """A soak found it: by the database's times the lane held one run more than it takes, for as long as that claim took."""
    slug = await ward.witnessed()
    for _ in range(3):
        await ward.launch(slug)
    await ward.sql("update lanes set capacity = 2 where session_id = %s", ward.session_id)
    worker = await ward.hands()
    (first,) = await ward.claim(worker)
    assert await ward.start(first) == "started"
    slowly = ("with room as materialized", "perform pg_sleep(1);\n    with room as materialized")

    async def slow() -> bool:
        return bool(await ward.sql("select 1 from pg_stat_activity where wait_event = 'PgSleep'"))

    async with mutated(ward, "private.claim_lanes", slowly):
        claiming = asyncio.create_task(ward.claim(worker, 2))
        await eventually(slow, "the claim to be under way", 5)
        await end(ward, first)
        assert len(await claiming) == 2, "it has the slot that came free meanwhile"
    await ward.check(witnessed=False)
