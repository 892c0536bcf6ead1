"""What a claim costs when the tables are deep: many finished runs, many queued ones, next to a table with a few.

Each depth is a database of its own; the rounds go from one to the next, so that a slow minute hits all of them. The
rows are loaded by plain inserts with triggers off, as a superuser: only a benchmark may.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg

from bench.engine import timed
from bench.report import Row
from bench.room import Connection, Database, new_session, new_worker, open_database, value

LANES = 16
MOST_RATIO = 1.3

SESSIONS: LiteralString = """
with made as (
  insert into public.sessions (title, created_by) select 'Deep', %s from generate_series(1, %s) returning id
), lanes as (
  insert into public.lanes (session_id, lane) select id, unnest(array['A', 'B', 'C', 'D']) from made
)
select array_agg(id) from made
"""
# Each finished run one after the other in its lane, a minute apart; each with its first event.
RUNS: LiteralString = """
with made as (
  insert into public.runs (id, root_run_id, session_id, lane, template_version_id, template_slug, template_version,
    template_digest, title, params, lease_seconds, timeout_seconds, created_by, status, queued_at, place_at,
    claimed_by, claimed_at, claim_token, claim_request, heartbeat_at, lease_expires_at, started_at, finished_at)
  select n.id, n.id, (%(sessions)s::uuid[])[1 + i %% cardinality(%(sessions)s::uuid[])],
    substr('ABCD', 1 + (i / cardinality(%(sessions)s::uuid[])) %% 4, 1),
    v.id, v.slug, v.version, v.digest, 'Deep', '{}', 30, 3600,
    %(by)s, case when %(finished)s then 'succeeded' else 'queued' end, n.at, n.at,
    case when %(finished)s then %(worker)s::uuid end, case when %(finished)s then n.at end,
    case when %(finished)s then n.id end, case when %(finished)s then n.id end, case when %(finished)s then n.at end,
    case when %(finished)s then n.at end, case when %(finished)s then n.at end, case when %(finished)s then n.at end
  from generate_series(1, %(runs)s) as i
  cross join lateral (select gen_random_uuid() as id, now() - make_interval(mins => 1 + %(runs)s - i) as at) as n
  cross join (select * from public.template_versions where slug = 'bench' limit 1) as v
  returning id, queued_at
)
insert into public.run_events (run_id, seq, at, type, level, message, data, prev_hash, hash)
select id, 1, queued_at, 'run.queued', 'info', 'Queued', '{}', repeat('0', 64), repeat('a', 64) from made
"""


@dataclass
class Depth:
    """A database with its connections and each round's samples. `refilled`: a new run is queued before each claim."""

    name: str
    person: Connection
    worker: Connection
    worker_id: str
    refilled: bool
    session_id: str
    rounds: list[list[float]] = field(default_factory=list[list[float]])

    async def measure(self, claims: int) -> None:
        samples: list[float] = []
        for _ in range(claims):
            if self.refilled:
                await self.person.execute("select public.create_run(%s, 'bench')", (self.session_id,))
            answer = await timed(
                samples,
                lambda: value(self.worker, "select public.claim_runs(%s, 1, %s)", self.worker_id, uuid.uuid4()),
            )
            held = (answer[0]["run_id"], answer[0]["claim_token"])
            await self.worker.execute("select public.finish_run(%s, %s, 'failed', 'worker_error')", held)
        self.rounds.append(samples)


async def load(database: Database, worker_id: str, sessions: int, runs: int, *, finished: bool) -> None:
    loader = await psycopg.AsyncConnection.connect(database.postgres.dsn("supabase_admin"), autocommit=True)
    async with loader:
        await loader.execute("set statement_timeout = 0")
        await loader.execute("set session_replication_role = replica")
        made = await value(loader, SESSIONS, database.user_id, sessions)
        for _ in range(0, runs, 100_000):
            some = min(runs, 100_000)
            values = {"sessions": made, "by": database.user_id, "worker": worker_id, "runs": some, "finished": finished}
            await loader.execute(RUNS, values)
        await loader.execute("vacuum analyze")
        await loader.execute("checkpoint")


async def run(*, quick: bool) -> list[Row]:
    share, rounds, claims = (50, 3, 20) if quick else (1, 5, 100)
    finished, queued = 1_000_000 // share, 100_000 // share
    async with AsyncExitStack() as stack:

        async def depth(name: str, history: int, waiting: int, sessions: int = LANES // 4) -> Depth:
            database = await stack.enter_async_context(open_database())
            person, worker = await database.connect("person"), await database.connect("worker")
            for connection in (person, worker):
                await stack.enter_async_context(connection)
            worker_id, session_id = await new_worker(worker), await new_session(person)
            if history:
                await load(database, worker_id, 250, history, finished=True)
            if waiting:
                await load(database, worker_id, sessions, waiting, finished=False)
            return Depth(name, person, worker, worker_id, not waiting, session_id)

        empty = await depth("one run in an empty table", 0, 0)
        deep = [
            await depth(f"claim, {finished:,} runs finished", finished, 0),
            await depth(f"claim, {queued:,} runs queued in {LANES} lanes", 0, queued),
            await depth(f"claim, {queued:,} runs queued in {10 * LANES} lanes", 0, queued, 10 * LANES // 4),
        ]
        for number in range(rounds + 1):
            for each in (empty, *deep):
                await each.measure(claims if number else 10)
                if not number:
                    each.rounds.clear()
                await asyncio.sleep(0)
        # A claim looks at every lane that waits, to be fair to all: the last row shows what that costs.
        limits = (MOST_RATIO, MOST_RATIO, None)
        return [
            Row(each.name, each.rounds, f"claim, {empty.name}", empty.rounds, most_ratio=limit)
            for each, limit in zip(deep, limits, strict=True)
        ]
