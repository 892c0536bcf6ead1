"""Runs of steps that do nothing: claimed and started in one commit, with both events, and free to be run again when lost."""

import json
import uuid
from typing import Any

from opsroom.domain.events import first_break
from tests.database.conftest import Person, Room, Worker
from tests.database.test_lifecycle import events
from tests.database.test_sweep import expire, row, successor

NOTHING = {"slug": "nothing-to-do", "title": "Nothing", "steps": [{"id": "one", "title": "One", "kind": "noop"}]}


async def batch(worker: Worker, request: uuid.UUID, limit: int = 10) -> dict[str, Any]:
    return await worker.call("claim_batch", p_worker_id=worker.id, p_limit=limit, p_request_id=request)


async def queued(room: Room, operator: Person, session_id: str, *templates: str) -> list[str]:
    await room.owner.execute("select private.seed_template(%s::json)", (json.dumps(NOTHING),))
    return [
        (await operator.call("create_run", p_session_id=session_id, p_template=t, p_params=p, p_lane=lane))["id"]
        for t, lane, p in (
            (t, lane, {} if t == NOTHING["slug"] else {"name": "ada"})
            for t, lane in zip(templates, "ABCD", strict=False)
        )
    ]


async def test_a_batch_names_each_template_once_and_starts_what_needs_nothing(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    first, second, other = await queued(room, operator, session_id, "nothing-to-do", "nothing-to-do", "greet")
    request = uuid.uuid4()
    answer = await batch(worker, request)
    assert {run["run_id"]: run["started"] for run in answer["runs"]} == {first: True, second: True, other: False}
    assert len(answer["specs"]) == 2
    assert all(run["template_digest"] in answer["specs"] for run in answer["runs"])
    assert await batch(worker, request) == answer, "the same request again gives the same answer"
    assert [event.type for event in await events(room, first)] == ["run.queued", "run.claimed", "run.started"]
    assert first_break(await events(room, first)) is None
    assert [event.type for event in await events(room, other)] == ["run.queued", "run.claimed"]
    started = await row(room, first)
    assert (started["status"], started["started_at"] is not None) == ("running", True)


async def test_one_that_is_lost_is_run_again_although_it_had_started(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    (run_id,) = await queued(room, operator, session_id, "nothing-to-do")
    (claim,) = (await batch(worker, uuid.uuid4()))["runs"]
    await expire(room, run_id)
    assert (await worker.call("sweep_runs"))["retried"] == 1
    again = await successor(room, run_id)
    assert again
    assert again["status"] == "queued"
    assert (await worker.finish(claim, "succeeded"))["verdict"] == "lost"


async def test_a_worker_of_protocol_1_starts_its_runs_itself(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    (run_id,) = await queued(room, operator, session_id, "nothing-to-do")
    (claim,) = await worker.claim()
    assert (await row(room, run_id))["status"] == "claimed"
    assert claim["spec"]["slug"] == "nothing-to-do"
    assert await worker.start(claim) == "started"
