"""A worker's slots: what takes one, and when it is worth waiting for more of them to come free."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg

from tests.worker.room import Room
from workers.execution import RunExecution
from workers.metrics import Metrics
from workers.slots import YOUNG_SECONDS, Slots


@dataclass
class Run:
    """What a slot has to know of one."""

    began: float = field(default_factory=time.monotonic)
    on_over: Callable[[], object] = print


def take(slots: Slots, run: Run) -> tuple[asyncio.Event, asyncio.Task[Any]]:
    """The event that ends it."""
    told = asyncio.Event()
    task = asyncio.create_task(told.wait())
    slots.take(cast("asyncio.Task[None]", task), cast(RunExecution, run))
    return told, task


async def test_a_run_whose_end_is_being_told_takes_no_slot_but_not_without_end() -> None:
    slots = Slots(2, Metrics())
    runs = [Run() for _ in range(5)]
    for run in runs[:2]:
        take(slots, run)
    assert slots.free == 0
    runs[0].on_over()
    runs[1].on_over()
    assert (slots.free, slots.active) == (2, 2)
    ends = [take(slots, run) for run in runs[2:4]]
    assert slots.free == 0
    runs[2].on_over()
    runs[3].on_over()
    assert slots.free == 0, "as many ends as there are slots wait to be told: no more work before one of them is"
    slots.wake.clear()
    told, task = ends[0]
    told.set()
    await task
    await slots.wake.wait()
    assert slots.free == 1


async def test_only_where_there_may_be_more_to_claim_is_a_slot_looked_at_before_its_runs_end_is_told() -> None:
    slots = Slots(2, Metrics())
    for more in (False, True):
        run = Run()
        take(slots, run)
        slots.more = more
        run.on_over()
        assert slots.wake.is_set() is more


async def test_half_of_the_young_runs_are_worth_waiting_for_and_only_a_moment() -> None:
    slots = Slots(8, Metrics())
    draining = asyncio.Event()
    assert slots.enough() == 1
    old = [Run(time.monotonic() - 2 * YOUNG_SECONDS) for _ in range(4)]
    for run in old:
        take(slots, run)
    assert slots.enough() == 1, "who has run for long may go on for long"
    ends = [take(slots, Run(time.monotonic() + 60)) for _ in range(4)]
    assert (slots.free, slots.enough()) == (0, 2)
    ends[0][0].set()
    await ends[0][1]
    await slots.wake.wait()
    assert (slots.free, slots.enough()) == (1, 1)
    ends.append(take(slots, Run(time.monotonic() + 60)))
    old[0].on_over()
    assert (slots.free, slots.enough()) == (1, 2)
    gathering = asyncio.create_task(slots.gather(draining))
    await asyncio.sleep(0)
    assert not gathering.done()
    old[1].on_over()
    slots.wake.set()
    await gathering
    assert slots.free == 2
    take(slots, Run(time.monotonic() + 60))
    await slots.gather(draining)
    assert slots.free == 1, "nobody gave one back, and it did not wait for that"


async def test_the_next_run_begins_while_the_end_of_the_one_before_can_not_be_told_yet(room: Room) -> None:
    go = room.folder / "go"
    script = 'echo begun; until [ -e "$PARAM_GO" ]; do sleep 0.05; done'
    slug = await room.template([{"with": {"script": script}}], params={"properties": {"go": {"type": "string"}}})
    first, second = [await room.launch(slug, {"go": str(go)}, lane=lane) for lane in "AB"]
    async with room.worker(OPSROOM_WORKER_CONCURRENCY="1"):
        await room.until_output(first, "begun")
        assert (await room.run(second))["status"] == "queued", "one at a time"
        async with await psycopg.AsyncConnection.connect(room.stack.database_url("postgres")) as sitter:
            await sitter.execute("select from public.runs where id = %s for update", (first,))
            go.touch()
            await room.until(second, "running", "succeeded")
            assert (await room.run(first))["status"] == "running"
        assert {(await room.until(run))["status"] for run in (first, second)} == {"succeeded"}
