"""From a run's creation to its first byte of output, with one real worker that was idle.

The command itself says the time at which it runs; all else is by the database's clock, on the same machine.

The reference is `bench.bare_worker`: the same server, the same command, the same wake-up by NOTIFY. Of a step that is
no process it is the NOTIFY alone, at a connection that listens.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString

from bench import floor
from bench.report import Row
from bench.room import Connection, Database, new_session, open_database, value
from bench.worker import WAIT_SECONDS, real_worker, stop

BY_THE_PROCESS: LiteralString = (
    "select (min(e.message)::float8 - extract(epoch from r.queued_at)::float8) * 1000 from public.runs as r "
    "join public.run_events as e on e.run_id = r.id and e.type = 'output' where r.id = %s group by r.id"
)
FIRST_BYTE: LiteralString = (
    "select extract(epoch from (min(e.at) - r.queued_at))::float8 * 1000 from public.runs as r "
    "join public.run_events as e on e.run_id = r.id and e.type = 'output' where r.id = %s group by r.id"
)
LIFE: LiteralString = "select extract(epoch from finished_at - queued_at)::float8 * 1000 from public.runs where id = %s"
FLOOR_BY_THE_PROCESS: LiteralString = (
    "select (min(e.message)::float8 - extract(epoch from j.queued_at)::float8) * 1000 from floor.jobs as j "
    "join floor.events as e on e.job_id = j.id where j.id = %s group by j.id"
)
FLOOR_FIRST_BYTE: LiteralString = (
    "select extract(epoch from (min(e.at) - j.queued_at))::float8 * 1000 from floor.jobs as j "
    "join floor.events as e on e.job_id = j.id where j.id = %s group by j.id"
)
FLOOR_LIFE: LiteralString = (
    "select extract(epoch from finished_at - queued_at)::float8 * 1000 from floor.jobs where id = %s"
)


IN_PROCESS: LiteralString = (
    "select extract(epoch from (min(e.at) - r.queued_at))::float8 * 1000 from public.runs as r "
    "join public.run_events as e on e.run_id = r.id and e.type = 'step.finished' where r.id = %s group by r.id"
)
HEARD: LiteralString = "select (%s - extract(epoch from queued_at)::float8) * 1000 from floor.jobs where id = %s"
NOTHING = {"slug": "nothing", "title": "Nothing", "steps": [{"id": "one", "title": "One", "kind": "noop"}]}


@asynccontextmanager
async def bare_worker(database: Database) -> AsyncIterator[None]:
    command = (sys.executable, "-m", "bench.bare_worker", database.postgres.dsn("postgres"))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WAIT_SECONDS):
            assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        await stop(process)


async def measure(database: Database, rounds: int, runs: int) -> list[Row]:
    measured: list[list[list[float]]] = [[], [], []]
    compared: list[list[list[float]]] = [[], [], []]
    console, person = await database.connect(), await database.connect("person")
    async with console, person:
        await console.execute(floor.TABLES)
        session_id = await new_session(person)
        async with real_worker(database), bare_worker(database):
            for number in range(rounds + 1):
                ids = [await _one_run(console, person, session_id) for _ in range(runs if number else 5)]
                jobs = [await _one_job(console) for _ in range(runs if number else 5)]
                if number == 0:  # warms both workers
                    continue
                for index, statement in enumerate((BY_THE_PROCESS, FIRST_BYTE, LIFE)):
                    measured[index].append([await value(console, statement, run) for run in ids])
                for index, statement in enumerate((FLOOR_BY_THE_PROCESS, FLOOR_FIRST_BYTE, FLOOR_LIFE)):
                    compared[index].append([await value(console, statement, job) for job in jobs])
            in_process, heard = await _in_process(database, console, person, session_id, rounds, runs)
    reference = "bare worker, same command"
    process = "create -> the process says the time"
    return [
        Row(process, measured[0], reference, compared[0], limit_p50_ms=10, limit_p99_ms=40),
        Row("create -> first byte stored", measured[1], reference, compared[1]),
        Row("create -> finished", measured[2], reference, compared[2]),
        Row("create -> no-op step done and stored", in_process, "NOTIFY heard", heard, most_ratio=3),
    ]


async def _in_process(
    database: Database, console: Connection, person: Connection, session_id: str, rounds: int, runs: int
) -> tuple[list[list[float]], list[list[float]]]:
    await person.execute("select public.save_template(%s)", (json.dumps(NOTHING),))
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    async with await database.connect() as listener:
        await listener.execute("listen floor_jobs")
        for number in range(rounds + 1):
            ids = [await _one_run(console, person, session_id, "nothing") for _ in range(runs if number else 5)]
            heard: list[float] = []
            for _ in range(runs if number else 5):
                job = await value(console, floor.CREATE)
                async for _notice in listener.notifies(stop_after=1):
                    heard.append(await value(console, HEARD, time.time(), job))
                await _finished(console, "select status from floor.jobs where id = %s", job)
            if number:
                ours.append([await value(console, IN_PROCESS, run) for run in ids])
                theirs.append(heard)
    return ours, theirs


async def _one_run(console: Connection, person: Connection, session_id: str, slug: str = "bench") -> str:
    run = await value(person, "select public.create_run(%s, %s)", session_id, slug)
    await _finished(console, "select status from public.runs where id = %s", run["id"])
    return run["id"]


async def _one_job(console: Connection) -> str:
    job = await value(console, floor.CREATE)
    await _finished(console, "select status from floor.jobs where id = %s", job)
    return job


async def _finished(console: Connection, statement: LiteralString, one: str) -> None:
    """Polls: both workers are timed by the database's clock, so that how often is looked does not count."""
    async with asyncio.timeout(WAIT_SECONDS):
        while (status := await value(console, statement, one)) != "succeeded":
            assert status in ("queued", "claimed", "running"), f"{one} ended {status}"
            await asyncio.sleep(0.02)


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        return await measure(database, rounds=3, runs=10 if quick else 50)
