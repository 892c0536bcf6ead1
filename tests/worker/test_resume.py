"""A retry that resumes: what an earlier attempt has done is not done again, and what it left is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.worker.room import Room


async def failed_in_its_second_step(room: Room) -> tuple[str, Path]:
    """A run whose first step left a file in a folder, and whose second one wants a mended world."""
    witness, mended = room.folder / "witness", room.folder / "mended"
    steps: list[dict[str, Any]] = [
        {
            "with": {"script": f"echo one >> {witness}; mkdir out; echo $RUN_ATTEMPT > out/made.txt"},
            "artifacts": [{"path": "out/made.txt"}],
        },
        {"needs": ["s1"], "with": {"script": f"cat out/made.txt; [ -e {mended} ]"}},
    ]
    run_id = await room.launch(await room.template(steps))
    async with room.worker():
        assert (await room.until(run_id))["status"] == "failed"
    mended.touch()
    return run_id, witness


async def test_a_resumed_run_skips_what_is_done_and_finds_its_files(served_room: Room) -> None:
    room = served_room
    run_id, witness = await failed_in_its_second_step(room)
    successor = (await room.call("select retry_run(%s, true)", run_id))["id"]
    async with room.worker():
        run = await room.until(successor)
    assert run["status"] == "succeeded", run["message"]
    assert witness.read_text() == "one\n", "the first step ran once, in the first attempt"
    assert await room.output(successor) == "1\n", "the second one sees the file that the first attempt made"
    assert [(e["type"], e["step"]) for e in await room.events(successor) if e["step"] == "s1"] == [("log", "s1")]
    assert await room.stored(successor, "out/made.txt") == b"1\n"


async def test_a_carried_file_that_is_not_what_it_was_fails_the_run(served_room: Room) -> None:
    room = served_room
    run_id, _ = await failed_in_its_second_step(room)
    successor = (await room.call("select retry_run(%s, true)", run_id))["id"]
    sha256 = (await room.artifacts(run_id))["out/made.txt"]["sha256"]
    stored = [path for path in room.stack.state.root.rglob("*") if path.is_file() and path.read_bytes() == b"1\n"]
    assert stored, f"the object {sha256} is a file of the stack"
    for path in stored:
        path.write_bytes(b"2\n")
    async with room.worker():
        run = await room.until(successor)
    assert (run["status"], run["reason"]) == ("failed", "worker_error")
    assert "'out/made.txt', carried over from step s1, is not what it was" in run["message"]
    assert (await room.steps(successor))["s2"]["started_at"] is None
