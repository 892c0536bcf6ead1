-- Claims, for all lanes at once: the lanes that wait are found by one walk, locked in one statement, and what they have room for is picked
-- in the next, so that a claim of a hundred runs costs little more than one of ten. Lock order as before: lane, run, steps, events.

create type private.waiting_lane as (session_id uuid, lane text, capacity integer);

-- Lanes that have a free slot and a run ready to go. By the head's priority first, then sessions with the least running work, then age.
-- Walks the queue's index lane by lane, so that the cost grows with the lanes that wait and not with the runs that do; the first entry of
-- a lane is its head, unless that has to wait for its time.
drop function private.waiting_lanes(timestamptz);
create function private.waiting_lanes(p_now timestamptz)
returns private.waiting_lane[]
language plpgsql stable
set search_path = ''
as $$
begin
  return (
  with recursive waiting as (
    (select r.session_id, r.lane, r.priority, r.place_at, r.not_before from public.runs as r
     where r.status = 'queued' and not r.awaiting_approval order by r.session_id, r.lane, r.priority desc, r.place_at, r.id limit 1)
    union all
    select n.session_id, n.lane, n.priority, n.place_at, n.not_before from waiting as w cross join lateral (
      select r.session_id, r.lane, r.priority, r.place_at, r.not_before from public.runs as r
      where r.status = 'queued' and not r.awaiting_approval and (r.session_id, r.lane) > (w.session_id, w.lane)
      order by r.session_id, r.lane, r.priority desc, r.place_at, r.id limit 1) as n
  ), busy as materialized (
    select b.session_id, b.lane, b.n, sum(b.n) over (partition by b.session_id) as in_session from (
      select r.session_id, r.lane, count(*) as n from public.runs as r
      where r.status in ('claimed', 'running') and r.session_id = any (array(select distinct w.session_id from waiting as w))
      group by r.session_id, r.lane) as b
  ), busy_sessions as (
    select b.session_id, max(b.in_session) as n from busy as b group by b.session_id
  )
  select coalesce(array_agg(row(w.session_id, w.lane, l.capacity)::private.waiting_lane
                            order by head.priority desc, coalesce(o.n, 0), head.place_at), '{}')
  from waiting as w
  join public.lanes as l on l.session_id = w.session_id and l.lane = w.lane and l.paused_at is null
  join public.sessions as s on s.id = w.session_id and s.paused_at is null
  left join busy as b on b.session_id = w.session_id and b.lane = w.lane
  left join busy_sessions as o on o.session_id = w.session_id
  cross join lateral (
    select w.priority, w.place_at where w.not_before is null or w.not_before <= p_now
    union all
    (select r.priority, r.place_at from public.runs as r
     where w.not_before > p_now and r.status = 'queued' and not r.awaiting_approval and r.session_id = w.session_id and r.lane = w.lane
       and (r.not_before is null or r.not_before <= p_now)
     order by r.priority desc, r.place_at, r.id limit 1)) as head
  where coalesce(b.n, 0) < l.capacity
  );
end;
$$;

-- Claims up to p_limit runs of lanes whose rows the caller has locked, each lane its share of them if it has the room; with p_start, immediate
-- ones are started as well. Answers both, and the lanes that may have more: those of which as many were looked at as their share and room,
-- unless nothing could go at all.
create function private.claim_lanes(
  p_worker_id uuid, p_request_id uuid, p_lanes private.waiting_lane[], p_limit integer, p_start boolean,
  out claimed uuid[], out started uuid[], out more private.waiting_lane[])
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();  -- After the lock: a slot is taken later than the one before it was given back.
  v_share integer := p_limit / cardinality(p_lanes);
  v_rest integer := p_limit % cardinality(p_lanes);
  v_picked uuid[];
  v_lanes bigint[];
  v_quotas bigint[];
  v_gated boolean;
begin
  with room as materialized (
    select l.n, l.session_id, l.lane, greatest(0, least(
      l.capacity - (select count(*) from public.runs as t
                    where t.session_id = l.session_id and t.lane = l.lane and t.status in ('claimed', 'running')),
      v_share + case when l.n <= v_rest then 1 else 0 end)) as quota
    from unnest(p_lanes) with ordinality as l (session_id, lane, capacity, n)
  ), picked as materialized (
    select p.id, m.n, m.quota, p.gated from room as m cross join lateral (
      select r.id, r.concurrency_key is not null or r.rate_runs is not null as gated from public.runs as r
      where r.status = 'queued' and not r.awaiting_approval and r.session_id = m.session_id and r.lane = m.lane and (r.not_before is null or r.not_before <= v_now)
        and (r.concurrency_key is null or not exists (
          select from public.runs as o where o.concurrency_key = r.concurrency_key and o.status in ('claimed', 'running')))
      order by r.priority desc, r.place_at, r.id
      limit m.quota
      for update of r skip locked) as p
  )
  select array_agg(p.id), array_agg(p.n), array_agg(p.quota), bool_or(p.gated) into v_picked, v_lanes, v_quotas, v_gated from picked as p;
  claimed := case when v_gated then private.allowed(v_picked) else v_picked end;
  with taken as (
    update public.runs as r
    set status = case when p_start and r.immediate then 'running' else 'claimed' end, started_at = case when p_start and r.immediate then v_now end,
        claimed_by = p_worker_id, claimed_at = v_now, claim_token = gen_random_uuid(), claim_request = p_request_id,
        heartbeat_at = v_now, lease_expires_at = v_now + make_interval(secs => r.lease_seconds)
    where r.id = any (claimed)
    returning r.id, r.started_at
  ), counted as (
    select p.n from unnest(v_lanes, v_quotas) as p (n, quota) where exists (select from taken) group by p.n, p.quota having count(*) = p.quota
  )
  select (select array_agg(t.id) from taken as t where t.started_at is not null),
         (select array_agg(row(l.session_id, l.lane, l.capacity)::private.waiting_lane order by l.n)
          from unnest(p_lanes) with ordinality as l (session_id, lane, capacity, n) join counted as c on c.n = l.n)
  into started, more;
end;
$$;
drop function private.claim_lane(uuid, uuid, uuid, text, integer, integer);

-- Claims up to p_limit runs, at most as many per lane as it has free slots, shared out over the lanes that wait. The same p_request_id
-- again answers the runs of the first time that are still held. A lane is locked first and its slots are counted in the next statement,
-- so that two claims never count the same slot; a lane that another claim holds is skipped. With p_start, immediate runs are started too.
create function private.take_runs(p_worker_id uuid, p_limit integer, p_request_id uuid, p_start boolean)
returns uuid[]
language plpgsql
set search_path = ''
as $$
declare
  v_worker public.workers;
  v_left integer := least(greatest(coalesce(p_limit, 0), 0), 1000);
  v_waiting private.waiting_lane[];
  v_locked private.waiting_lane[];
  v_looked_at integer;
  v_got record;
  v_taken uuid[] := '{}';
  v_started uuid[] := '{}';
  v_claimed private.new_event;
begin
  select * into v_worker from public.workers where id = p_worker_id;
  if v_worker.last_seen_at is null or v_worker.last_seen_at < clock_timestamp() - interval '1 second' then
    v_worker := private.touch_worker(p_worker_id);
  end if;
  perform pg_advisory_xact_lock(hashtextextended(p_request_id::text, 0));
  if exists (select from private.claim_requests where request_id = p_request_id) then
    -- One that comes again after its runs have ended claims nothing: nobody waits for its answer any more.
    return array(select id from public.runs where claimed_by = p_worker_id and claim_request = p_request_id and status in ('claimed', 'running'));
  elsif v_worker.draining_at is not null or v_worker.stopped_at is not null then
    return v_taken;
  end if;
  v_waiting := private.waiting_lanes(clock_timestamp());
  while v_left > 0 and cardinality(v_waiting) > 0 loop
    select array_agg(row(l.session_id, l.lane, l.capacity)::private.waiting_lane order by l.n), max(l.n)::integer into v_locked, v_looked_at from (
      select l.session_id, l.lane, l.capacity, w.n
      from unnest(v_waiting) with ordinality as w (session_id, lane, capacity, n)
      join public.lanes as l on l.session_id = w.session_id and l.lane = w.lane
      order by w.n limit v_left for no key update of l skip locked) as l;
    exit when v_locked is null;
    select * into v_got from private.claim_lanes(p_worker_id, p_request_id, v_locked, v_left, p_start);
    v_taken := v_taken || coalesce(v_got.claimed, '{}');
    v_started := v_started || coalesce(v_got.started, '{}');
    v_left := v_left - coalesce(cardinality(v_got.claimed), 0);
    -- Those that were not looked at yet, then those that may have more.
    v_waiting := v_waiting[v_looked_at + 1 :] || coalesce(v_got.more, '{}');
  end loop;
  if v_taken <> '{}' then
    insert into private.claim_requests (request_id) values (p_request_id);
    v_claimed := row(null, 'run.claimed', null, 'info', format('Claimed by %s', v_worker.name),
                     jsonb_build_object('worker', p_worker_id, 'worker_version', v_worker.version));
    perform private.record_alike(v_started, array[v_claimed, row(null, 'run.started', null, 'info', 'Started', '{}')::private.new_event]);
    if cardinality(v_started) < cardinality(v_taken) then
      perform private.record_alike(array(select id from unnest(v_taken) as t (id) where id <> all (v_started)), array[v_claimed]);
    end if;
  end if;
  return v_taken;
end;
$$;

-- The steps that an earlier attempt has done, with their artifacts.
create function private.carried_json(p_run_id uuid)
returns json
language plpgsql stable
set search_path = ''
as $$
begin
  return (
    select coalesce(json_agg(json_build_object('step', s.step_id, 'artifacts', (
      select coalesce(json_agg(json_build_object('name', a.name, 'sha256', a.sha256, 'size_bytes', a.size_bytes, 'object_path', a.object_path)), '[]')
      from public.artifacts as a where a.run_id = p_run_id and a.step = s.step_id and a.object_path is not null)) order by s.position), '[]')
    from public.run_steps as s where s.run_id = p_run_id and s.carried_from is not null);
end;
$$;

-- What workers of protocol 2 call: {"specs": {digest: spec}, "alike": [...], "runs": [...]}, each template once, however many of its runs
-- there are. Those of `alike` were started in the same commit and differ in nothing but their ids: they end together, see finish_alike. A
-- run that says `started` was started too.
create function public.claim_batch(p_worker_id uuid, p_limit integer, p_request_id uuid)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_ids uuid[] := private.take_runs(p_worker_id, p_limit, p_request_id, true);
begin
  if v_ids = '{}' then
    return '{"specs": {}, "alike": [], "runs": []}';
  end if;
  return (
    with taken as materialized (
      select r.*, r.immediate and r.status = 'running' and r.retry_of is null and r.replay_of is null as alike from public.runs as r where r.id = any (v_ids))
    select json_build_object(
      'specs', (select json_object_agg(v.digest, v.spec) from public.template_versions as v
                where v.id in (select t.template_version_id from taken as t)),
      'alike', (select coalesce(json_agg(g), '[]') from (
        select t.template_digest, json_agg(json_build_object('run_id', t.id, 'claim_token', t.claim_token, 'lease_seconds', t.lease_seconds) order by t.id) as runs
        from taken as t where t.alike group by 1) as g),
      'runs', (select coalesce(json_agg(json_build_object(
        'run_id', t.id, 'claim_token', t.claim_token, 'session_id', t.session_id, 'lane', t.lane, 'title', t.title,
        'attempt', t.attempt, 'root_run_id', t.root_run_id, 'template_slug', t.template_slug, 'template_version', t.template_version,
        'template_digest', t.template_digest, 'params', t.params, 'started', t.status = 'running' and t.immediate,
        'lease_seconds', t.lease_seconds, 'timeout_seconds', t.timeout_seconds,
        'carried', case when t.retry_of is null then '[]' else private.carried_json(t.id) end)
        order by t.priority desc, t.place_at), '[]') from taken as t where not t.alike)));
end;
$$;

-- What workers of protocol 1 call: the template with each run.
create or replace function public.claim_runs(p_worker_id uuid, p_limit integer, p_request_id uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_ids uuid[] := private.take_runs(p_worker_id, p_limit, p_request_id, false);
begin
  return coalesce((select jsonb_agg(private.claim_json(r) order by r.priority desc, r.place_at) from public.runs as r where r.id = any (v_ids)), '[]');
end;
$$;

create or replace function private.worker_protocols()
returns int4range
language sql immutable
set search_path = ''
as $$
  select int4range(1, 2, '[]');
$$;

revoke all on function private.waiting_lanes(timestamptz), private.claim_lanes(uuid, uuid, private.waiting_lane[], integer, boolean), private.take_runs(uuid, integer, uuid, boolean),
  private.carried_json(uuid), public.claim_batch(uuid, integer, uuid) from public, anon, authenticated, service_role;
grant execute on function public.claim_batch(uuid, integer, uuid) to service_role;
