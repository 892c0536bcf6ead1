"""Gates, with a real worker that waits and a person who decides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.worker.room import Room, eventually

STEPS: list[dict[str, Any]] = [
    {"with": {"script": "echo before"}},
    {"id": "ask", "title": "Ask", "kind": "gate", "needs": ["s1"]},
    {"id": "after", "needs": ["ask"], "with": {"script": "echo after"}},
]


async def decide(room: Room, run_id: str, step: str, decision: str) -> None:
    """As another person, an approver."""
    email = f"approver-{run_id[:8]}@example.test"
    (person,) = await room.sql("insert into auth.users (id, email) values (gen_random_uuid(), %s) returning id", email)
    await room.sql("select public.set_member(%s, 'approver')", email)
    (gate,) = await room.sql("select subject_digest from gates where run_id = %s and step_id = %s", run_id, step)
    decider = Room(room.stack, room.folder, str(person["id"]))
    await decider.call("select decide_gate(%s, %s, %s, %s)", run_id, step, decision, gate["subject_digest"])


async def until_waiting(room: Room, run_id: str) -> None:
    async def there() -> bool:
        return bool(await room.sql("select 1 as there from gates where run_id = %s and status = 'waiting'", run_id))

    await eventually(there, "a gate to wait", 20)


@pytest.mark.parametrize("transport", ["postgres", "https"])
async def test_a_run_waits_at_its_gate_and_goes_on_when_it_is_approved(served_room: Room, transport: str) -> None:
    room = served_room
    run_id = await room.launch(await room.template(STEPS, timeout_seconds=5))
    async with room.worker(transport):
        await until_waiting(room, run_id)
        assert (await room.run(run_id))["status"] == "running"
        assert (await room.steps(run_id))["ask"]["status"] == "running"
        assert await room.output(run_id) == "before\n"
        await decide(room, run_id, "ask", "approved")
        run = await room.until(run_id)
    assert run["status"] == "succeeded"
    assert (await room.steps(run_id))["ask"]["message"].startswith("approved by")
    assert await room.output(run_id) == "before\nafter\n"


async def test_a_denial_fails_the_run_and_nothing_after_the_gate_runs(room: Room) -> None:
    run_id = await room.launch(await room.template(STEPS))
    async with room.worker():
        await until_waiting(room, run_id)
        await decide(room, run_id, "ask", "denied")
        run = await room.until(run_id)
    assert (run["status"], run["reason"]) == ("failed", "denied")
    assert (await room.steps(run_id))["after"]["status"] == "skipped"


async def test_a_gate_that_nobody_decides_expires_and_waiting_does_not_count_as_run_time(room: Room) -> None:
    run_id = await room.launch(await room.template(STEPS, timeout_seconds=2))
    async with room.worker():
        await until_waiting(room, run_id)
        await room.sql(
            "update gates set expires_at = clock_timestamp() + interval '3 seconds' where run_id = %s", run_id
        )
        run = await room.until(run_id)
    assert (run["status"], run["reason"]) == ("timed_out", "gate_timeout")
    assert (await room.steps(run_id))["ask"]["status"] == "timed_out"


async def test_a_run_that_waits_can_be_cancelled(room: Room) -> None:
    run_id = await room.launch(await room.template(STEPS))
    async with room.worker():
        await until_waiting(room, run_id)
        await room.call("select cancel_run(%s)", run_id)
        run = await room.until(run_id)
    assert run["status"] == "cancelled"
    (gate,) = await room.sql("select status from gates where run_id = %s", run_id)
    assert gate["status"] == "withdrawn"


async def test_a_run_of_risk_block_starts_after_its_approval(room: Room) -> None:
    run_id = await room.launch(await room.template([{"with": {"script": "echo acted"}}], risk="block"))
    async with room.worker():
        await decide(room, run_id, "", "approved")
        run = await room.until(run_id)
    assert run["status"] == "succeeded"
    types = [event["type"] for event in await room.events(run_id)]
    assert types[:5] == ["run.queued", "gate.opened", "gate.decided", "gate.closed", "run.claimed"], json.dumps(types)
