-- The lifecycle with approvals in it: a run that waits for one is queued and not claimed, and time at gates is not run time.
-- Lock order as before: lane, run, steps, events.

create or replace function private.insert_run(p_run public.runs)
returns public.runs
language plpgsql
set search_path = ''
as $$
declare
  v_run public.runs := p_run;
  v_spec jsonb;
begin
  select spec::jsonb into v_spec from public.template_versions where id = p_run.template_version_id;
  v_run.id := coalesce(p_run.id, gen_random_uuid());
  v_run.status := 'queued';
  v_run.queued_at := clock_timestamp();
  v_run.place_at := coalesce(p_run.place_at, v_run.queued_at);
  v_run.last_batch := 0;
  v_run.root_run_id := coalesce(p_run.root_run_id, v_run.id);
  v_run.attempt := coalesce(p_run.attempt, 1);
  v_run.title := coalesce(p_run.title, v_spec ->> 'title');
  v_run.concurrency_key := private.concurrency_key(v_spec, p_run.params);
  v_run.awaiting_approval := private.needed_approval(v_spec) is not null;
  v_run.needs_evidence := private.needs_evidence(v_spec);
  v_run.rate_runs := (v_spec -> 'rate_limit' ->> 'runs')::integer;
  v_run.rate_per_seconds := (v_spec -> 'rate_limit' ->> 'per_seconds')::integer;
  v_run.lease_seconds := coalesce((v_spec ->> 'lease_seconds')::integer, 30);
  v_run.timeout_seconds := coalesce((v_spec ->> 'timeout_seconds')::integer, 3600);
  v_run.start_deadline_at := greatest(v_run.not_before, v_run.queued_at) + make_interval(secs => (v_spec ->> 'queue_timeout_seconds')::integer);
  insert into public.runs select (v_run).* on conflict do nothing;
  if not found then
    return null;
  end if;
  insert into public.run_steps (run_id, step_id, position, kind, title, needs, required)
  select v_run.id, step ->> 'id', n, step ->> 'kind', step ->> 'title',
         array(select jsonb_array_elements_text(coalesce(step -> 'needs', '[]'))), coalesce((step ->> 'required')::boolean, true)
  from jsonb_array_elements(v_spec -> 'steps') with ordinality as s (step, n);
  perform private.record_event(v_run.id, 'run.queued', format('Queued in lane %s', v_run.lane), jsonb_strip_nulls(jsonb_build_object(
    'attempt', v_run.attempt, 'created_by', v_run.created_by, 'lane', v_run.lane, 'template', v_run.template_slug,
    'template_version', v_run.template_version, 'template_digest', v_run.template_digest,
    'params_digest', private.json_digest(v_run.params), 'retry_of', v_run.retry_of, 'rerun_of', v_run.rerun_of)));
  if v_run.awaiting_approval then
    perform private.open_gate(v_run, '', private.needed_approval(v_spec));
  end if;
  perform pg_notify('opsroom_runs', 'queued');
  return v_run;
end;
$$;

create or replace function private.waiting_lanes(p_now timestamptz)
returns table (session_id uuid, lane text)
language sql stable
set search_path = ''
as $$
  with recursive waiting as (
    (select r.session_id, r.lane from public.runs as r where r.status = 'queued' and not r.awaiting_approval order by r.session_id, r.lane limit 1)
    union all
    select n.session_id, n.lane from waiting as w cross join lateral (
      select r.session_id, r.lane from public.runs as r
      where r.status = 'queued' and not r.awaiting_approval and (r.session_id, r.lane) > (w.session_id, w.lane)
      order by r.session_id, r.lane limit 1) as n
  )
  select w.session_id, w.lane
  from waiting as w
  join public.lanes as l on l.session_id = w.session_id and l.lane = w.lane and l.paused_at is null
  join public.sessions as s on s.id = w.session_id and s.paused_at is null
  cross join lateral (
    select r.priority, r.place_at from public.runs as r
    where r.status = 'queued' and not r.awaiting_approval and r.session_id = w.session_id and r.lane = w.lane and (r.not_before is null or r.not_before <= p_now)
    order by r.priority desc, r.place_at, r.id limit 1) as head
  cross join lateral (
    select count(*) as in_session, count(*) filter (where r.lane = w.lane) as in_lane from public.runs as r
    where r.session_id = w.session_id and r.status in ('claimed', 'running')) as busy
  where busy.in_lane < l.capacity
  order by head.priority desc, busy.in_session, head.place_at;
$$;

create or replace function private.claim_lane(p_worker_id uuid, p_request_id uuid, p_session_id uuid, p_lane text, p_capacity integer, p_limit integer)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();  -- After the lock: a slot is taken later than the one before it was given back.
  v_taken integer;
  v_ids uuid[];
begin
  select count(*) into v_taken from public.runs where session_id = p_session_id and lane = p_lane and status in ('claimed', 'running');
  with picked as materialized (
    select r.id from public.runs as r
    where r.status = 'queued' and not r.awaiting_approval and r.session_id = p_session_id and r.lane = p_lane and (r.not_before is null or r.not_before <= v_now)
      and (r.concurrency_key is null or not exists (
        select from public.runs as o where o.concurrency_key = r.concurrency_key and o.status in ('claimed', 'running')))
    order by r.priority desc, r.place_at, r.id
    limit greatest(least(p_limit, p_capacity - v_taken), 0)
    for update of r skip locked
  )
  select array_agg(id) into v_ids from picked;
  v_ids := private.allowed(v_ids);
  update public.runs as r
  set status = 'claimed', claimed_by = p_worker_id, claimed_at = v_now, claim_token = gen_random_uuid(), claim_request = p_request_id,
      heartbeat_at = v_now, lease_expires_at = v_now + make_interval(secs => r.lease_seconds)
  where r.id = any (v_ids);
  return coalesce(cardinality(v_ids), 0);
end;
$$;

create or replace function private.check_events(p_run_id uuid, p_events jsonb)
returns private.new_event[]
language plpgsql stable
set search_path = ''
as $$
declare
  v_bad record;
begin
  if jsonb_typeof(p_events) is distinct from 'array' or jsonb_array_length(p_events) > 1000 then
    perform private.fail('ORV02', 'a batch is an array of at most 1000 events', 'Cut it into several batches.');
  end if;
  select * into v_bad from (
    select case
      when coalesce(e ->> 'type', '') not in ('step.started', 'step.finished', 'step.skipped', 'output', 'log', 'truncated', 'metric',
                                         'proof.recorded', 'rollback.started', 'rollback.finished')
        then format('a worker can not append an event of type %s', coalesce(left(e ->> 'type', 64), '(none given)'))
      when e ->> 'type' = 'proof.recorded' and private.validate_json(private.proof_schema(), e -> 'data') <> '[]'
        then format('a proof is not valid: %s', private.validate_json(private.proof_schema(), e -> 'data') -> 0 ->> 'message')
      when coalesce(e ->> 'level', 'info') not in ('debug', 'info', 'warn', 'error') then format('there is no level %s', left(e ->> 'level', 64))
      when jsonb_typeof(coalesce(e -> 'data', '{}')) <> 'object' then 'the data of an event is an object'
      when octet_length(coalesce(e ->> 'message', '')) > 65536 or octet_length(coalesce(e ->> 'data', '')) > 65536
        then 'an event''s message and data have at most 65536 bytes each'
      when e ->> 'step' is not null and not exists (select from public.run_steps where run_id = p_run_id and step_id = e ->> 'step')
        then format('run %s has no step %s', p_run_id, left(e ->> 'step', 64))
    end as problem
    from jsonb_array_elements(p_events) as t (e)) as found
  where problem is not null limit 1;
  if found then
    perform private.fail('ORV02', v_bad.problem, 'See docs/database.md for the events of a worker.');
  end if;
  return (select array_agg(row(p_run_id, e ->> 'type', e ->> 'step', e ->> 'level', e ->> 'message', e -> 'data')::private.new_event order by n)
          from jsonb_array_elements(p_events) with ordinality as t (e, n));
end;
$$;

create or replace function private.stuck_runs(p_limit integer)
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
      or r.started_at + make_interval(secs => r.timeout_seconds + 60) + private.waited_at_gates(r.id) < clock_timestamp())
    or r.status = 'queued' and r.start_deadline_at < clock_timestamp()
  order by r.lease_expires_at nulls last, r.id
  limit greatest(p_limit, 0)
  for no key update of r skip locked;
$$;

