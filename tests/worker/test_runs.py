"""Runs on a real worker process and the real database."""

from __future__ import annotations

from tests.worker.room import Room


async def test_a_run_is_claimed_started_and_succeeds_with_its_output_as_events(room: Room) -> None:
    run_id = await room.launch_script("echo one; echo two >&2; echo three")
    async with room.worker():
        run = await room.until(run_id)
    assert (run["status"], run["reason"], run["exit_code"]) == ("succeeded", None, 0)
    assert await room.output(run_id) == "one\nthree\n"
    assert await room.output(run_id, "stderr") == "two\n"
    kinds = [event["type"] for event in await room.events(run_id) if event["type"] != "output"]
    assert kinds == ["run.queued", "run.claimed", "run.started", "step.started", "step.finished", "run.succeeded"]
