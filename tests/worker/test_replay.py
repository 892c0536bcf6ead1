"""Every call may be answered and the answer be lost: the same call again changes nothing. Over the Postgres transport."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from pydantic import JsonValue

from opsroom.domain.errors import BatchGap, WorkerNotFound
from tests.worker.room import Room, eventually
from workers.store import Batch, Claim, End, Store
from workers.store.postgres import PostgresTransport

OUTPUT: dict[str, JsonValue] = {
    "type": "output",
    "step": "s1",
    "level": "info",
    "message": "x",
    "data": {"stream": "stdout"},
}


@asynccontextmanager
async def store_of(room: Room, worker_id: str | None = None) -> AsyncGenerator[Store]:
    store = Store(PostgresTransport(room.stack.database_url("worker"), 2), worker_id or str(uuid.uuid4()))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def register(store: Store) -> None:
    await store.register_worker(name="replay", host="here", pid=1, version="0", capacity=4)


async def claim_one(store: Store, room: Room, run_id: str) -> Claim:
    """This run and no other: whatever else is queued is not ours to take."""
    await room.sql("update runs set priority = 100 where id = %s", run_id)
    claims = (await store.claim_runs(1, str(uuid.uuid4()))).runs
    assert [claim.run_id for claim in claims] == [run_id]
    return claims[0]


async def test_every_call_of_a_run_twice_leaves_one_run_with_its_events_once(room: Room) -> None:
    run_id = await room.launch_script("true")
    async with store_of(room) as store:
        for _ in range(2):
            await register(store)
        request = str(uuid.uuid4())
        await room.sql("update runs set priority = 100 where id = %s", run_id)
        first, again = await store.claim_runs(1, request), await store.claim_runs(1, request)
        assert first == again
        claim = first.runs[0]
        assert [(await store.start_run(claim)).verdict for _ in range(2)] == ["started", "started"]
        started: dict[str, JsonValue] = {**OUTPUT, "type": "step.started", "message": "", "data": {}}
        done: dict[str, JsonValue] = {
            **started,
            "type": "step.finished",
            "data": {"status": "succeeded", "exit_code": 0},
        }
        for _ in range(2):
            assert (await store.append_events(claim, Batch(1, [started, OUTPUT]))).verdict == "ok"
        for _ in range(2):
            assert (await store.append_events(claim, Batch(2, [done]))).verdict == "ok"
        with pytest.raises(BatchGap):
            await store.append_events(claim, Batch(4, [OUTPUT]))
        link: dict[str, JsonValue] = {
            "name": "site",
            "kind": "link",
            "media_type": "text/html",
            "url": "https://example.com",
        }
        for _ in range(2):
            assert (await store.put_artifact(claim, link)).verdict == "ok"
        beats = [await store.heartbeat([(claim.run_id, claim.claim_token)]) for _ in range(2)]
        assert [beat[0].verdict for beat in beats] == ["ok", "ok"]
        for _ in range(2):
            assert (await store.finish_run(claim, End("succeeded", exit_code=0))).verdict == "ok"
        for _ in range(2):
            await store.drain_worker()
            await store.stop_worker()
    kinds = [event["type"] for event in await room.events(run_id)]
    assert kinds == [
        "run.queued", "run.claimed", "run.started", "step.started", "output", "step.finished", "artifact.added", "run.succeeded",
    ]  # fmt: skip


async def test_a_wrong_token_is_lost_everywhere_and_writes_nothing(room: Room) -> None:
    run_id = await room.launch_script("true")
    async with store_of(room) as store:
        await register(store)
        claim = await claim_one(store, room, run_id)
        assert (await store.start_run(claim)).verdict == "started"
        before = await room.events(run_id)
        thief = claim.model_copy(update={"claim_token": str(uuid.uuid4())})
        assert (await store.start_run(thief)).verdict == "lost"
        assert (await store.append_events(thief, Batch(1, [OUTPUT]))).verdict == "lost"
        assert (await store.heartbeat([(thief.run_id, thief.claim_token)]))[0].verdict == "lost"
        assert (await store.finish_run(thief, End("succeeded", exit_code=0))).verdict == "lost"
        assert await room.events(run_id) == before
        assert (await store.finish_run(claim, End("cancelled", "cancelled_by_person"))).verdict == "ok"


async def test_a_late_result_is_kept_as_evidence_and_changes_nothing(room: Room) -> None:
    run_id = await room.launch_script("true", lease_seconds=5)
    async with store_of(room) as store:
        await register(store)
        claim = await claim_one(store, room, run_id)
        assert (await store.start_run(claim)).verdict == "started"
        await room.sql(
            "update runs set lease_expires_at = clock_timestamp() - interval '1 second' where id = %s", run_id
        )

        async def swept() -> bool:
            await store.sweep_runs()
            return (await room.run(run_id))["status"] == "failed"

        # A database that has just started leaves every lease its whole length.
        await eventually(swept, "the run to be swept", 10)
        for _ in range(2):
            assert (await store.finish_run(claim, End("succeeded", exit_code=0))).verdict == "lost"
    run = await room.run(run_id)
    assert (run["status"], run["reason"]) == ("failed", "lost")
    assert [event["type"] for event in await room.events(run_id)][-2:] == ["run.failed", "late_evidence"]


async def test_a_run_cancelled_between_claim_and_start_is_never_started(room: Room) -> None:
    run_id = await room.launch_script("true")
    async with store_of(room) as store:
        await register(store)
        claim = await claim_one(store, room, run_id)
        await room.call("select cancel_run(%s)", run_id)
        assert (await store.heartbeat([(claim.run_id, claim.claim_token)]))[0].verdict == "cancel"
        assert [(await store.start_run(claim)).verdict for _ in range(2)] == ["cancel", "cancel"]
        for _ in range(2):
            assert (await store.finish_run(claim, End("cancelled", "cancelled_by_person"))).verdict == "ok"
    run = await room.run(run_id)
    assert (run["status"], run["started_at"]) == ("cancelled", None)


async def test_a_worker_nobody_knows_is_told_to_register(room: Room) -> None:
    async with store_of(room) as store:
        with pytest.raises(WorkerNotFound):
            await store.heartbeat([])


async def test_params_travel_unharmed_through_the_transport(room: Room) -> None:
    text = "'; drop table runs; -- \\ %s %(x)s $1 \u2028 😀" + hashlib.sha256(b"x").hexdigest()
    slug = await room.template([{"with": {"script": "true"}}], params={"properties": {"t": {"type": "string"}}})
    run_id = await room.launch(slug, {"t": text})
    async with store_of(room) as store:
        await register(store)
        claim = await claim_one(store, room, run_id)
        assert claim.params == {"t": text}
        await store.start_run(claim)
        await store.append_events(claim, Batch(1, [{**OUTPUT, "message": text}]))
        await store.finish_run(claim, End("failed", "worker_error", text))
    assert (await room.run(run_id))["message"] == text
    assert text in [event["message"] for event in await room.events(run_id)]
