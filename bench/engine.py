"""What the engine's promises cost: each call of a run's life next to the same step in bare SQL, on one database.

The floor is a queue as it is often written: an insert; a claim by `for update skip locked`; updates by primary key; a
multi-row insert for events. It has no lanes, no claim token, no numbering, no hash chain, no roles, no step states and
no doorbells. Both sides run on one connection each, in turn, every call its own durable transaction.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from bench.report import Row
from bench.room import Connection, Database, new_session, new_worker, open_database, value

FLOOR_TABLES = """
create schema floor;
create table floor.jobs (
  id uuid primary key default gen_random_uuid(), status text not null default 'queued', params jsonb not null,
  queued_at timestamptz not null default clock_timestamp(), finished_at timestamptz);
create index jobs_queue on floor.jobs (queued_at) where status = 'queued';
create table floor.events (
  job_id uuid references floor.jobs (id), seq bigint generated always as identity, message text, data jsonb,
  primary key (job_id, seq));
"""
LINE = (
    "2026-11-24 00:00:00 checked one more thing and found it to be in good order; nothing to report so far, going on\n"
)
EVENTS: list[dict[str, Any]] = [
    {"type": "step.started", "step": "say"},
    *({"type": "output", "step": "say", "message": LINE, "data": {"stream": "stdout"}} for _ in range(8)),
    {"type": "step.finished", "step": "say", "data": {"status": "succeeded", "exit_code": 0}},
]
CALLS = ("create", "claim", "start", "append 10 events", "finish")

Samples = dict[str, list[float]]


async def timed(samples: list[float], call: Callable[[], Awaitable[Any]]) -> Any:
    started = time.perf_counter()
    answer = await call()
    samples.append((time.perf_counter() - started) * 1000)
    return answer


async def floor_life(connection: Connection, samples: Samples) -> None:
    """One job's life in bare SQL."""

    async def call(name: str, statement: Any, *args: object) -> Any:
        return await timed(samples[name], lambda: value(connection, statement, *args))

    await call("create", "insert into floor.jobs (params) values ('{}') returning id")
    job = await call(
        "claim",
        "with picked as materialized (select id from floor.jobs where status = 'queued' order by queued_at limit 1 "
        "for update skip locked) update floor.jobs as j set status = 'claimed' from picked where j.id = picked.id "
        "returning j.id",
    )
    await call("start", "update floor.jobs set status = 'running' where id = %s returning id", job)
    await call(
        "append 10 events",
        "with added as (insert into floor.events (job_id, message, data) select %s, e ->> 'message', e -> 'data' "
        "from jsonb_array_elements(%s) as t (e) returning 1) select count(*) from added",
        job,
        json.dumps(EVENTS),
    )
    await call(
        "finish",
        "update floor.jobs set status = 'succeeded', finished_at = clock_timestamp() where id = %s returning id",
        job,
    )


async def engine_life(
    person: Connection, worker: Connection, session_id: str, worker_id: str, samples: Samples
) -> None:
    """One run's life through the SQL functions, as the room and a worker call them."""

    async def call(name: str, connection: Connection, statement: Any, *args: object) -> Any:
        return await timed(samples[name], lambda: value(connection, statement, *args))

    await call("create", person, "select public.create_run(%s, 'bench')", session_id)
    claims = await call("claim", worker, "select public.claim_runs(%s, 1, %s)", worker_id, uuid.uuid4())
    held = (claims[0]["run_id"], claims[0]["claim_token"])
    started = await call("start", worker, "select public.start_run(%s, %s)", *held)
    await call("append 10 events", worker, "select public.append_events(%s, %s, 1, %s)", *held, json.dumps(EVENTS))
    finished = await call("finish", worker, "select public.finish_run(%s, %s, 'succeeded')", *held)
    assert (started["verdict"], finished["verdict"]) == ("started", "ok")


async def measure_calls(database: Database, rounds: int, runs: int) -> list[Row]:
    console = await database.connect()
    person, worker = await database.connect("person"), await database.connect("worker")
    async with console, person, worker:
        await console.execute(FLOOR_TABLES)
        session_id, worker_id = await new_session(person), await new_worker(worker)
        ours: list[Samples] = []
        floors: list[Samples] = []
        for number in range(rounds + 1):
            samples: Samples = defaultdict(list)
            floor: Samples = defaultdict(list)
            for _ in range(runs if number else max(10, runs // 10)):
                await floor_life(console, floor)
                await engine_life(person, worker, session_id, worker_id, samples)
            if number:  # the first round only warms caches and plans
                ours.append(samples)
                floors.append(floor)
    return [
        Row(call, [each[call] for each in ours], f"bare SQL: {call}", [each[call] for each in floors]) for call in CALLS
    ]


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        return await measure_calls(database, rounds=3 if quick else 5, runs=50 if quick else 300)
