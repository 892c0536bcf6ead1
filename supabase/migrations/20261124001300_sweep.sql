-- The sweep: ends what is stuck and starts its retries; bounded, automatic, one at a time.

create table private.sweep_state (
  one_row boolean primary key default true check (one_row),
  last_sweep_at timestamptz,
  held_until timestamptz,
  held_count bigint not null default 0
);
insert into private.sweep_state default values;
alter table private.sweep_state enable row level security;
comment on table private.sweep_state is
  'held_until: the circuit breaker. When most leases end together the trouble is rarely all the workers: their runs get one more lease.';

-- Seconds that a worker's own connection may be gone before its runs are lost: time enough to connect anew.
create function private.missing_grace()
returns interval
language sql immutable
set search_path = ''
as $$
  select interval '1 second';
$$;

create function private.database_started_at()
returns timestamptz
language sql stable
set search_path = ''
as $$
  select pg_catalog.pg_postmaster_start_time();
$$;

-- Marks workers whose own connection is gone, and unmarks those that are back. Only those that told of a direct connection since the
-- database started: a restart cuts them all, and then the lease decides.
create function private.mark_missing_workers()
returns void
language sql
set search_path = ''
as $$
  with seen as (
    select w.id, exists (select from pg_catalog.pg_stat_activity as a where a.pid = w.backend_pid and a.backend_start = w.backend_start) as there
    from public.workers as w
    where w.backend_start > private.database_started_at() and (w.stopped_at is null or exists (
      select from public.runs as r where r.claimed_by = w.id and r.status in ('claimed', 'running')))
  )
  update public.workers as w
  set missing_since = case when not s.there then coalesce(w.missing_since, clock_timestamp()) end
  from seen as s where s.id = w.id and (w.missing_since is null) <> s.there;
$$;

-- The runs to end now. Lost: the worker's connection is gone for longer than the grace, or the lease is over (and was not only
-- prolonged by a restart of the database). Timed out: past the queue deadline, or a minute beyond the run's timeout.
create function private.stuck_runs(p_limit integer)
returns table (run public.runs, cause text)
language sql volatile
set search_path = ''
as $$
  select r, case
    when r.status = 'queued' then 'queue_timeout'
    when r.lease_expires_at < clock_timestamp()
         and private.database_started_at() + make_interval(secs => r.lease_seconds) < clock_timestamp() then 'lease'
    when w.missing_since < clock_timestamp() - private.missing_grace() then 'missing'
    else 'run_timeout' end
  from public.runs as r
  left join public.workers as w on w.id = r.claimed_by
  where r.status in ('claimed', 'running') and (
      w.missing_since < clock_timestamp() - private.missing_grace()
      or (r.lease_expires_at < clock_timestamp()
          and private.database_started_at() + make_interval(secs => r.lease_seconds) < clock_timestamp())
      or r.started_at + make_interval(secs => r.timeout_seconds + 60) < clock_timestamp())
    or r.status = 'queued' and r.start_deadline_at < clock_timestamp()
  order by r.lease_expires_at nulls last, r.id
  limit greatest(p_limit, 0)
  for no key update of r skip locked;
$$;

create function private.describe_stuck(p_run public.runs, p_cause text)
returns text
language sql stable
set search_path = ''
as $$
  select case p_cause
    when 'queue_timeout' then 'Not started before its queue timeout'
    when 'run_timeout' then format('Not finished a minute after its timeout of %s s', p_run.timeout_seconds)
    else case p_cause when 'missing' then 'The worker''s connection is gone' else 'The worker''s lease is over' end
      || case when p_run.started_at is null then '; the run had not started' else '; the run had started and its outcome is unknown' end
  end;
$$;

-- Ends at most p_limit stuck runs. Another sweep that is under way makes this one answer with zeros at once. held is true while a circuit
-- breaker is open: most of at least four live leases were over together (they get one more lease before they are ended), or most of at
-- least three workers lost their connection within the same half minute (then their leases decide; who died before does not count).
create function public.sweep_runs(p_limit integer default 100)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_state private.sweep_state;
  v_lost integer;
  v_timed_out integer;
  v_retried integer;
  v_over integer;
  v_live integer;
  v_lease integer;
  v_held boolean;
  v_cut boolean;
  v_ends private.run_end[];
begin
  if not pg_try_advisory_xact_lock(hashtextextended('opsroom.sweep', 0)) then
    return jsonb_build_object('lost', 0, 'timed_out', 0, 'retried', 0, 'held', false);
  end if;
  perform private.mark_missing_workers();
  update private.sweep_state set last_sweep_at = clock_timestamp() returning * into v_state;

  select count(*) filter (where lease_expires_at < clock_timestamp()), count(*), max(lease_seconds) into v_over, v_live, v_lease
  from public.runs where status in ('claimed', 'running');
  if v_over >= 4 and v_over * 2 > v_live and v_state.held_until is null then
    update private.sweep_state set held_until = clock_timestamp() + make_interval(secs => v_lease), held_count = held_count + 1
    returning * into v_state;
  elsif v_over = 0 and v_state.held_until is not null then
    update private.sweep_state set held_until = null returning * into v_state;
  end if;

  v_held := coalesce(v_state.held_until > clock_timestamp(), false);
  select count(*) filter (where missing_since is not null) >= 3 and count(*) filter (where missing_since is not null) * 2 > count(*)
  into v_cut from public.workers
  where backend_start > private.database_started_at() and stopped_at is null
    and (missing_since is null or missing_since > clock_timestamp() - interval '30 seconds');

  select array_agg(row((s.run).id, case when s.cause in ('missing', 'lease') then 'failed' else 'timed_out' end,
                       case when s.cause in ('missing', 'lease') then 'lost' else s.cause end,
                       private.describe_stuck(s.run, s.cause), null)::private.run_end)
  into v_ends
  from private.stuck_runs(p_limit) as s
  where s.cause not in ('lease', 'missing') or (s.cause = 'lease' and not v_held) or (s.cause = 'missing' and not v_cut);
  perform private.end_runs(v_ends);

  select count(*) filter (where e.reason = 'lost'), count(*) filter (where e.reason <> 'lost'), count(n.id)
  into v_lost, v_timed_out, v_retried
  from unnest(v_ends) as e left join public.runs as n on n.retry_of = e.run_id;
  return jsonb_build_object('lost', v_lost, 'timed_out', v_timed_out, 'retried', v_retried,
                            'held', v_held or v_cut);
end;
$$;
