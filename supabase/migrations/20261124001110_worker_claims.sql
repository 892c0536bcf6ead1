-- Claims: which runs go next, and handing them out. Lock order: lane, run, steps, events.

-- Lanes that have a free slot and a run ready to go. By the head's priority first, then sessions with the least running work, then age.
-- Walks the queue's index lane by lane, so that the cost grows with the lanes that wait and not with the runs that do.
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
  select w.session_id, w.lane
  from waiting as w
  join public.lanes as l on l.session_id = w.session_id and l.lane = w.lane and l.paused_at is null
  join public.sessions as s on s.id = w.session_id and s.paused_at is null
  cross join lateral (
    select r.priority, r.place_at from public.runs as r
    where r.status = 'queued' and r.session_id = w.session_id and r.lane = w.lane and (r.not_before is null or r.not_before <= p_now)
    order by r.priority desc, r.place_at, r.id limit 1) as head
  cross join lateral (
    select count(*) as in_session, count(*) filter (where r.lane = w.lane) as in_lane from public.runs as r
    where r.session_id = w.session_id and r.status in ('claimed', 'running')) as busy
  where busy.in_lane < l.capacity
  order by head.priority desc, busy.in_session, head.place_at;
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
    'spec', (select spec::jsonb from public.template_versions where id = p_run.template_version_id),
    'carried', case when p_run.retry_of is null then '[]' else coalesce((
      select jsonb_agg(jsonb_build_object('step', s.step_id, 'artifacts', coalesce((
        select jsonb_agg(jsonb_build_object('name', a.name, 'sha256', a.sha256, 'size_bytes', a.size_bytes, 'object_path', a.object_path))
        from public.artifacts as a where a.run_id = p_run.id and a.step = s.step_id and a.object_path is not null), '[]')) order by s.position)
      from public.run_steps as s where s.run_id = p_run.id and s.carried_from is not null), '[]') end);
$$;

-- Of candidates, those that their concurrency key and their template's rate let go now. Both are decided under an advisory lock, in the
-- statement after it was taken; a key that another claim holds is left for later.
create function private.allowed(p_candidates uuid[])
returns uuid[]
language plpgsql
set search_path = ''
as $$
declare
  v_allowed uuid[] := p_candidates;
  v_run public.runs;
  v_keys text[] := '{}';
  v_slugs text[] := '{}';
begin
  for v_run in
    select * from public.runs where id = any (p_candidates) and (concurrency_key is not null or rate_runs is not null)
    order by priority desc, place_at, id
  loop
    if v_run.concurrency_key is not null and (
         v_run.concurrency_key = any (v_keys)
         or not pg_try_advisory_xact_lock(hashtextextended('opsroom.key:' || v_run.concurrency_key, 0))
         or private.is_key_taken(v_run.concurrency_key))
       or v_run.rate_runs is not null and (
         not pg_try_advisory_xact_lock(hashtextextended('opsroom.rate:' || v_run.template_slug, 0))
         or private.claimed_lately(v_run.template_slug, v_run.rate_per_seconds) + cardinality(array_positions(v_slugs, v_run.template_slug))
            >= v_run.rate_runs)
    then
      v_allowed := array_remove(v_allowed, v_run.id);
    else
      v_keys := v_keys || v_run.concurrency_key;
      v_slugs := v_slugs || v_run.template_slug;
    end if;
  end loop;
  return v_allowed;
end;
$$;

-- Volatile, so that each call sees what was committed before the lock was taken.
create function private.is_key_taken(p_key text)
returns boolean
language sql volatile
set search_path = ''
as $$
  select exists (select from public.runs where concurrency_key = p_key and status in ('claimed', 'running'));
$$;

create function private.claimed_lately(p_slug text, p_seconds integer)
returns bigint
language sql volatile
set search_path = ''
as $$
  select count(*) from public.runs where template_slug = p_slug and claimed_at > clock_timestamp() - make_interval(secs => p_seconds);
$$;

-- Claims up to p_limit runs of one lane whose row the caller has locked; answers how many.
create function private.claim_lane(p_worker_id uuid, p_request_id uuid, p_session_id uuid, p_lane text, p_capacity integer, p_limit integer)
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
    where r.status = 'queued' and r.session_id = p_session_id and r.lane = p_lane and (r.not_before is null or r.not_before <= v_now)
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

-- Claims up to p_limit runs, at most as many per lane as it has free slots, shared out over the lanes that wait. The same p_request_id
-- again gives the same answer. A lane is locked first and its slots are counted in the next statement, so that two claims never count
-- the same slot; a lane that another claim holds is skipped.
create function public.claim_runs(p_worker_id uuid, p_limit integer, p_request_id uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_worker public.workers := private.touch_worker(p_worker_id);
  v_left integer := least(greatest(coalesce(p_limit, 0), 0), 1000);
  v_before integer;
  v_lane record;
  v_capacity integer;
  v_claims jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_request_id::text, 0));
  select jsonb_agg(private.claim_json(r) order by r.priority desc, r.place_at) into v_claims
  from public.runs as r where r.claim_request = p_request_id and r.claimed_by = p_worker_id and r.finished_at is null;
  -- A request that comes again after its runs have ended claims nothing: nobody waits for its answer any more.
  if v_worker.draining_at is not null or v_worker.stopped_at is not null
     or exists (select from public.runs as r where r.claim_request = p_request_id) then
    return coalesce(v_claims, '[]');
  end if;
  while v_left > 0 loop
    v_before := v_left;
    for v_lane in select w.*, count(*) over () as lanes from private.waiting_lanes(clock_timestamp()) as w loop
      exit when v_left = 0;
      select capacity into v_capacity from public.lanes
      where session_id = v_lane.session_id and lane = v_lane.lane for no key update skip locked;
      if found then
        v_left := v_left - private.claim_lane(p_worker_id, p_request_id, v_lane.session_id, v_lane.lane, v_capacity,
                                              least(v_left, greatest(v_before / v_lane.lanes, 1)::integer));
      end if;
    end loop;
    exit when v_left = v_before;
  end loop;
  perform private.record_events(array_agg(row(r.id, 'run.claimed', null, 'info', format('Claimed by %s', v_worker.name),
    jsonb_build_object('worker', p_worker_id, 'worker_version', v_worker.version))::private.new_event order by r.id))
  from public.runs as r where r.claim_request = p_request_id;
  return coalesce((select jsonb_agg(private.claim_json(r) order by r.priority desc, r.place_at) from public.runs as r
                   where r.claim_request = p_request_id), '[]');
end;
$$;
