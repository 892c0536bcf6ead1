"""A run's way through its lifecycle, and every way that must not exist."""

import asyncio
import itertools
import uuid
from typing import Any

import psycopg
import pytest

from opsroom.domain import lifecycle
from opsroom.domain.events import Event, first_break
from tests.database.conftest import Person, Room, Worker, held

STATUSES = ("queued", "claimed", "running", "succeeded", "failed", "cancelled", "timed_out")


async def create(operator: Person, session_id: str, **more: Any) -> dict[str, Any]:
    args = {"p_session_id": session_id, "p_template": "greet", "p_params": {"name": "ada"}} | more
    return await operator.call("create_run", **args)


async def events(room: Room, run_id: str) -> list[Event]:
    answer = await room.value(
        "select json_agg(e order by seq) from (select run_id, seq, to_char(at at time zone 'UTC', "
        '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\') as at, type, step, level, message, data, prev_hash, hash '
        "from public.run_events where run_id = %s) as e",
        run_id,
    )
    return [Event.model_validate(item) for item in answer]


async def test_a_run_succeeds_with_its_evidence(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    run = await create(operator, session_id, p_lane="B")
    assert (run["status"], run["lane"], run["params"]) == ("queued", "B", {"name": "ada", "times": 2})
    (claim,) = await worker.claim()
    assert claim["run_id"] == run["id"]
    assert (await worker.succeed(claim))["status"] == "succeeded"

    board = await operator.call("read_board", p_session_id=session_id)
    (card,) = board["lanes"][1]["finished"]
    assert (card["status"], card["steps_done"], card["steps_total"]) == ("succeeded", 2, 2)
    chain = await events(room, run["id"])
    assert [e.type for e in chain] == [
        "run.queued",
        "run.claimed",
        "run.started",
        "step.started",
        "step.finished",
        "step.started",
        "step.finished",
        "run.succeeded",
    ]
    assert first_break(chain) is None
    changed = [e.model_copy(update={"message": "x"}) if e.seq == 3 else e for e in chain]
    assert first_break(changed) == "event 3 was changed: its hash does not match its content"
    assert first_break(chain[:2] + chain[3:]) == "event 3 is missing: the next one is numbered 4"


async def test_the_chain_covers_any_text(operator: Person, session_id: str, worker: Worker, room: Room) -> None:
    await create(operator, session_id)
    (claim,) = await worker.claim()
    await worker.start(claim)
    text = 'tab\t quote" back\\slash \x01\x1f\x7f \u2028 ünï 😀 \ue000'
    numbers = [1.5, 1e-7, 0.1 + 0.2, 1e-6, 123456.789, -0.0, 2**53 - 1, None, True]
    data = {"é": 1, "b": numbers, "a": {}, "😀": 1, "\ue000": 2, text: text}
    await worker.append(claim, 1, {"type": "output", "step": "first", "message": text, "data": data})
    assert first_break(await events(room, claim["run_id"])) is None


async def test_the_database_and_the_domain_know_the_same_edges(room: Room) -> None:
    rows = await (await room.owner.execute("select from_status, to_status from private.run_edges")).fetchall()
    assert set(rows) == lifecycle.EDGES


@pytest.mark.parametrize(
    "edge", [e for e in itertools.product(STATUSES, STATUSES) if e[0] != e[1] and e not in lifecycle.EDGES]
)
async def test_no_other_edge_exists(
    room: Room, operator: Person, session_id: str, worker: Worker, edge: tuple[str, str]
) -> None:
    """Even the owner of the schema, writing by hand, can not take an edge that is not there."""
    before, after = edge
    run = await create(operator, session_id)
    if before != "queued":
        (claim,) = await worker.claim()
        if before in {"running", "succeeded"}:
            await worker.start(claim)
        if before == "succeeded":
            await worker.succeed(claim)
        elif before in lifecycle.TERMINAL:
            await worker.finish(claim, before, "worker_error")
    with pytest.raises(psycopg.Error) as refused:
        await room.owner.execute(
            "update public.runs set status = %s, finished_at = case when %s then now() end where id = %s",
            (after, after in lifecycle.TERMINAL, run["id"]),
        )
    assert refused.value.sqlstate == "ORC05"
    assert await room.value("select status from public.runs where id = %s", run["id"]) == before


async def test_every_worker_call_may_be_repeated(operator: Person, session_id: str, worker: Worker, room: Room) -> None:
    await create(operator, session_id)
    request = uuid.uuid4()
    args = {"p_worker_id": worker.id, "p_limit": 1, "p_request_id": request}
    (claim,) = await worker.call("claim_runs", **args)
    assert await worker.call("claim_runs", **args) == [claim]
    assert [await worker.start(claim), await worker.start(claim)] == ["started", "started"]
    first = await worker.append(claim, 1, {"type": "output", "message": "one"})
    assert await worker.append(claim, 1, {"type": "output", "message": "one"}) == first
    done = [await worker.finish(claim, "failed", "step_failed") for _ in range(2)]
    assert done[0] == done[1] == {"verdict": "ok", "status": "failed"}
    types = [e.type for e in await events(room, claim["run_id"])]
    assert types == ["run.queued", "run.claimed", "run.started", "output", "run.failed"]


async def test_a_run_named_twice_in_one_call_does_not_end_twice(
    operator: Person, session_id: str, worker: Worker, room: Room
) -> None:
    await create(operator, session_id)
    (claim,) = await worker.claim()
    await worker.start(claim)
    end = held(claim) | {"status": "failed", "reason": "step_failed"}
    again = end | {"run_id": end["run_id"].upper()}
    with pytest.raises(psycopg.Error) as refused:
        await worker.call("finish_runs", p_results=[end, again])
    assert refused.value.sqlstate == "ORV02"
    assert await room.value("select status from public.runs where id = %s", claim["run_id"]) == "running"


async def test_a_gap_between_batches_is_refused(operator: Person, session_id: str, worker: Worker) -> None:
    await create(operator, session_id)
    (claim,) = await worker.claim()
    with pytest.raises(psycopg.Error) as refused:
        await worker.append(claim, 2, {"type": "output", "message": "two"})
    assert refused.value.sqlstate == "ORC06"


async def test_the_fence_holds_after_the_end(operator: Person, session_id: str, worker: Worker, room: Room) -> None:
    await create(operator, session_id)
    (claim,) = await worker.claim()
    await worker.start(claim)
    await room.owner.execute(
        "update public.runs set lease_expires_at = now() - interval '1 s' where id = %s", (claim["run_id"],)
    )
    assert (await worker.call("sweep_runs"))["lost"] == 1
    assert await worker.start(claim) == "lost"
    assert (await worker.append(claim, 1, {"type": "output", "message": "late"}))["verdict"] == "lost"
    assert await worker.beat(claim) == ["lost"]
    for _ in range(2):
        assert await worker.finish(claim, "succeeded") == {"verdict": "lost", "status": "failed"}
    chain = await events(room, claim["run_id"])
    assert [e.type for e in chain][-2:] == ["run.failed", "late_evidence"]
    assert first_break(chain) is None


async def test_a_wrong_token_is_refused_everywhere(operator: Person, session_id: str, worker: Worker) -> None:
    await create(operator, session_id)
    (claim,) = await worker.claim()
    forged = claim | {"claim_token": str(uuid.uuid4())}
    assert await worker.start(forged) == "lost"
    assert (await worker.append(forged, 1, {"type": "output"}))["verdict"] == "lost"
    assert (await worker.finish(forged, "failed", "step_failed"))["verdict"] == "lost"
    assert await worker.start(claim) == "started"


async def test_success_needs_every_required_step(operator: Person, session_id: str, worker: Worker) -> None:
    await create(operator, session_id)
    (claim,) = await worker.claim()
    await worker.start(claim)
    with pytest.raises(psycopg.Error) as refused:
        await worker.finish(claim, "succeeded")
    assert refused.value.sqlstate == "ORC05"
    assert "first, second" in str(refused.value)


async def test_a_step_moves_forward_only(operator: Person, session_id: str, worker: Worker, room: Room) -> None:
    await create(operator, session_id)
    (claim,) = await worker.claim()
    await worker.start(claim)
    finished = {"type": "step.finished", "step": "first", "data": {"status": "succeeded"}}
    with pytest.raises(psycopg.Error) as refused:
        await worker.append(claim, 1, finished)
    assert refused.value.sqlstate == "ORC05"
    assert await room.value("select last_batch from public.runs where id = %s", claim["run_id"]) == 0
    await worker.append(claim, 1, {"type": "step.started", "step": "first"}, finished)
    with pytest.raises(psycopg.Error):
        await worker.append(claim, 2, {"type": "step.started", "step": "first"})


async def test_cancel_is_at_once_for_a_queued_run_and_an_intent_for_a_claimed_one(
    operator: Person, session_id: str, worker: Worker
) -> None:
    queued = await create(operator, session_id)
    cancelled = await operator.call("cancel_run", p_run_id=queued["id"], p_reason="changed my mind")
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "cancelled_by_person")
    assert await operator.call("cancel_run", p_run_id=queued["id"]) == cancelled

    run = await create(operator, session_id)
    (claim,) = await worker.claim()
    asked = await operator.call("cancel_run", p_run_id=run["id"])
    assert asked["status"] == "claimed"
    assert asked["cancel_requested_at"]
    assert await worker.start(claim) == "cancel"
    assert await worker.finish(claim, "cancelled", "cancelled_by_person") == {"verdict": "ok", "status": "cancelled"}
    assert await worker.claim() == []


async def test_finish_and_cancel_at_once_leave_one_end(
    operator: Person, session_id: str, worker: Worker, room: Room
) -> None:
    for _ in range(10):
        run = await create(operator, session_id)
        (claim,) = await worker.claim()
        await worker.start(claim)
        await asyncio.gather(
            operator.call("cancel_run", p_run_id=run["id"]), worker.finish(claim, "failed", "step_failed")
        )
        chain = await events(room, run["id"])
        ends = [e.type for e in chain if e.type in {"run.failed", "run.cancelled"}]
        assert ends == ["run.failed"]
        assert first_break(chain) is None


async def test_retry_makes_one_linked_successor(operator: Person, session_id: str, worker: Worker) -> None:
    run = await create(operator, session_id)
    with pytest.raises(psycopg.Error) as early:
        await operator.call("retry_run", p_run_id=run["id"])
    assert early.value.sqlstate == "ORC02"
    (claim,) = await worker.claim()
    await worker.start(claim)
    await worker.finish(claim, "failed", "step_failed")
    new, same = [await operator.call("retry_run", p_run_id=run["id"]) for _ in range(2)]
    assert new["id"] == same["id"]
    assert (new["attempt"], new["retry_of"], new["root_run_id"]) == (2, run["id"], run["id"])


async def test_rerun_takes_new_params_and_checks_them(operator: Person, session_id: str) -> None:
    run = await create(operator, session_id)
    new = await operator.call("rerun", p_run_id=run["id"], p_params={"name": "bob"}, p_lane="C")
    assert (new["params"], new["lane"], new["rerun_of"], new["attempt"]) == (
        {"name": "bob", "times": 2},
        "C",
        run["id"],
        1,
    )
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("rerun", p_run_id=run["id"], p_params={"name": "B0B"})
    assert refused.value.sqlstate == "ORV01"
