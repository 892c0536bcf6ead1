"""From the commit of a run's creation to its first byte of output, with one real worker that was idle.

The commit is when its record was written, before it was flushed to disk: `pg_xact_commit_timestamp`. The command itself
says the time at which it runs. A step that is no process begins, at the latest, when the worker's call that tells of
its end has arrived in the database, which notes that as the step's start.

The references are a queue worker in its shortest form, `bench.bare_worker`, with the same server, the same command and
the same wake-up: when it heard of a job, when it had claimed it, and what its command said.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString

import psycopg

from bench import floor
from bench.report import Row
from bench.room import Connection, Database, new_session, open_database, value
from bench.worker import WAIT_SECONDS, real_worker, stop

NOTHING = {"slug": "nothing", "title": "Nothing", "steps": [{"id": "one", "title": "One", "kind": "noop"}]}
MOMENTS: LiteralString = """
select extract(epoch from pg_xact_commit_timestamp(created.xmin))::float8, said.message::float8,
  extract(epoch from said.at)::float8, extract(epoch from r.finished_at)::float8,
  extract(epoch from s.started_at)::float8
from public.runs as r
join public.run_events as created on created.run_id = r.id and created.seq = 1
join public.run_steps as s on s.run_id = r.id
left join public.run_events as said on said.run_id = r.id and said.type = 'output'
where r.id = %s
"""
"""Seconds: a run's creation, what its command said, when that and the end were stored, and the step's beginning."""
CREATE_JOB: LiteralString = (
    "with added as (insert into floor.jobs (params) values ('{}') returning id) "
    "select id, pg_current_xact_id()::text, pg_notify('floor_jobs', '') from added"
)
JOB_MOMENTS: LiteralString = """
select extract(epoch from pg_xact_commit_timestamp(%s::xid))::float8, e.message::float8,
  extract(epoch from e.at)::float8, extract(epoch from j.finished_at)::float8, (e.data ->> 'heard')::float8,
  (e.data ->> 'begun')::float8
from floor.jobs as j join floor.events as e on e.job_id = j.id where j.id = %s
"""
"""The same of a job, with when the bare worker heard of it and when it had claimed it."""


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


@asynccontextmanager
async def times_of_commits(database: Database) -> AsyncIterator[None]:
    """The server keeps them from its next start on."""
    owner = await psycopg.AsyncConnection.connect(database.postgres.dsn("supabase_admin"), autocommit=True)
    async with owner:
        await owner.execute("alter system set track_commit_timestamp = on")
    await database.postgres.stop()
    await database.postgres.start()
    yield


async def measure(database: Database, rounds: int, runs: int) -> list[Row]:
    spawned: list[list[list[float]]] = []
    begun: list[list[list[float]]] = []
    bare: list[list[list[float]]] = []
    console, person = await database.connect(), await database.connect("person")
    async with console, person:
        await console.execute(floor.TABLES)
        await person.execute("select public.save_template(%s)", (json.dumps(NOTHING),))
        session_id = await new_session(person)
        async with real_worker(database), bare_worker(database):
            for number in range(rounds + 1):
                count = runs if number else 5  # the first ones warm both workers
                commands = [await _one_run(console, person, session_id, "bench") for _ in range(count)]
                nothings = [await _one_run(console, person, session_id, "nothing") for _ in range(count)]
                jobs = [await _one_job(console) for _ in range(count)]
                if number:
                    spawned.append([await _after_creation(console, MOMENTS, run) for run in commands])
                    begun.append([await _after_creation(console, MOMENTS, run) for run in nothings])
                    bare.append([await _after_creation(console, JOB_MOMENTS, *job) for job in jobs])

    def of(moments: list[list[list[float]]], index: int) -> list[list[float]]:
        return [[one[index] for one in a_round] for a_round in moments]

    same = "bare worker, same command"
    step = "created -> no-op step begins"
    return [
        Row(
            "created -> the process says the time", of(spawned, 0), same, of(bare, 0), limit_p50_ms=10, limit_p99_ms=40
        ),
        Row("created -> first byte stored", of(spawned, 1), same, of(bare, 1)),
        Row("created -> finished", of(spawned, 2), same, of(bare, 2)),
        Row(step, of(begun, 3), "bare LISTEN/NOTIFY worker has claimed its job", of(bare, 4), most_ratio=3),
        Row(step, of(begun, 3), "bare LISTEN/NOTIFY worker has heard of its job", of(bare, 3)),
    ]


async def _after_creation(console: Connection, statement: LiteralString, *one: str) -> list[float]:
    """Milliseconds from the commit of a creation to each of its moments; of one without output, nan for those."""
    moments = await (await console.execute(statement, one)).fetchone()
    assert moments is not None
    return [float("nan") if at is None else (at - moments[0]) * 1000 for at in moments[1:]]


async def _one_run(console: Connection, person: Connection, session_id: str, slug: str) -> str:
    run = await value(person, "select public.create_run(%s, %s)", session_id, slug)
    await _finished(console, "select status from public.runs where id = %s", run["id"])
    return run["id"]


async def _one_job(console: Connection) -> tuple[str, str]:
    """The transaction that made it, and its id."""
    row = await (await console.execute(CREATE_JOB)).fetchone()
    assert row is not None
    await _finished(console, "select status from floor.jobs where id = %s", row[0])
    return row[1], row[0]


async def _finished(console: Connection, statement: LiteralString, one: str) -> None:
    """Polls: both workers are timed by what they and the database note, so that how often is looked does not count."""
    async with asyncio.timeout(WAIT_SECONDS):
        while (status := await value(console, statement, one)) != "succeeded":
            assert status in ("queued", "claimed", "running"), f"{one} ended {status}"
            await asyncio.sleep(0.02)


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database, times_of_commits(database):
        return await measure(database, rounds=3, runs=10 if quick else 50)
