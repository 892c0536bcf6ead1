"""Runs whose steps do nothing, with their full evidence and their start committed before they execute.

The queue is filled first; then one worker empties it. The reference is bare SQL that writes evidence of the same
weight, a hundred jobs at a time over one connection: claim by `for update skip locked`, then an update, four events
hashed one over the other and one artifact row for each job. What the events cost is seen by the same worker on the same
database while its two functions that write events do nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import LiteralString

from bench.report import Row
from bench.room import Connection, Database, new_session, open_database, value
from bench.worker import real_worker

BATCH = 100
TEMPLATE = {"slug": "nothing", "title": "Nothing", "steps": [{"id": "one", "title": "One", "kind": "noop"}]}
TABLES: LiteralString = """
create schema weight;
create table weight.jobs (id uuid primary key default gen_random_uuid(), status text not null default 'queued',
  queued_at timestamptz not null default clock_timestamp(), claimed_at timestamptz, finished_at timestamptz);
create index on weight.jobs (queued_at) where status = 'queued';
create table weight.events (job_id uuid references weight.jobs (id), seq bigint, at timestamptz not null,
  type text not null, message text not null, data jsonb not null, prev_hash text not null, hash text not null,
  primary key (job_id, seq));
create table weight.artifacts (id uuid primary key default gen_random_uuid(), job_id uuid references weight.jobs (id),
  name text not null, sha256 text not null, size_bytes bigint not null);
"""
CLAIM: LiteralString = (
    "with picked as materialized (select id from weight.jobs where status = 'queued' order by queued_at limit %s "
    "for update skip locked), taken as (update weight.jobs as j set status = 'claimed', claimed_at = clock_timestamp() "
    "from picked where j.id = picked.id returning j.id) select array_agg(id) from taken"
)
FINISH: LiteralString = """
with recursive chain as (
  select id as job_id, 0::bigint as seq, repeat('0', 64) as prev_hash, repeat('0', 64) as hash, null::timestamptz as at
  from unnest(%(jobs)s::uuid[]) as j (id)
  union all
  select job_id, seq + 1, hash, encode(sha256(convert_to(
    '{"at":"' || n.at || '","data":{},"message":"said","prev_hash":"' || hash || '","seq":' || seq + 1 || '}', 'UTF8')),
    'hex'), n.at
  from chain cross join lateral (select clock_timestamp() as at) as n where seq < 4
), told as (
  insert into weight.events (job_id, seq, at, type, message, data, prev_hash, hash)
  select job_id, seq, at, 'log', 'said', '{}', prev_hash, hash from chain where seq > 0
), kept as (
  insert into weight.artifacts (job_id, name, sha256, size_bytes)
  select id, 'a', repeat('a', 64), 1 from unnest(%(jobs)s::uuid[]) as j (id)
)
update weight.jobs set status = 'succeeded', finished_at = clock_timestamp() where id = any (%(jobs)s::uuid[])
"""
RECORDERS = (
    "record_events(p_events private.new_event[])",
    "record_alike(p_run_ids uuid[], p_events private.new_event[])",
)
SPAN: LiteralString = (
    "select extract(epoch from max(finished_at) - min(claimed_at))::float8 * 1000 / count(*) "
    "from public.runs where session_id = any (%s::uuid[]) and status = 'succeeded'"
)


async def fill(person: Connection, runs: int) -> list[str]:
    """Four sessions with four wide lanes each, and `runs` runs over them."""
    sessions = [await new_session(person) for _ in range(4)]
    for session in sessions:
        for lane in "ABCD":
            await person.execute("select public.set_lane(%s, %s, 100)", (session, lane))
        for _ in range(0, runs // 4, 500):
            await person.execute(
                "select count(public.create_run(%s, 'nothing', '{}', substr('ABCD', 1 + n %% 4, 1))::text) "
                "from generate_series(1, %s) as n",
                (session, min(500, runs // 4)),
            )
    return sessions


async def emptied(console: Connection, sessions: list[str]) -> float:
    """Milliseconds for each run, from the first claim to the last end."""
    async with asyncio.timeout(170):
        while await value(
            console,
            "select count(*) from public.runs where session_id = any (%s::uuid[]) and finished_at is null",
            sessions,
        ):
            await asyncio.sleep(0.1)
    return await value(console, SPAN, sessions)


async def silence(console: Connection) -> str:
    """Let the engine write no event any more. Returns the statements that undo this."""
    undo = await value(
        console,
        "select string_agg(pg_get_functiondef(oid), ';') from pg_proc where pronamespace = 'private'::regnamespace "
        "and proname in ('record_events', 'record_alike')",
    )
    for recorder in RECORDERS:
        statement = f"create or replace function private.{recorder} returns void language plpgsql as 'begin end'"
        await console.execute(statement.encode())
    return str(undo)


async def bare(console: Connection, jobs: int) -> float:
    await console.execute("insert into weight.jobs select from generate_series(1, %s)", (jobs,))
    await console.execute("analyze weight.jobs")
    began = time.perf_counter()
    while taken := await value(console, CLAIM, BATCH):
        await console.execute(FINISH, {"jobs": taken})
    return (time.perf_counter() - began) * 1000 / jobs


async def ours(database: Database, console: Connection, person: Connection, runs: int) -> float:
    """Milliseconds for each run by the engine's worker, of a queue that was full before it came."""
    sessions = await fill(person, runs)
    await console.execute("analyze")
    async with real_worker(database, OPSROOM_WORKER_CONCURRENCY="200"):
        return await emptied(console, sessions)


async def measure(database: Database, rounds: int, runs: int) -> list[Row]:
    evident: list[list[float]] = []
    silent: list[list[float]] = []
    floor: list[list[float]] = []
    console, person = await database.connect(), await database.connect("person")
    async with console, person:
        await console.execute(TABLES)
        await person.execute("select public.save_template(%s)", (json.dumps(TEMPLATE),))
        for number in range(rounds + 1):
            with_events = await ours(database, console, person, runs)
            undo = await silence(console)
            without = await ours(database, console, person, runs)
            await console.execute(undo.encode())
            theirs = await bare(console, runs)
            if number:
                evident.append([with_events])
                silent.append([without])
                floor.append([theirs])
    what = "run of a no-op step, full evidence"
    return [
        Row(what, evident, "bare SQL with evidence, batches of 100", floor),
        Row(what, evident, "the same worker, no event written", silent, most_ratio=1.35),
    ]


async def run(*, quick: bool) -> list[Row]:
    async with open_database() as database:
        return await measure(database, rounds=1 if quick else 3, runs=1000 if quick else 8000)
