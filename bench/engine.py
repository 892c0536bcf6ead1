"""What the engine's promises cost: each call of a run's life next to the same step in bare SQL, on one database.

Both sides live in one database (see `bench.floor`) and take turns, one connection each side and program, every call its
own durable transaction.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from bench import floor
from bench.report import Row
from bench.room import Connection, Database, new_session, new_worker, open_database, value

LINE = (
    "2026-11-24 00:00:00 checked one more thing and found it to be in good order; nothing to report so far, going on\n"
)
EVENTS: list[dict[str, Any]] = [
    {"type": "step.started", "step": "say"},
    *({"type": "output", "step": "say", "message": LINE, "data": {"stream": "stdout"}} for _ in range(8)),
    {"type": "step.finished", "step": "say", "data": {"status": "succeeded", "exit_code": 0}},
]
# People's statements may take eight seconds, as on a hosted project: a deep queue is made in several.
AT_ONCE = 100
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

    await call("create", floor.CREATE)
    job = await call("claim", floor.CLAIM)
    await call("start", floor.START, job)
    await call("append 10 events", floor.APPEND, job, json.dumps(EVENTS))
    await call("finish", floor.FINISH, job)


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
        await console.execute(floor.TABLES)
        session_id, worker_id = await new_session(person), await new_worker(worker)
        ours: list[Samples] = []
        floors: list[Samples] = []
        for number in range(rounds + 1):
            samples: Samples = defaultdict(list)
            bare: Samples = defaultdict(list)
            for _ in range(runs if number else max(10, runs // 10)):
                await floor_life(console, bare)
                await engine_life(person, worker, session_id, worker_id, samples)
            if number:  # the first round only warms caches and plans
                ours.append(samples)
                floors.append(bare)
    return [
        Row(call, [each[call] for each in ours], f"bare SQL: {call}", [each[call] for each in floors]) for call in CALLS
    ]


async def measure_deep_queue(database: Database, rounds: int, waiting: int, claims: int) -> Row:
    """A claim while `waiting` runs are queued in sixteen lanes, next to one while as many jobs are queued."""
    console = await database.connect()
    person, worker = await database.connect("person"), await database.connect("worker")
    ours: list[list[float]] = [[] for _ in range(rounds)]
    floors: list[list[float]] = [[] for _ in range(rounds)]
    async with console, person, worker:
        worker_id = await new_worker(worker)
        await console.execute("insert into floor.jobs (params) select '{}' from generate_series(1, %s)", (waiting,))
        for _ in range(4):
            session_id = await new_session(person)
            for _ in range(waiting // 4 // AT_ONCE):
                await person.execute(
                    "select count(public.create_run(%s, 'bench', '{}', substr('ABCD', 1 + n %% 4, 1))::text) "
                    "from generate_series(1, %s) as n",
                    (session_id, AT_ONCE),
                )
        await console.execute("analyze")
        for number in range(rounds):
            for _ in range(claims):
                await timed(floors[number], lambda: value(console, floor.CLAIM))
                answer = await timed(
                    ours[number],
                    lambda: value(worker, "select public.claim_runs(%s, 1, %s)", worker_id, uuid.uuid4()),
                )
                held = (answer[0]["run_id"], answer[0]["claim_token"])
                await worker.execute("select public.finish_run(%s, %s, 'failed', 'worker_error')", held)
    return Row(f"claim, {waiting:,} waiting", ours, "bare SQL: claim", floors)


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        rows = await measure_calls(database, rounds=3 if quick else 5, runs=50 if quick else 200)
        deep = await measure_deep_queue(
            database, rounds=3 if quick else 5, waiting=400 if quick else 10_000, claims=20 if quick else 100
        )
        return [*rows, deep]
