"""From `kill -9` of a worker until the successor of its run has started on another one.

The reference is what nobody can be faster than: from `kill -9` of a bare client until the server's own list of
connections (pg_stat_activity) does not show it any more.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE

from bench.report import Row
from bench.room import Connection, Database, new_session, open_database, value
from bench.worker import WAIT_SECONDS, real_worker

TEMPLATE = {
    "slug": "held",
    "title": "Held",
    "lease_seconds": 300,
    "retry": {"attempts": 3, "on": ["lost"], "backoff_seconds": 0},
    "steps": [{"id": "hold", "title": "Hold on", "kind": "shell", "with": {"argv": ["sleep", "600"]}}],
}
ATTACHED = (
    "select count(*) from public.workers as w join pg_stat_activity as a on a.pid = w.backend_pid "
    "and a.backend_start = w.backend_start where w.missing_since is null"
)
CLIENT = (
    "import psycopg, sys, time; c = psycopg.connect(sys.argv[1]); print(c.info.backend_pid, flush=True); time.sleep(99)"
)


async def one_loss(database: Database, console: Connection, person: Connection, session_id: str) -> float:
    """Milliseconds. A worker gets the run, another one comes, the first one dies."""
    async with real_worker(database, OPSROOM_WORKER_CONCURRENCY="1") as victim:
        run = await value(person, "select public.create_run(%s, 'held')", session_id)
        await until(console, "select status = 'running' from public.runs where id = %s", run["id"])
        async with real_worker(database):
            await until(console, f"select ({ATTACHED}) = 2")
            killed = time.time()
            victim.kill()
            await until(console, "select started_at is not null from public.runs where retry_of = %s", run["id"])
            started = await value(
                console, "select extract(epoch from started_at)::float8 from public.runs where retry_of = %s", run["id"]
            )
            successor = await value(console, "select id from public.runs where retry_of = %s", run["id"])
            await person.execute("select public.cancel_run(%s)", (successor,))
            await until(console, "select finished_at is not null from public.runs where id = %s", successor)
    # Who died before is old news by then, and does not look like a network that cut everybody off.
    await console.execute("update public.workers set stopped_at = clock_timestamp() where missing_since is not null")
    return (started - killed) * 1000


async def one_client(database: Database, console: Connection) -> float:
    command = (sys.executable, "-c", CLIENT, database.postgres.dsn("postgres"))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    killed = time.perf_counter()
    process.kill()
    while await value(console, "select count(*) from pg_stat_activity where pid = %s", pid):
        await asyncio.sleep(0.001)
    took = (time.perf_counter() - killed) * 1000
    await process.wait()
    return took


async def until(console: Connection, statement: str, *args: object) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            row = await (await console.execute(statement.encode(), args)).fetchone()
            if row and row[0]:
                return
            await asyncio.sleep(0.01)


async def measure(database: Database, rounds: int, losses: int) -> list[Row]:
    console, person = await database.connect(), await database.connect("person")
    async with console, person:
        await person.execute("select public.save_template(%s)", (json.dumps(TEMPLATE),))
        session_id = await new_session(person)
        measured = [
            [await one_loss(database, console, person, session_id) for _ in range(losses)] for _ in range(rounds)
        ]
        compared = [[await one_client(database, console) for _ in range(losses)] for _ in range(rounds)]
    return [Row("kill -9 -> successor started", measured, "kill -9 -> server knows", compared, limit_ms=3000)]


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        return await measure(database, rounds=1 if quick else 3, losses=3 if quick else 10)
