"""Runs whose only step is a short process, several at a time, with their full evidence.

`/bin/true` does nothing, so that all of the ratio is what the engine adds: the worst case there is. An interpreter that
starts and ends is the least that a step of a real runbook does. The reference is nothing but fork and exec of the same
command by the same library, as many at a time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from bench.report import Row
from bench.room import Connection, Database, open_database
from bench.throughput import emptied, fill
from bench.worker import real_worker

AT_ONCE = 8
COMMANDS: dict[str, tuple[str, ...]] = {
    "/bin/true": ("/bin/true",),
    "python -c pass": (sys.executable, "-I", "-S", "-c", "pass"),
}


async def bare(argv: tuple[str, ...], count: int) -> float:
    """Milliseconds for each process."""
    left = iter(range(count))

    async def take() -> None:
        for _ in left:
            process = await asyncio.create_subprocess_exec(*argv)
            assert await process.wait() == 0

    began = time.perf_counter()
    await asyncio.gather(*(take() for _ in range(AT_ONCE)))
    return (time.perf_counter() - began) * 1000 / count


async def ours(database: Database, console: Connection, person: Connection, argv: tuple[str, ...], count: int) -> float:
    """Milliseconds for each run, of a queue that was full before the worker came."""
    step = {"id": "one", "title": "One", "kind": "shell", "with": {"argv": argv}}
    await person.execute(
        "select public.save_template(%s)", (json.dumps({"slug": "nothing", "title": "Nothing", "steps": [step]}),)
    )
    sessions = await fill(person, count)
    await console.execute("analyze")
    async with real_worker(database, OPSROOM_WORKER_CONCURRENCY=str(AT_ONCE)):
        return await emptied(console, sessions)


async def measure(database: Database, rounds: int, runs: int) -> list[Row]:
    measured: dict[str, list[list[float]]] = {name: [] for name in COMMANDS}
    compared: dict[str, list[list[float]]] = {name: [] for name in COMMANDS}
    console, person = await database.connect(), await database.connect("person")
    async with console, person:
        for number in range(rounds + 1):
            for name, argv in COMMANDS.items():
                run, process = await ours(database, console, person, argv, runs), await bare(argv, runs)
                if number:  # the first one warms the machine
                    measured[name].append([run])
                    compared[name].append([process])
    return [
        Row(f"run of {name}, {AT_ONCE} at once", measured[name], "bare fork and exec", compared[name], most_ratio=1.67)
        for name in COMMANDS
    ]


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        return await measure(database, rounds=1 if quick else 3, runs=200 if quick else 1000)
