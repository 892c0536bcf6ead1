"""From a run's creation to its first byte of output, with one real worker that was idle, by the database's own clock.

The reference is `bench.bare_worker`: the same server, the same command, the same wake-up by NOTIFY.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString

from bench import floor
from bench.report import Row
from bench.room import Connection, Database, new_session, open_database, value
from opsroom.local import services
from opsroom.local.paths import LOOPBACK, Ports, free_port

FIRST_BYTE: LiteralString = (
    "select extract(epoch from (min(e.at) - r.queued_at))::float8 * 1000 from public.runs as r "
    "join public.run_events as e on e.run_id = r.id and e.type = 'output' where r.id = %s group by r.id"
)
LIFE: LiteralString = "select extract(epoch from finished_at - queued_at)::float8 * 1000 from public.runs where id = %s"
FLOOR_FIRST_BYTE: LiteralString = (
    "select extract(epoch from (min(e.at) - j.queued_at))::float8 * 1000 from floor.jobs as j "
    "join floor.events as e on e.job_id = j.id where j.id = %s group by j.id"
)
FLOOR_LIFE: LiteralString = (
    "select extract(epoch from finished_at - queued_at)::float8 * 1000 from floor.jobs where id = %s"
)
WAIT_SECONDS = 30


@asynccontextmanager
async def real_worker(database: Database) -> AsyncIterator[None]:
    """`python -m workers` over Postgres, ready."""
    # An echo run has no artifacts, so that this worker never calls the Supabase API.
    variables = {
        "SUPABASE_URL": f"http://{LOOPBACK}:9",
        "SUPABASE_SERVICE_ROLE_KEY": "unused",
        "OPSROOM_DATABASE_URL": database.postgres.dsn("worker"),
    }
    worker = services.worker(database.postgres.state, Ports(worker=free_port()), variables)
    try:
        await worker.start()
        await worker.wait_until_ready(WAIT_SECONDS)
        yield
    finally:
        await worker.stop()


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
        await _stop(process)


async def measure(database: Database, rounds: int, runs: int) -> list[Row]:
    first: list[list[float]] = []
    life: list[list[float]] = []
    bare_first: list[list[float]] = []
    bare_life: list[list[float]] = []
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
                first.append([await value(console, FIRST_BYTE, run) for run in ids])
                life.append([await value(console, LIFE, run) for run in ids])
                bare_first.append([await value(console, FLOOR_FIRST_BYTE, job) for job in jobs])
                bare_life.append([await value(console, FLOOR_LIFE, job) for job in jobs])
    return [
        Row("create -> first byte stored", first, "bare worker, same command", bare_first),
        Row("create -> finished", life, "bare worker, same command", bare_life),
    ]


async def _one_run(console: Connection, person: Connection, session_id: str) -> str:
    run = await value(person, "select public.create_run(%s, 'bench')", session_id)
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


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        return await measure(database, rounds=3, runs=10 if quick else 50)
