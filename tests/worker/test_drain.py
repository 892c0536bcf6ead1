"""Giving runs back, finding the right database, and runs that need no process."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import LiteralString, cast

from tests.worker.room import Room, WorkerProcess, eventually
from workers.store import PROTOCOL

SLOW_START: LiteralString = """
create function public.start_runs(p_runs jsonb) returns jsonb language plpgsql as
$$ begin perform pg_sleep(600); return '[]'; end $$;
grant execute on function public.start_runs(jsonb) to service_role
"""


@asynccontextmanager
async def starts_that_hang(room: Room) -> AsyncGenerator[None]:
    await room.sql("alter function public.start_runs(jsonb) rename to start_runs_set_aside")
    await room.sql(SLOW_START)
    try:
        yield
    finally:
        await room.sql("drop function public.start_runs(jsonb)")
        await room.sql("alter function public.start_runs_set_aside(jsonb) rename to start_runs")


async def test_the_second_sigterm_hands_back_what_was_claimed_and_not_started(room: Room) -> None:
    run_id = await room.launch_script("echo done")
    async with starts_that_hang(room), room.worker() as worker:
        await room.until(run_id, "claimed")
        worker.send(signal.SIGTERM)
        await worker.until_said("draining")
        worker.send(signal.SIGTERM)
        run = await room.until(run_id, seconds=10)
        assert (run["status"], run["reason"], run["started_at"]) == ("failed", "lost", None)
        assert await worker.ended() == 0
    (successor,) = await room.sql("select id, status, not_before from runs where retry_of = %s", run_id)
    assert (successor["status"], successor["not_before"]) == ("queued", None)
    async with room.worker():
        assert (await room.until(str(successor["id"])))["status"] == "succeeded"


@asynccontextmanager
async def protocols(room: Room, first: int, last: int) -> AsyncGenerator[None]:
    """The database speaks these, as it does while a migration is under way."""
    (row,) = await room.sql("select pg_get_functiondef('private.worker_protocols'::regproc) as text")
    speaks: LiteralString = (
        "create or replace function private.worker_protocols() returns int4range language sql immutable"
        " set search_path = '' as $$ select int4range(%s, %s, '[]') $$"
    )
    await room.sql(cast(LiteralString, speaks % (first, last)))
    try:
        yield
    finally:
        await room.sql(row["text"])


async def test_a_database_of_another_protocol_ends_the_worker_with_one_line(room: Room) -> None:
    async with protocols(room, 7, 7), room.worker() as worker:
        assert await worker.ended() == 2
    assert f"speaks protocol {PROTOCOL}; this database speaks 7 to 7. Upgrade the worker." in worker.said
    assert len(worker.said.strip().splitlines()) == 1


async def test_old_and_new_workers_work_side_by_side_until_the_old_ones_are_drained(room: Room) -> None:
    """Expand, deploy, contract: two protocols for a while, then the old workers drain, and no old one comes back."""
    go = room.folder / "go"
    script = f"echo working; while [ ! -e {go} ]; do sleep 0.1; done"
    slug = await room.template([{"with": {"script": script}}])
    runs: list[str] = []

    async def at_work(worker: WorkerProcess) -> None:
        runs.append(await room.launch(slug, lane="AB"[len(runs)]))
        await room.until_output(runs[-1], "working")
        (row,) = await room.sql(
            "select w.pid from workers w join runs r on r.claimed_by = w.id where r.id = %s", runs[-1]
        )
        assert row["pid"] == worker.process.pid

    one = {"OPSROOM_WORKER_CONCURRENCY": "1"}
    async with protocols(room, PROTOCOL, PROTOCOL + 1), room.worker(**one) as old:
        await at_work(old)
        command = (sys.executable, "-m", "tests.worker.next_worker")
        new = await WorkerProcess.start(room.environment(**one), room.folder / "new.log", command)
        try:
            await at_work(new)
            async with protocols(room, PROTOCOL + 1, PROTOCOL + 1):
                async with room.worker() as refused:
                    assert await refused.ended() == 2
                assert f"this database speaks {PROTOCOL + 1} to {PROTOCOL + 1}. Upgrade the worker." in refused.said
                old.send(signal.SIGTERM)
                go.touch()
                assert [(await room.until(run))["status"] for run in runs] == ["succeeded"] * 2
                assert await old.ended() == 0
        finally:
            await new.kill()


async def test_runs_of_noop_steps_leave_their_whole_evidence_and_no_directory(room: Room) -> None:
    slug = await room.template([{"kind": "noop", "needs": ["s2"]}, {"kind": "noop"}])
    await room.sql("update lanes set capacity = 100 where session_id = %s", room.session_id)
    await room.call("select count(create_run(%s, %s)::text) from generate_series(1, 150)", room.session_id, slug)

    async def done() -> bool:
        rows = await room.sql(
            "select count(*) as n from runs where session_id = %s and finished_at is null", room.session_id
        )
        return rows[0]["n"] == 0

    async with room.worker(OPSROOM_WORKER_CONCURRENCY="200") as worker:
        await eventually(done, "all runs to end", 60)
        assert not list(room.folder.glob("opsroom-run-*")), "a run that needs no directory has none"
        said = worker.said
    runs = await room.sql("select id, status from runs where session_id = %s", room.session_id)
    assert Counter(run["status"] for run in runs) == {"succeeded": 150}
    assert [(e["type"], e["step"]) for e in await room.events(str(runs[0]["id"]))] == [
        ("run.queued", None), ("run.claimed", None), ("run.started", None), ("step.started", "s2"), ("step.finished", "s2"),
        ("step.started", "s1"), ("step.finished", "s1"), ("run.succeeded", None),
    ]  # fmt: skip
    assert "Traceback" not in said and "will be repeated" not in said
