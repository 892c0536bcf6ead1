"""A million finished runs as a busy room would have them: the ground of the benchmarks of long lists and of insights.

The rows are loaded by plain inserts with triggers off, as a superuser: only a benchmark may. Most succeeded, one in
twelve did not; of the templates and the people one is rare, as that is what a filter has to find.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import LiteralString

import psycopg

from bench.room import Connection, Database, value

MANY = 1_000_000
DAYS = 30
BATCH = 100_000

TEMPLATES = [
    ("nightly-checks", "Nightly checks", 40),
    ("upgrade-odoo", "Upgrade Odoo", 30),
    ("deploy-staging", "Deploy to staging", 20),
    ("snapshot", "Snapshot a database", 9),
    ("rotate-keys", "Rotate the keys", 1),
]

SESSIONS: LiteralString = """
with made as (
  insert into public.sessions (title, created_by) select 'Deep ' || i, %s from generate_series(1, %s) as i returning id
), lanes as (
  insert into public.lanes (session_id, lane) select id, unnest(array['A', 'B', 'C', 'D']) from made
)
select array_agg(id) from made
"""
# Oldest first, evenly over the days; each with its first event. `i` counts over all batches.
RUNS: LiteralString = """
with made as (
  insert into public.runs (id, root_run_id, session_id, lane, template_version_id, template_slug, template_version,
    template_digest, title, params, lease_seconds, timeout_seconds, created_by, status, reason, attempt, retry_of,
    queued_at, place_at, claimed_by, claimed_at, claim_token, claim_request, heartbeat_at, lease_expires_at, started_at,
    finished_at)
  select n.id, n.id, (%(sessions)s::uuid[])[1 + i %% cardinality(%(sessions)s::uuid[])],
    substr('ABCD', 1 + (i / 7) %% 4, 1), v.id, v.slug, v.version, v.digest,
    (v.spec ->> 'title') || ' ' || i,
    jsonb_build_object('module', 'module_' || i %% 977, 'database', 'odoo_' || i %% 31, 'build', md5(i::text)),
    30, 3600,
    (%(people)s::uuid[])[case when i %% 5000 = 0 then 1 else 2 + i %% (cardinality(%(people)s::uuid[]) - 1) end],
    s.status, case s.status when 'failed' then case when i %% 10 < 7 then 'step_failed' else 'lost' end
      when 'cancelled' then 'cancelled_by_person' when 'timed_out' then 'run_timeout' end,
    1, null, n.at, n.at, %(worker)s::uuid, n.at + n.waited, n.id, n.id, n.at + n.waited + n.took,
    n.at + n.waited + n.took, n.at + n.waited, n.at + n.waited + n.took
  from generate_series(%(first)s::integer, %(last)s::integer) as i
  cross join lateral (select gen_random_uuid() as id,
    now() - make_interval(secs => (%(all)s - i) * (%(days)s * 86400.0 / %(all)s) + 7200),
    make_interval(secs => 0.2 + exp(random() * 6) / 10), make_interval(secs => 1 + exp(random() * 7))
  ) as n (id, at, waited, took)
  cross join lateral (select case when i %% 2000 = 0 then 'timed_out' when i %% 100 = 1 then 'cancelled'
                                  when i %% 13 = 0 then 'failed' else 'succeeded' end) as s (status)
  cross join lateral (select (i * 7919::bigint) %% 100) as dice (n)
  join public.template_versions as v on v.slug = (
    select t.slug from unnest(%(slugs)s::text[], %(upto)s::integer[]) as t (slug, upto)
    where dice.n < t.upto order by t.upto limit 1)
    and v.version = (select max(version) from public.template_versions where slug = v.slug)
  returning id, queued_at
)
insert into public.run_events (run_id, seq, at, type, level, message, data, prev_hash, hash)
select id, 1, queued_at, 'run.queued', 'info', 'Queued', '{}', repeat('0', 64), repeat('a', 64) from made
"""


@dataclass(frozen=True)
class History:
    """What was loaded. `rare_person` and the template `rotate-keys` have few of the runs."""

    sessions: list[str]
    rare_person: str


async def load_history(database: Database, person: Connection, worker_id: str, runs: int = MANY) -> History:
    """Load `runs` finished runs of the last 30 days."""
    for slug, title, _ in TEMPLATES:
        spec = {
            "slug": slug,
            "title": title,
            "steps": [{"id": "one", "title": "One", "kind": "shell", "with": {"argv": ["true"]}}],
        }
        await person.execute("select public.save_template(%s)", (json.dumps(spec),))
    loader = await psycopg.AsyncConnection.connect(database.postgres.dsn("supabase_admin"), autocommit=True)
    async with loader:
        people = [str(uuid.uuid4()) for _ in range(5)]
        for number, user_id in enumerate(people):
            email = f"person-{number}@bench.example"
            await loader.execute("insert into auth.users (id, email) values (%s, %s)", (user_id, email))
            await loader.execute(
                "insert into public.members (user_id, email, role) values (%s, %s, 'operator')", (user_id, email)
            )
        await loader.execute("set statement_timeout = 0")
        await loader.execute("set synchronous_commit = off")
        await loader.execute("set session_replication_role = replica")
        sessions = await value(loader, SESSIONS, database.user_id, 250)
        shares = [share for _, _, share in TEMPLATES]
        upto = [sum(shares[: at + 1]) for at in range(len(shares))]
        values = {
            "sessions": sessions,
            "people": people,
            "worker": worker_id,
            "all": runs,
            "days": DAYS,
            "slugs": [slug for slug, _, _ in TEMPLATES],
            "upto": upto,
        }
        for first in range(1, runs + 1, BATCH):
            await loader.execute(RUNS, {**values, "first": first, "last": min(runs, first + BATCH - 1)})
        await loader.execute("vacuum analyze public.runs, public.run_events")
        await loader.execute("checkpoint")
    return History([str(session) for session in sessions], people[0])
