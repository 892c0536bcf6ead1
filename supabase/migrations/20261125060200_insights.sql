-- Insights: what runs did over hours and days, counted ahead by the sweep, so that a month of a million runs is read in milliseconds.
-- See docs/decisions/0009-insights-are-counted-ahead.md. Reads runs, writes its own two tables only; no lock on runs.

create index runs_by_end on public.runs (finished_at, id) where finished_at is not null;

-- One number: how many runs of a template that ended in this hour, quarter of a day or day had this. Measures: a final status; `reason:<reason>`;
-- `recovered` (succeeded after an attempt that was lost); `waited` and `took`, where bucket says how long (see private.count_ended).
create table private.run_counts (
  grain interval not null check (grain in ('1 hour', '6 hours', '1 day')),
  at timestamptz not null,
  template_slug text not null,
  measure text not null,
  bucket integer not null default 0,
  n bigint not null,
  primary key (grain, at, template_slug, measure, bucket)
);
create table private.run_counts_state (
  one_row boolean primary key default true check (one_row),
  ended_at timestamptz not null default '-infinity',
  run_id uuid not null default '00000000-0000-0000-0000-000000000000'
);
insert into private.run_counts_state default values;
alter table private.run_counts enable row level security;
alter table private.run_counts_state enable row level security;
comment on table private.run_counts_state is 'The last run counted, in the order of ends.';

-- What finished runs count as, by the hour in which they ended: up to p_limit of them in the order of their ends, after one of them and
-- before p_until; or the newest p_limit of one session between two times. A span of time is counted in a bucket: bucket b holds
-- 2^((b-1)/4) to 2^(b/4) ms, so that a percentile is right within 10 %. `last` is the last end counted. One query and not several
-- functions, which would be called once for each run.
create function private.count_ended(p_after timestamptz, p_after_id uuid, p_until timestamptz, p_limit integer, p_session_id uuid default null)
returns table (at timestamptz, template_slug text, measure text, bucket integer, n bigint)
language sql stable
set search_path = ''
as $$
  with ended as (
    (select r.* from public.runs as r
     where p_session_id is null and r.finished_at >= p_after and (r.finished_at > p_after or r.id > p_after_id) and r.finished_at < p_until
     order by r.finished_at, r.id limit p_limit)
    union all
    (select r.* from public.runs as r
     where r.session_id = p_session_id and r.lane in ('A', 'B', 'C', 'D') and r.status in ('succeeded', 'failed', 'cancelled', 'timed_out')
       and r.finished_at >= p_after and r.finished_at < p_until
     order by r.finished_at desc limit p_limit)
  )
  select date_trunc('hour', r.finished_at, 'UTC'), r.template_slug, m.measure, m.bucket, count(*)
  from ended as r cross join lateral (values
    (r.status, 0),
    ('reason:' || r.reason, 0),
    (case when r.status = 'succeeded' and r.attempt > 1 and exists (select from public.runs as o
       where (o.id = r.root_run_id or o.root_run_id = r.root_run_id and o.retry_of is not null) and o.attempt < r.attempt and o.reason = 'lost') then 'recovered' end, 0),
    (case when r.claimed_at is not null then 'waited' end,
     ceil(4 / ln(2::double precision) * ln(greatest(1, 1000 * extract(epoch from r.claimed_at - greatest(r.queued_at, r.not_before))::double precision)))::integer),
    (case when r.started_at is not null then 'took' end,
     ceil(4 / ln(2::double precision) * ln(greatest(1, 1000 * extract(epoch from r.finished_at - r.started_at)::double precision)))::integer)
  ) as m (measure, bucket)
  where m.measure is not null
  group by 1, 2, 3, 4;
$$;

-- Counts up to p_limit more runs. Only those that ended a while ago: a run that commits later than one that ended after it would
-- be passed over. The sweep calls this, one at a time under its lock.
create function private.count_runs(p_limit integer)
returns boolean
language plpgsql
set search_path = ''
set jit = off
as $$
declare
  v_state private.run_counts_state;
  v_last record;
begin
  select * into v_state from private.run_counts_state;
  select r.finished_at, r.id into v_last from (
    select finished_at, id from public.runs
    where finished_at >= v_state.ended_at and (finished_at > v_state.ended_at or id > v_state.run_id)
      and finished_at < clock_timestamp() - interval '5 minutes'
    order by finished_at, id limit p_limit) as r
  order by r.finished_at desc, r.id desc limit 1;
  if not found then
    return false;
  end if;
  insert into private.run_counts as c (grain, at, template_slug, measure, bucket, n)
  select g.grain, date_bin(g.grain, m.at, '2000-01-01 00:00Z'), m.template_slug, m.measure, m.bucket, sum(m.n)
  from private.count_ended(v_state.ended_at, v_state.run_id, v_last.finished_at + interval '1 microsecond', p_limit) as m
  cross join unnest(array['1 hour', '6 hours', '1 day']::interval[]) as g (grain)
  group by 1, 2, 3, 4, 5
  on conflict (grain, at, template_slug, measure, bucket) do update set n = c.n + excluded.n;
  update private.run_counts_state set ended_at = v_last.finished_at, run_id = v_last.id;
  return true;
end;
$$;

-- What happened between two times, of all runs, one template or one session: by hour up to 2 days, by quarter of a day up to 14, by day
-- beyond; whole ones in UTC, so the first may begin before p_from. Spans are in seconds. `complete` is false while the sweep has more to count than one read
-- may add, or when a session has more runs than that (then these are its newest).
create function public.read_insights(p_from timestamptz, p_to timestamptz default null, p_template text default null, p_session_id uuid default null)
returns json
language plpgsql stable security definer
set search_path = ''
set jit = off
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_to timestamptz := coalesce(p_to, clock_timestamp());
  v_grain interval := case when v_to - p_from <= interval '2 days' then '1 hour' when v_to - p_from <= interval '14 days' then '6 hours' else '1 day' end;
  v_from timestamptz := date_bin(v_grain, p_from, '2000-01-01 00:00Z');
  v_state private.run_counts_state;
  v_most constant integer := 20000;
  v_answer json;
begin
  if p_from is null or v_from >= v_to or v_to - v_from > interval '400 days' then
    perform private.fail('ORV02', format('there is nothing from %s to %s', coalesce(p_from::text, '(none given)'), v_to), 'Ask for up to 400 days.');
  end if;
  select * into v_state from private.run_counts_state;
  with uncounted as materialized (
    select * from private.count_ended(
      case when p_session_id is null then greatest(v_state.ended_at, v_from) else v_from end, v_state.run_id, v_to, v_most, p_session_id)
  ), counts as materialized (
    select c.at, c.template_slug, c.measure, c.bucket, sum(c.n)::bigint as n from (
      select k.at, k.template_slug, k.measure, k.bucket, k.n from private.run_counts as k
      where k.grain = v_grain and k.at >= v_from and k.at < v_to and p_session_id is null
      union all
      select date_bin(v_grain, u.at, '2000-01-01 00:00Z'), u.template_slug, u.measure, u.bucket, u.n from uncounted as u
    ) as c
    where p_template is null or c.template_slug = p_template
    group by 1, 2, 3, 4
  ), spans as (
    select c.at, c.template_slug, c.measure, c.bucket, sum(c.n) as n from counts as c where c.measure in ('waited', 'took')
    group by grouping sets ((c.at, c.measure, c.bucket), (c.template_slug, c.measure, c.bucket), (c.measure, c.bucket))
  ), grown as (
    select s.*, sum(s.n) over (partition by s.at, s.template_slug, s.measure order by s.bucket) as upto,
           sum(s.n) over (partition by s.at, s.template_slug, s.measure) as total
    from spans as s
  ), percentiles as (
    select g.at, g.template_slug,
      private.bucket_seconds(min(g.bucket) filter (where g.measure = 'waited' and g.upto >= 0.5 * g.total)) as waited_p50,
      private.bucket_seconds(min(g.bucket) filter (where g.measure = 'waited' and g.upto >= 0.95 * g.total)) as waited_p95,
      private.bucket_seconds(min(g.bucket) filter (where g.measure = 'took' and g.upto >= 0.5 * g.total)) as took_p50,
      private.bucket_seconds(min(g.bucket) filter (where g.measure = 'took' and g.upto >= 0.95 * g.total)) as took_p95
    from grown as g group by g.at, g.template_slug
  ), sums as (
    select c.at, c.template_slug,
      coalesce(sum(c.n) filter (where c.measure = 'succeeded'), 0) as succeeded,
      coalesce(sum(c.n) filter (where c.measure = 'failed'), 0) as failed,
      coalesce(sum(c.n) filter (where c.measure = 'cancelled'), 0) as cancelled,
      coalesce(sum(c.n) filter (where c.measure = 'timed_out'), 0) as timed_out,
      coalesce(sum(c.n) filter (where c.measure = 'reason:lost'), 0) as lost,
      coalesce(sum(c.n) filter (where c.measure = 'recovered'), 0) as recovered
    from counts as c group by grouping sets ((c.at), (c.template_slug), ())
  ), figures as (
    select s.*, p.waited_p50, p.waited_p95, p.took_p50, p.took_p95
    from sums as s left join percentiles as p on p.at is not distinct from s.at and p.template_slug is not distinct from s.template_slug
  )
  select json_build_object(
    'read_at', clock_timestamp(), 'from', v_from, 'to', v_to, 'grain_seconds', extract(epoch from v_grain)::integer,
    'complete', (select coalesce(sum(u.n), 0) < v_most from uncounted as u where u.measure in ('succeeded', 'failed', 'cancelled', 'timed_out')),
    'totals', (select to_json(f) from figures as f where f.at is null and f.template_slug is null),
    'points', (select coalesce(json_agg(to_json(f) order by f.at), '[]') from figures as f where f.at is not null),
    'templates', (select coalesce(json_agg(to_json(t) order by t.succeeded + t.failed + t.cancelled + t.timed_out desc, t.template_slug), '[]') from (
      select f.* from figures as f where f.template_slug is not null
      order by f.succeeded + f.failed + f.cancelled + f.timed_out desc, f.template_slug limit 50) as t),
    'reasons', (select coalesce(json_agg(json_build_object('reason', substr(r.measure, 8), 'n', r.n) order by r.n desc, r.measure), '[]') from (
      select c.measure, sum(c.n) as n from counts as c where c.measure like 'reason:%' group by 1) as r))
  into v_answer;
  return v_answer;
end;
$$;

-- Seconds that stand for a bucket of spans: its middle.
create function private.bucket_seconds(p_bucket integer)
returns double precision
language sql immutable
set search_path = ''
as $$
  select round((2 ^ ((p_bucket - 0.5) / 4) / 1000)::numeric, 3);
$$;

revoke all on function private.count_ended(timestamptz, uuid, timestamptz, integer, uuid), private.count_runs(integer),
  private.bucket_seconds(integer), public.read_insights(timestamptz, timestamptz, text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.read_insights(timestamptz, timestamptz, text, uuid) to authenticated;
