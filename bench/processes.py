"""Runs whose only step is a process that ends at once (`/bin/true`), several at a time, with their full evidence.

The reference is nothing but fork and exec of the same command by the same library, as many at a time.
"""

from __future__ import annotations

import asyncio
import json
import time

from bench.report import Row
from bench.room import Database, open_database
from bench.throughput import emptied, fill
from bench.worker import real_worker

AT_ONCE = 8
COMMAND = "/bin/true"
TEMPLATE = {
    "slug": "nothing",
    "title": "Nothing",
    "steps": [{"id": "one", "title": "One", "kind": "shell", "with": {"argv": [COMMAND]}}],
}


async def bare(count: int) -> float:
    """Milliseconds for each process."""
    left = iter(range(count))

    async def take() -> None:
        for _ in left:
            process = await asyncio.create_subprocess_exec(COMMAND)
            assert await process.wait() == 0

    began = time.perf_counter()
    await asyncio.gather(*(take() for _ in range(AT_ONCE)))
    return (time.perf_counter() - began) * 1000 / count


async def measure(database: Database, rounds: int, runs: int) -> list[Row]:
    measured: list[list[float]] = []
    compared: list[list[float]] = []
    console, person = await database.connect(), await database.connect("person")
    async with console, person:
        await person.execute("select public.save_template(%s)", (json.dumps(TEMPLATE),))
        for number in range(rounds + 1):
            sessions = await fill(person, runs)
            await console.execute("analyze")
            async with real_worker(database, OPSROOM_WORKER_CONCURRENCY=str(AT_ONCE)):
                ours = await emptied(console, sessions)
            theirs = await bare(runs)
            if number:  # the first one warms the machine
                measured.append([ours])
                compared.append([theirs])
    return [Row(f"run of {COMMAND}, {AT_ONCE} at once", measured, "bare fork and exec", compared, most_ratio=1.67)]


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        return await measure(database, rounds=1 if quick else 3, runs=200 if quick else 1000)
