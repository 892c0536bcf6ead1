-- Functions of workers: service_role only. Every write carries the claim token and is refused once the run has left the worker's
-- hands; every function is idempotent, because a lost commit acknowledgement is normal. Lock order: lane, run, steps, events.

create function public.register_worker(
  p_worker_id uuid, p_name text, p_host text, p_pid integer, p_version text, p_capacity integer, p_transport text)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_row public.workers;
begin
  insert into public.workers (id, name, host, pid, version, capacity, transport)
  values (p_worker_id, p_name, p_host, p_pid, p_version, p_capacity, p_transport)
  on conflict (id) do update set last_seen_at = clock_timestamp()
  returning * into v_row;
  return to_jsonb(v_row);
end;
$$;

create function private.touch_worker(p_worker_id uuid)
returns public.workers
language plpgsql
set search_path = ''
as $$
declare
  v_row public.workers;
begin
  update public.workers set last_seen_at = clock_timestamp() where id = p_worker_id returning * into v_row;
  if not found then
    perform private.fail('ORN04', format('there is no worker %s', coalesce(p_worker_id::text, '(none given)')), 'Call register_worker first.');
  end if;
  return v_row;
end;
$$;

create function public.drain_worker(p_worker_id uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_row public.workers := private.touch_worker(p_worker_id);
begin
  update public.workers set draining_at = coalesce(draining_at, clock_timestamp()) where id = p_worker_id returning * into v_row;
  return to_jsonb(v_row);
end;
$$;

create function public.stop_worker(p_worker_id uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_row public.workers := private.touch_worker(p_worker_id);
begin
  update public.workers set stopped_at = coalesce(stopped_at, clock_timestamp()) where id = p_worker_id returning * into v_row;
  return to_jsonb(v_row);
end;
$$;

-- Lanes that have a run ready to go, best head first: by priority, then age. Walks the queue's index lane by lane, so that the cost
-- grows with the lanes that wait and not with the runs that do.
create function private.waiting_lanes(p_now timestamptz)
returns table (session_id uuid, lane text)
language sql stable
set search_path = ''
as $$
  with recursive waiting as (
    (select r.session_id, r.lane from public.runs as r where r.status = 'queued' order by r.session_id, r.lane limit 1)
    union all
    select n.session_id, n.lane from waiting as w cross join lateral (
      select r.session_id, r.lane from public.runs as r
      where r.status = 'queued' and (r.session_id, r.lane) > (w.session_id, w.lane)
      order by r.session_id, r.lane limit 1) as n
  )
  select w.session_id, w.lane from waiting as w cross join lateral (
    select r.priority, r.queued_at from public.runs as r
    where r.status = 'queued' and r.session_id = w.session_id and r.lane = w.lane and (r.not_before is null or r.not_before <= p_now)
    order by r.priority desc, r.queued_at, r.id limit 1) as head
  order by head.priority desc, head.queued_at;
$$;

create function private.claim_json(p_run public.runs)
returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'run_id', p_run.id, 'claim_token', p_run.claim_token, 'session_id', p_run.session_id, 'lane', p_run.lane, 'title', p_run.title,
    'attempt', p_run.attempt, 'root_run_id', p_run.root_run_id, 'template_slug', p_run.template_slug,
    'template_version', p_run.template_version, 'template_digest', p_run.template_digest, 'params', p_run.params,
    'lease_seconds', p_run.lease_seconds, 'timeout_seconds', p_run.timeout_seconds,
    'spec', (select spec::jsonb from public.template_versions where id = p_run.template_version_id));
$$;

-- Claims up to p_limit runs, at most as many per lane as it has free slots. The same p_request_id again gives the same answer.
-- A lane is locked first and its slots are counted in the next statement, so that two claims never count the same slot; a lane that
-- another claim holds is skipped. MATERIALIZED, because the planner may otherwise run the locking subquery more than once.
create function public.claim_runs(p_worker_id uuid, p_limit integer, p_request_id uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_worker public.workers := private.touch_worker(p_worker_id);
  v_left integer := least(greatest(coalesce(p_limit, 0), 0), 1000);
  v_now timestamptz;
  v_lane record;
  v_capacity integer;
  v_taken integer;
  v_claims jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_request_id::text, 0));
  select jsonb_agg(private.claim_json(r) order by r.queued_at) into v_claims
  from public.runs as r where r.claim_request = p_request_id and r.claimed_by = p_worker_id and r.finished_at is null;
  if v_claims is not null or v_worker.draining_at is not null or v_worker.stopped_at is not null then
    return coalesce(v_claims, '[]');
  end if;
  v_now := clock_timestamp();
  for v_lane in select * from private.waiting_lanes(v_now) loop
    exit when v_left = 0;
    select capacity into v_capacity from public.lanes
    where session_id = v_lane.session_id and lane = v_lane.lane for no key update skip locked;
    continue when not found;
    v_now := clock_timestamp();  -- After the lock: a slot is taken later than the one before it was given back.
    select count(*) into v_taken from public.runs
    where session_id = v_lane.session_id and lane = v_lane.lane and status in ('claimed', 'running');
    with picked as materialized (
      select id from public.runs
      where status = 'queued' and session_id = v_lane.session_id and lane = v_lane.lane and (not_before is null or not_before <= v_now)
      order by priority desc, queued_at, id
      limit least(v_left, greatest(v_capacity - v_taken, 0))
      for update skip locked
    )
    update public.runs as r
    set status = 'claimed', claimed_by = p_worker_id, claimed_at = v_now, claim_token = gen_random_uuid(), claim_request = p_request_id,
        heartbeat_at = v_now, lease_expires_at = v_now + make_interval(secs => r.lease_seconds)
    from picked where r.id = picked.id;
    get diagnostics v_taken = row_count;
    v_left := v_left - v_taken;
  end loop;
  perform private.record_events(array_agg(row(r.id, 'run.claimed', null, 'info', format('Claimed by %s', v_worker.name),
    jsonb_build_object('worker', p_worker_id, 'worker_version', v_worker.version))::private.new_event order by r.id))
  from public.runs as r where r.claim_request = p_request_id;
  return coalesce((select jsonb_agg(private.claim_json(r) order by r.priority desc, r.queued_at) from public.runs as r
                   where r.claim_request = p_request_id), '[]');
end;
$$;

-- The run, locked, if p_claim_token still holds it; otherwise null.
create function private.lock_claim(p_run_id uuid, p_claim_token uuid)
returns public.runs
language plpgsql
set search_path = ''
as $$
declare
  v_run public.runs := private.lock_run(p_run_id);
begin
  if v_run.claim_token = p_claim_token and v_run.status in ('claimed', 'running') then
    return v_run;
  end if;
  return null;
end;
$$;

-- Committed before the first process is spawned: so a run's process is started at most once. Refused when the lease is over or
-- somebody asked to cancel.
create function public.start_run(p_run_id uuid, p_claim_token uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_run public.runs := private.lock_claim(p_run_id, p_claim_token);
  v_now timestamptz := clock_timestamp();
begin
  if v_run.id is null or v_run.lease_expires_at < v_now then
    return jsonb_build_object('verdict', 'lost');
  elsif v_run.cancel_requested_at is not null then
    return jsonb_build_object('verdict', 'cancel');
  elsif v_run.status = 'claimed' then
    update public.runs
    set status = 'running', started_at = v_now, heartbeat_at = v_now, lease_expires_at = v_now + make_interval(secs => lease_seconds)
    where id = p_run_id;
    perform private.record_event(p_run_id, 'run.started', 'Started');
  end if;
  return jsonb_build_object('verdict', 'started');
end;
$$;

-- One call for all runs of a worker. Answers, for each: ok, cancel (stop it, then finish it), or lost (kill it, report nothing).
create function public.heartbeat(p_worker_id uuid, p_runs jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_answer jsonb;
begin
  perform private.touch_worker(p_worker_id);
  with beating as materialized (
    select (e ->> 'run_id')::uuid as run_id, (e ->> 'claim_token')::uuid as claim_token from jsonb_array_elements(p_runs) as t (e)
  ), held as materialized (
    select r.id from public.runs as r join beating as b on r.id = b.run_id
    where r.claim_token = b.claim_token and r.status in ('claimed', 'running')
    order by r.id for no key update of r
  ), beaten as (
    update public.runs as r
    set heartbeat_at = clock_timestamp(), lease_expires_at = clock_timestamp() + make_interval(secs => r.lease_seconds)
    from held where r.id = held.id
    returning r.id, r.lease_seconds, r.cancel_requested_at
  )
  select jsonb_agg(jsonb_build_object('run_id', b.run_id, 'lease_seconds', n.lease_seconds,
    'verdict', case when n.id is null then 'lost' when n.cancel_requested_at is not null then 'cancel' else 'ok' end))
  into v_answer
  from beating as b left join beaten as n on n.id = b.run_id;
  return coalesce(v_answer, '[]');
end;
$$;
