"""The floor: a queue as it is often written. What the engine adds, it adds to this.

No lanes, no claim token, no numbering, no hash chain, no roles, no step states and no doorbells.
"""

from typing import Final, LiteralString

TABLES: Final[LiteralString] = """
create schema floor;
create table floor.jobs (
  id uuid primary key default gen_random_uuid(), status text not null default 'queued', params jsonb not null,
  queued_at timestamptz not null default clock_timestamp(), finished_at timestamptz);
create index jobs_queue on floor.jobs (queued_at) where status = 'queued';
create table floor.events (
  job_id uuid references floor.jobs (id), seq bigint generated always as identity, message text, data jsonb,
  at timestamptz not null default clock_timestamp(), primary key (job_id, seq));
"""
CREATE: Final[LiteralString] = (
    "with added as (insert into floor.jobs (params) values ('{}') returning id) "
    "select id, pg_notify('floor_jobs', '') from added"
)
CLAIM: Final[LiteralString] = (
    "with picked as materialized (select id from floor.jobs where status = 'queued' order by queued_at limit 1 "
    "for update skip locked) update floor.jobs as j set status = 'claimed' from picked where j.id = picked.id "
    "returning j.id"
)
START: Final[LiteralString] = "update floor.jobs set status = 'running' where id = %s returning id"
APPEND: Final[LiteralString] = (
    "with added as (insert into floor.events (job_id, message, data) select %s, e ->> 'message', e -> 'data' "
    "from jsonb_array_elements(%s) as t (e) returning 1) select count(*) from added"
)
FINISH: Final[LiteralString] = (
    "update floor.jobs set status = 'succeeded', finished_at = clock_timestamp() where id = %s returning id"
)
