"""The engine's SQL without its worker, next to bare SQL: one by one and a hundred at a time, one connection each.

A bare job is claimed by `for update skip locked` and finished by an update. With evidence it writes what
`bench.throughput` calls evidence of the same weight: four events hashed one over the other and one artifact row. A run
of the engine is claimed, started and finished by the worker functions as a worker calls them, each call durable, with a
step's two events. Its start is in the commit of its claim, because its step does nothing outside the database, and it
ends together with those that have the same story.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any, LiteralString

from bench.report import Row
from bench.room import Connection, Database, new_worker, open_database, value
from bench.throughput import CLAIM, FINISH, TABLES, TEMPLATE, fill

BARE: LiteralString = (
    "update weight.jobs set status = 'succeeded', finished_at = clock_timestamp() where id = any (%(jobs)s::uuid[])"
)
STORY: list[dict[str, Any]] = [
    {"type": "step.started", "step": "one"},
    {"type": "step.finished", "step": "one", "data": {"status": "succeeded"}},
]


async def bare(console: Connection, jobs: int, batch: int, finish: LiteralString) -> float:
    """Milliseconds for each job."""
    await console.execute("truncate weight.jobs cascade")
    await console.execute("insert into weight.jobs select from generate_series(1, %s)", (jobs,))
    await console.execute("analyze weight.jobs")
    began = time.perf_counter()
    while taken := await value(console, CLAIM, batch):
        await console.execute(finish, {"jobs": taken})
    return (time.perf_counter() - began) * 1000 / jobs


async def claimed(worker: Connection, worker_id: str, batch: int) -> list[dict[str, Any]]:
    answer = await value(worker, "select public.claim_batch(%s, %s, %s)", worker_id, batch, uuid.uuid4())
    assert not answer["runs"], "all of them are alike"
    return answer["alike"]


async def ours(database: Database, worker: Connection, runs: int, batch: int) -> float:
    """The same of the engine: claim, start, finish."""
    worker_id = await new_worker(worker)
    person, console = await database.connect("person"), await database.connect()
    async with person, console:
        await fill(person, runs)
        await console.execute("analyze")
    done, began = 0, time.perf_counter()
    while claims := await claimed(worker, worker_id, batch):
        for alike in claims:
            held = [{"run_id": run["run_id"], "claim_token": run["claim_token"]} for run in alike["runs"]]
            ended = await value(worker, "select public.finish_alike(%s, %s)", json.dumps(held), json.dumps(STORY))
            assert ended == {"lost": []}
            done += len(held)
    assert done == runs
    return (time.perf_counter() - began) * 1000 / runs


async def measure(database: Database, rounds: int, one_by_one: int, batched: int) -> list[Row]:
    samples: dict[str, list[list[float]]] = {}
    console, person, worker = [await database.connect(who) for who in ("postgres", "person", "worker")]
    async with console, person, worker:
        await console.execute(TABLES)
        await person.execute("select public.save_template(%s)", (json.dumps(TEMPLATE),))
        for number in range(rounds + 1):
            for batch, runs in ((1, one_by_one), (100, batched)):
                for name, measured in (
                    (f"bare {batch}", bare(console, runs * 4, batch, BARE)),
                    (f"evidence {batch}", bare(console, runs, batch, FINISH)),
                    (f"engine {batch}", ours(database, worker, runs, batch)),
                ):
                    each = await measured
                    if number:  # the first round only warms caches and plans
                        samples.setdefault(name, []).append([each])
                    await asyncio.sleep(0)
    rows: list[Row] = []
    for batch, words in ((1, "one by one"), (100, "in batches of 100")):
        bare_rounds, evidence, engine = (samples[f"{kind} {batch}"] for kind in ("bare", "evidence", "engine"))
        rows.append(Row(f"engine, {words}", engine, f"bare SQL with evidence, {words}", evidence))
        rows.append(Row(f"bare SQL with evidence, {words}", evidence, f"bare SQL, {words}", bare_rounds))
    return rows


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        if quick:
            return await measure(database, rounds=1, one_by_one=100, batched=1000)
        return await measure(database, rounds=3, one_by_one=800, batched=8000)
