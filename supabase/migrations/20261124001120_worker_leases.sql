-- What a worker does with runs it holds: start them, keep them. Each write carries the claim token.

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

-- Starts claimed runs: [{run_id, claim_token}]. Committed before the first process is spawned: so a run's process is started at most
-- once. Answers, for each: started, cancel (somebody asked to; finish it as cancelled), or lost.
create function public.start_runs(p_runs jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_started uuid[];
begin
  perform from public.runs as r join jsonb_array_elements(p_runs) as t (e) on r.id = (e ->> 'run_id')::uuid
  order by r.id for no key update of r;
  v_now := clock_timestamp();
  with started as (
    update public.runs as r
    set status = 'running', started_at = v_now, heartbeat_at = v_now, lease_expires_at = v_now + make_interval(secs => r.lease_seconds)
    from jsonb_array_elements(p_runs) as t (e)
    where r.id = (e ->> 'run_id')::uuid and r.claim_token = (e ->> 'claim_token')::uuid
      and r.status = 'claimed' and r.lease_expires_at >= v_now and r.cancel_requested_at is null
    returning r.id
  )
  select array_agg(id) into v_started from started;
  perform private.record_events(array_agg(row(id, 'run.started', null, 'info', 'Started', '{}')::private.new_event))
  from unnest(v_started) as s (id);
  return coalesce((
    select jsonb_agg(jsonb_build_object('run_id', e ->> 'run_id', 'verdict', case
      when r.id is null then 'lost' when r.status = 'running' then 'started' when r.cancel_requested_at is not null then 'cancel' else 'lost' end))
    from jsonb_array_elements(p_runs) as t (e)
    left join public.runs as r on r.id = (e ->> 'run_id')::uuid and r.claim_token = (e ->> 'claim_token')::uuid
      and r.status in ('claimed', 'running') and r.lease_expires_at >= v_now), '[]');
end;
$$;

create function public.start_run(p_run_id uuid, p_claim_token uuid)
returns jsonb
language sql security definer
set search_path = ''
as $$
  select (public.start_runs(jsonb_build_array(jsonb_build_object('run_id', p_run_id, 'claim_token', p_claim_token))) -> 0) - 'run_id';
$$;

-- One call for all runs of a worker. Answers, for each: ok, cancel (stop it, then finish it), or lost (kill it, report nothing). A run
-- whose row somebody else keeps locked is waited for only a moment and then left out of the answer, so that it costs no other run its lease.
create function public.heartbeat(p_worker_id uuid, p_runs jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_beaten jsonb := '{}';
  v_answer jsonb;
begin
  perform private.touch_worker(p_worker_id);
  for v_try in 1 .. 5 loop
    with held as materialized (
      select r.id from public.runs as r join jsonb_array_elements(p_runs) as t (e)
        on r.id = (e ->> 'run_id')::uuid and r.claim_token = (e ->> 'claim_token')::uuid
      where r.status in ('claimed', 'running') and not v_beaten ? r.id::text
      order by r.id for no key update of r skip locked
    ), beaten as (
      update public.runs as r
      set heartbeat_at = clock_timestamp(), lease_expires_at = clock_timestamp() + make_interval(secs => r.lease_seconds)
      from held where r.id = held.id
      returning r.id, r.lease_seconds, r.cancel_requested_at
    )
    select v_beaten || coalesce(jsonb_object_agg(n.id, jsonb_build_object('lease_seconds', n.lease_seconds,
      'verdict', case when n.cancel_requested_at is not null then 'cancel' else 'ok' end)), '{}')
    into v_beaten from beaten as n;
    select jsonb_agg(jsonb_build_object('run_id', e ->> 'run_id', 'lease_seconds', null, 'verdict', case when r.id is null then 'lost' end)
                     || coalesce(v_beaten -> (e ->> 'run_id'), '{}'))
    into v_answer
    from jsonb_array_elements(p_runs) as t (e)
    left join public.runs as r on r.id = (e ->> 'run_id')::uuid and r.claim_token = (e ->> 'claim_token')::uuid
      and r.status in ('claimed', 'running');
    exit when not coalesce(v_answer @? '$[*] ? (@.verdict == null)', false);
    perform pg_sleep(0.05);
  end loop;
  return coalesce(jsonb_path_query_array(v_answer, '$[*] ? (@.verdict != null)'), '[]');
end;
$$;
