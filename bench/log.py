"""One run that says 20,000 lines a second: how old the heartbeat gets, that no line is lost, how large the worker gets.

The reference is the same worker's heartbeat while its run says nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import LiteralString

from bench.report import Row
from bench.room import Connection, Database, new_session, open_database, value
from bench.worker import real_worker

LINES_A_SECOND = 20_000
MOST_MEMORY_MB = 150
HEARTBEAT_SECONDS = 1.0
SPEAKER = f"""
import sys, time
seconds, number, began = int(sys.argv[1]), 0, time.monotonic()
while number < seconds * {LINES_A_SECOND}:
    text = "of a log as programs write them, with a little to say and nothing to hide"
    lines = [f"line {{n}} {{text}}" for n in range(number, number + 200)]
    print("\\n".join(lines), flush=True)
    number += 200
    time.sleep(max(0.0, began + number / {LINES_A_SECOND} - time.monotonic()))
"""
AGE: LiteralString = (
    "select extract(epoch from clock_timestamp() - heartbeat_at)::float8 * 1000 from public.runs where id = %s"
)
LINES: LiteralString = (
    "select coalesce(sum(1 + length(message) - length(replace(message, chr(10), ''))), 0) from public.run_events "
    "where run_id = %s and type = 'output' and data ->> 'stream' = 'stdout'"
)


def template(slug: str, argv: list[str]) -> str:
    step = {"id": "say", "title": "Say much", "kind": "shell", "with": {"argv": argv}}
    return json.dumps({"slug": slug, "title": "Talk", "steps": [step]})


def memory_mb(process: Process) -> float:
    """The most that the worker has had in memory so far."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


async def ages(console: Connection, person: Connection, session_id: str, slug: str) -> tuple[str, list[float]]:
    """The run, and how old its heartbeat was, ten times a second while it ran."""
    run = await value(person, "select public.create_run(%s, %s)", session_id, slug)
    found: list[float] = []
    async with asyncio.timeout(170):
        while (
            status := await value(console, "select status from public.runs where id = %s", run["id"])
        ) != "succeeded":
            assert status in ("queued", "claimed", "running"), f"the run ended {status}"
            if status == "running":
                found.append(await value(console, AGE, run["id"]))
            await asyncio.sleep(0.1)
    return run["id"], found


async def measure(database: Database, rounds: int, seconds: int) -> list[Row]:
    flood: list[list[float]] = []
    quiet: list[list[float]] = []
    console, person = await database.connect(), await database.connect("person")
    async with console, person:
        await person.execute("select public.save_template(%s)", (template("quiet", ["sleep", str(seconds)]),))
        await person.execute(
            "select public.save_template(%s)", (template("flood", [sys.executable, "-c", SPEAKER, str(seconds)]),)
        )
        session_id = await new_session(person)
        variables = {
            "OPSROOM_WORKER_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
            "OPSROOM_OUTPUT_LIMIT_BYTES": str(1 << 30),
        }
        async with real_worker(database, **variables) as worker:
            for _ in range(rounds):
                run_id, found = await ages(console, person, session_id, "flood")
                flood.append(found)
                stored, said = await value(console, LINES, run_id), seconds * LINES_A_SECOND
                assert stored == said, f"{said} lines were said, {stored} are stored"
                took = await value(
                    console,
                    "select extract(epoch from finished_at - started_at)::float8 from public.runs where id = %s",
                    run_id,
                )
                assert took < seconds * 1.1 + 1, f"{seconds} s of lines took {took:.1f} s: they were held back"
                quiet.append((await ages(console, person, session_id, "quiet"))[1])
            most = memory_mb(worker)
            assert most < MOST_MEMORY_MB, f"the worker had {most:.0f} MB in memory"
    what = f"heartbeat age, every line stored, {most:.0f} MB"
    return [Row(what, flood, "the same, a silent run", quiet, limit_ms=HEARTBEAT_SECONDS * 1000 * 1.5)]


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        return await measure(database, rounds=1 if quick else 3, seconds=5 if quick else 20)
