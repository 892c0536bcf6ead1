"""From the command `cancel_run` until the last process of the run is gone. The command honours TERM.

The reference is a TERM sent to the same command directly, seen through the same descriptor (pidfd).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from bench.report import Row
from bench.room import Connection, Database, new_session, open_database, value
from bench.worker import WAIT_SECONDS, real_worker

TEMPLATE = {
    "slug": "patient",
    "title": "Patient",
    "steps": [{"id": "wait", "title": "Wait", "kind": "shell", "with": {"argv": ["sleep", "600"]}}],
}


async def gone(pid: int) -> None:
    """Returns when the process has ended."""
    handle, ended, loop = os.pidfd_open(pid), asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(handle, ended.set)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def processes_of(run_id: str) -> list[int]:
    """Those that carry the run's RUN_ID."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"RUN_ID={run_id}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


async def one_cancel(person: Connection, session_id: str) -> float:
    run = await value(person, "select public.create_run(%s, 'patient')", session_id)
    async with asyncio.timeout(WAIT_SECONDS):
        while not (pids := processes_of(run["id"])):
            await asyncio.sleep(0.01)
    watched = [asyncio.create_task(gone(pid)) for pid in pids]
    await asyncio.sleep(0.2)  # It is at rest by then; what is measured is a cancellation, not a start.
    clicked = time.perf_counter()
    await person.execute("select public.cancel_run(%s)", (run["id"],))
    await asyncio.gather(*watched)
    assert not processes_of(run["id"])
    return (time.perf_counter() - clicked) * 1000


async def one_term() -> float:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    watched = asyncio.create_task(gone(process.pid))
    await asyncio.sleep(0.2)
    sent = time.perf_counter()
    process.terminate()
    await watched
    took = (time.perf_counter() - sent) * 1000
    await process.wait()
    return took


async def measure(database: Database, rounds: int, cancels: int) -> list[Row]:
    person = await database.connect("person")
    async with person:
        await person.execute("select public.save_template(%s)", (json.dumps(TEMPLATE),))
        session_id = await new_session(person)
        async with real_worker(database):
            await one_cancel(person, session_id)
            measured = [[await one_cancel(person, session_id) for _ in range(cancels)] for _ in range(rounds)]
            compared = [[await one_term() for _ in range(cancels)] for _ in range(rounds)]
    return [Row("cancel -> last process gone", measured, "TERM to the command itself", compared, limit_ms=500)]


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        return await measure(database, rounds=3, cancels=5 if quick else 30)
