"""Runs of steps that do nothing: claimed and started in one commit, with both events, and free to be run again when lost."""

import json
import uuid
from typing import Any

import psycopg
import pytest

from opsroom.domain.events import first_break
from tests.database.conftest import Person, Room, Worker, call
from tests.database.test_lifecycle import events
from tests.database.test_sweep import expire, row, successor

DONE = {"status": "succeeded", "exit_code": None}
STORY = [
    {"type": "step.started", "step": "one", "message": "One"},
    {"type": "step.finished", "step": "one", "message": "", "data": DONE},
]
NOTHING = {"slug": "nothing-to-do", "title": "Nothing", "steps": [{"id": "one", "title": "One", "kind": "noop"}]}


async def batch(worker: Worker, request: uuid.UUID, limit: int = 10) -> dict[str, Any]:
    return await worker.call("claim_batch", p_worker_id=worker.id, p_limit=limit, p_request_id=request)


async def queued(room: Room, operator: Person, session_id: str, *templates: str) -> list[str]:
    await room.store_template(NOTHING)
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
    assert {run["run_id"]: run["started"] for run in answer["runs"]} == {other: False}
    (alike,) = answer["alike"]
    assert {run["run_id"] for run in alike["runs"]} == {first, second}
    assert {about["template_digest"] for about in (alike, *answer["runs"])} == answer["specs"].keys()
    assert await batch(worker, request) == answer, "the same request again gives the same answer"
    assert [event.type for event in await events(room, first)] == ["run.queued", "run.claimed", "run.started"]
    assert first_break(await events(room, first)) is None
    assert [event.type for event in await events(room, other)] == ["run.queued", "run.claimed"]
    started = await row(room, first)
    assert (started["status"], started["started_at"] is not None) == ("running", True)


async def test_a_claim_waits_for_the_disk_unless_it_took_runs_that_need_nothing_and_no_others(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    async def claim() -> tuple[int, str]:
        """How many runs it takes, and how it is committed."""
        async with room.acting("service_role") as connection:
            answer = await call(connection, "claim_batch", p_worker_id=worker.id, p_limit=8, p_request_id=uuid.uuid4())
            how = await (await connection.execute("show synchronous_commit")).fetchone()
            assert how
            return len(answer["runs"]) + sum(len(alike["runs"]) for alike in answer["alike"]), how[0]

    assert await claim() == (0, "on")
    await queued(room, operator, session_id, "nothing-to-do", "nothing-to-do")
    assert await claim() == (2, "off")
    await queued(room, operator, session_id, "greet", "greet", "nothing-to-do", "greet")
    assert await claim() == (2, "on"), "of lanes C and D: one that needs nothing, and one that starts a command"


async def test_one_that_is_lost_is_run_again_although_it_had_started(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    (run_id,) = await queued(room, operator, session_id, "nothing-to-do")
    (claim,) = (await batch(worker, uuid.uuid4()))["alike"][0]["runs"]
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


async def both(room: Room, operator: Person, session_id: str, worker: Worker) -> list[dict[str, Any]]:
    await queued(room, operator, session_id, "nothing-to-do", "nothing-to-do")
    (alike,) = (await batch(worker, uuid.uuid4()))["alike"]
    return [{"run_id": run["run_id"], "claim_token": run["claim_token"]} for run in alike["runs"]]


async def test_runs_that_are_alike_end_in_one_call_and_once(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    runs = await both(room, operator, session_id, worker)
    for _ in range(2):  # the answer of the first one may have been lost
        assert await worker.call("finish_alike", p_runs=runs, p_events=STORY) == {"lost": []}
    for run in runs:
        ended = await row(room, run["run_id"])
        assert (ended["status"], ended["exit_code"]) == ("succeeded", 0)
        assert ended["queued_at"] < ended["claimed_at"] <= ended["started_at"] < ended["finished_at"]
        told = await events(room, run["run_id"])
        assert [(event.type, event.step, event.message) for event in told[2:]] == [
            ("run.started", None, "Started"), ("step.started", "one", "One"), ("step.finished", "one", ""),
            ("run.succeeded", None, "Succeeded"),
        ]  # fmt: skip
        assert first_break(told) is None
        (step,) = await room.column("select to_json(s) from public.run_steps as s where run_id = %s", run["run_id"])
        assert (step["status"], step["message"]) == ("succeeded", "")
        assert step["started_at"] == step["finished_at"]


async def test_one_that_was_lost_does_not_keep_the_other_from_ending(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    lost, kept = await both(room, operator, session_id, worker)
    await expire(room, lost["run_id"])
    await worker.call("sweep_runs")
    assert await worker.call("finish_alike", p_runs=[lost, kept], p_events=STORY) == {"lost": [lost["run_id"]]}
    assert (await row(room, kept["run_id"]))["status"] == "succeeded"
    assert [event.type for event in await events(room, lost["run_id"])][-2:] == ["run.failed", "late_evidence"]


async def test_another_token_ends_nothing(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    mine, other = await both(room, operator, session_id, worker)
    thief = mine | {"claim_token": other["claim_token"]}
    assert await worker.call("finish_alike", p_runs=[thief], p_events=STORY) == {"lost": [mine["run_id"]]}
    assert (await row(room, mine["run_id"]))["status"] == "running"


@pytest.mark.parametrize("story", [[], STORY[:1], [STORY[0], STORY[1] | {"data": {"status": "failed"}}], STORY[::-1]])
async def test_a_story_without_every_step_s_success_is_refused(
    room: Room, operator: Person, session_id: str, worker: Worker, story: list[dict[str, Any]]
) -> None:
    runs = await both(room, operator, session_id, worker)
    with pytest.raises(psycopg.Error) as refused:
        await worker.call("finish_alike", p_runs=runs, p_events=story)
    assert refused.value.sqlstate == "ORC05"
    assert [(await row(room, run["run_id"]))["status"] for run in runs] == ["running", "running"]


@pytest.mark.parametrize(("inputs", "immediate"), [({}, True), ({"a": 1}, False)])
async def test_a_step_with_no_inputs_is_as_immediate_as_one_without(
    room: Room, inputs: dict[str, Any], immediate: bool
) -> None:
    spec = NOTHING | {"steps": [{"id": "one", "title": "One", "kind": "noop", "with": inputs}]}
    assert await room.value("select private.is_immediate(%s)", json.dumps(spec)) is immediate
