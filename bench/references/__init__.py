"""Other queues on the same Postgres, with jobs that do nothing, against the engine's worker with its evidence.

Each is used as its documentation says, in a database of its own on one durable server, and in a process of its own;
its queue is filled first. What is compared is the time for each job from the first that is seen done to the last, as
an onlooker reads it from the tables. The engine's runs write what all runs write: six hashed events and their steps;
the other queues' jobs write their own row.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg

from bench.references.install import Installed, install
from bench.report import Row
from bench.room import Connection, Database, open_database, value
from bench.throughput import TEMPLATE, fill
from bench.worker import real_worker
from opsroom.local.postgres import Postgres

PROGRAMS = Path(__file__).parent
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 170
CONCURRENCY = 10


@dataclass(frozen=True)
class Reference:
    """A queue: its program, in which way it works, how many jobs take it some seconds, and how to see what is left."""

    name: str
    program: str
    way: str
    jobs: int
    left: LiteralString
    least: float | None = None
    """How many times faster the engine has to be: the target of the project."""


REFERENCES = (
    Reference(
        "procrastinate 3.10", "procrastinate_jobs.py", "", 1500,
        "select count(*) from procrastinate_jobs where status <> 'succeeded'", least=8,
    ),
    Reference("pgqueuer 1.6", "pgqueuer_jobs.py", "10", 4000, "select count(*) from pgqueuer"),
    Reference("pgqueuer 1.6, batches of 100", "pgqueuer_jobs.py", "100", 8000, "select count(*) from pgqueuer"),
    Reference(
        "DBOS 3.4", "dbos_jobs.py", "", 2000,
        "select count(*) from dbos.workflow_status where status <> 'SUCCESS'", least=5,
    ),
    Reference(
        "graphile-worker 0.18", "graphile_jobs.js", "one", 6000,
        "select count(*) from graphile_worker.jobs", least=2,
    ),
    Reference(
        "graphile-worker 0.18, local queue of 500", "graphile_jobs.js", "batch", 40_000,
        "select count(*) from graphile_worker.jobs",
    ),
)  # fmt: skip


async def watch(console: Connection, left: LiteralString) -> float:
    """Milliseconds for each job, from the first look that sees one done to the look that sees none left."""
    before, first = await value(console, left), None
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            now, remaining = time.perf_counter(), await value(console, left)
            if first is None and remaining < before:
                first = now, remaining
            if first and remaining == 0:
                began, then = first
                assert then > 0, "the jobs were done between two looks: there were too few"
                return (now - began) * 1000 / then
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def working(command: Sequence[str]) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield
        assert process.returncode is None, f"{command} ended by itself"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def drain(postgres: Postgres, installed: Installed, reference: Reference, jobs: int) -> float:
    """A round of a reference in a new database."""
    admin = await psycopg.AsyncConnection.connect(postgres.dsn("supabase_admin"), autocommit=True)
    async with admin:
        await admin.execute("drop database if exists reference with (force)")
        await admin.execute("create database reference")
        dsn = postgres.dsn("supabase_admin", "reference")
        command = [*installed.command(reference.program), dsn]
        filler = await asyncio.create_subprocess_exec(
            *command, "fill", str(jobs), stdout=asyncio.subprocess.DEVNULL, env=os.environ
        )
        assert await filler.wait() == 0, f"{reference.name} could not be filled"
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as console:
            await console.execute("analyze")
            async with working([*command, "work", reference.way, str(CONCURRENCY)]):
                each = await watch(console, reference.left)
        await admin.execute("drop database reference with (force)")
        return each


async def drain_ours(database: Database, console: Connection, runs: int) -> float:
    person = await database.connect("person")
    async with person:
        await fill(person, runs)
    await console.execute("analyze")
    async with real_worker(database, OPSROOM_WORKER_CONCURRENCY="200"):
        return await watch(console, "select count(*) from public.runs where finished_at is null")


async def run(*, quick: bool) -> list[Row]:
    installed = await install()
    rounds, share = (1, 5) if quick else (3, 1)
    ours: list[list[float]] = []
    theirs: dict[Reference, list[list[float]]] = {reference: [] for reference in REFERENCES}
    async with open_database() as database:
        person, console = await database.connect("person"), await database.connect()
        async with person, console:
            await person.execute("select public.save_template(%s)", (json.dumps(TEMPLATE),))
            for _ in range(rounds):
                for reference, measured in theirs.items():
                    measured.append([await drain(database.postgres, installed, reference, reference.jobs // share)])
                ours.append([await drain_ours(database, console, 8000 // share)])
    return [
        Row(reference.name, measured, "the engine's worker, full evidence", ours, least_ratio=reference.least)
        for reference, measured in theirs.items()
    ]
