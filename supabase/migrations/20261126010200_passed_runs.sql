-- A run that its template's rate or its concurrency key holds back does not take its lane's turn: it keeps its place, and those behind it
-- that may go do. Lock order as before: lane, run, steps, events; the advisory locks of rates and keys are only ever tried.

create type private.rate as (template_slug text, runs integer, per_seconds integer);

-- Whether one more run of the template may be claimed, with p_going more than the tables know of; null while another claim decides about
-- it. Counted before the lock is tried, since a rate that is used up is so whatever the other claim does, and in the statement after it.
create function private.has_rate_left(p_rate private.rate, p_going integer)
returns boolean
language plpgsql volatile
set search_path = ''
as $$
begin
  if private.claimed_lately(p_rate.template_slug, p_rate.per_seconds) + p_going >= p_rate.runs then
    return false;
  elsif not pg_try_advisory_xact_lock(hashtextextended('opsroom.rate:' || p_rate.template_slug, 0)) then
    return null;
  end if;
  return private.claimed_lately(p_rate.template_slug, p_rate.per_seconds) + p_going < p_rate.runs;
end;
$$;

-- Whether no run has the key; decided in the statement after its lock was taken. One that another claim decides about is as good as taken.
create function private.is_key_free(p_key text)
returns boolean
language plpgsql volatile
set search_path = ''
as $$
begin
  if not pg_try_advisory_xact_lock(hashtextextended('opsroom.key:' || p_key, 0)) then
    return false;
  end if;
  return not private.is_key_taken(p_key);
end;
$$;

-- Of candidates, those that their template's rate and their concurrency key let go now; those that are to be passed by; and, added to those
-- that were known, the keys and rates that let no other run go. A run whose rate another claim decides about neither goes nor is passed.
drop function private.allowed(uuid[]);
create function private.allowed(p_candidates uuid[], inout held_keys text[], inout full_rates private.rate[], out allowed uuid[], out passed uuid[])
language plpgsql
set search_path = ''
as $$
declare
  v_run public.runs;
  v_rate private.rate;
  v_left boolean;
  v_free boolean;
  v_slugs text[] := '{}';  -- of those that go and have a rate
begin
  allowed := p_candidates;
  passed := '{}';
  for v_run in
    select * from public.runs where id = any (p_candidates) and (concurrency_key is not null or rate_runs is not null)
    order by priority desc, place_at, id
  loop
    v_left := true;
    v_free := true;
    if v_run.rate_runs is not null then
      v_rate := row(v_run.template_slug, v_run.rate_runs, v_run.rate_per_seconds);
      if v_rate = any (full_rates) then
        v_left := false;
      else
        v_left := private.has_rate_left(v_rate, cardinality(array_positions(v_slugs, v_run.template_slug)));
        full_rates := full_rates || case when not v_left then array[v_rate] else '{}' end;
      end if;
    end if;
    if v_left and v_run.concurrency_key is not null then
      if v_run.concurrency_key = any (held_keys) then
        v_free := false;
      else
        v_free := private.is_key_free(v_run.concurrency_key);
        held_keys := held_keys || v_run.concurrency_key;
      end if;
    end if;
    if v_left and v_free then
      v_slugs := v_slugs || case when v_run.rate_runs is not null then array[v_run.template_slug] else '{}' end;
    else
      allowed := array_remove(allowed, v_run.id);
      passed := passed || case when v_left is not null then array[v_run.id] else '{}' end;
    end if;
  end loop;
end;
$$;

-- Claims up to p_limit runs of lanes whose rows the caller has locked, each lane its share of them if it has the room; with p_start, immediate
-- ones are started as well. Lanes in which runs were passed by are picked from again, without all that the same keys and rates hold back.
-- Answers both, and the lanes that may have more: those of which as many were looked at as their share and room, unless nothing could go at all.
create or replace function private.claim_lanes(
  p_worker_id uuid, p_request_id uuid, p_lanes private.waiting_lane[], p_limit integer, p_start boolean,
  out claimed uuid[], out started uuid[], out more private.waiting_lane[])
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_lanes private.waiting_lane[] := p_lanes;
  v_left integer := p_limit;
  v_share integer;
  v_rest integer;
  v_picked uuid[];
  v_of bigint[];
  v_quotas bigint[];
  v_gated boolean;
  v_going uuid[];
  v_passed uuid[];
  v_again bigint[] := '{}';
  v_held_keys text[] := '{}';
  v_full_rates private.rate[] := '{}';
  v_started uuid[];
  v_more private.waiting_lane[];
begin
  loop
    v_now := clock_timestamp();
    v_share := v_left / cardinality(v_lanes);
    v_rest := v_left % cardinality(v_lanes);
    with room as materialized (
      select l.n, l.session_id, l.lane, greatest(0, least(
        l.capacity - (select count(*) from public.runs as t
                      where t.session_id = l.session_id and t.lane = l.lane and t.status in ('claimed', 'running')),
        v_share + case when l.n <= v_rest then 1 else 0 end)) as quota
      from unnest(v_lanes) with ordinality as l (session_id, lane, capacity, n)
    ), picked as materialized (
      select p.id, m.n, m.quota, p.gated from room as m cross join lateral (
        select r.id, r.concurrency_key is not null or r.rate_runs is not null as gated from public.runs as r
        where r.status = 'queued' and not r.awaiting_approval and r.session_id = m.session_id and r.lane = m.lane and (r.not_before is null or r.not_before <= v_now)
          and (r.concurrency_key is null or r.concurrency_key <> all (v_held_keys) and not exists (
            select from public.runs as o where o.concurrency_key = r.concurrency_key and o.status in ('claimed', 'running')))
          and (r.rate_runs is null or row(r.template_slug, r.rate_runs, r.rate_per_seconds)::private.rate <> all (v_full_rates))
        order by r.priority desc, r.place_at, r.id
        limit m.quota
        for update of r skip locked) as p
    )
    select array_agg(p.id), array_agg(p.n), array_agg(p.quota), bool_or(p.gated) into v_picked, v_of, v_quotas, v_gated from picked as p;
    v_going := v_picked;
    if v_gated then
      select * into v_held_keys, v_full_rates, v_going, v_passed from private.allowed(v_picked, v_held_keys, v_full_rates);
      v_again := array(select distinct p.n from unnest(v_picked, v_of) as p (id, n) where p.id = any (v_passed));
    end if;
    -- After the slots were counted: who takes one does so later than the one before has given it back.
    v_now := clock_timestamp();
    with taken as (
      update public.runs as r
      set status = case when p_start and r.immediate then 'running' else 'claimed' end, started_at = case when p_start and r.immediate then v_now end,
          claimed_by = p_worker_id, claimed_at = v_now, claim_token = gen_random_uuid(), claim_request = p_request_id,
          heartbeat_at = v_now, lease_expires_at = v_now + make_interval(secs => r.lease_seconds)
      where r.id = any (v_going)
      returning r.id, r.started_at
    ), counted as (
      select p.n from unnest(v_of, v_quotas) as p (n, quota) where p.n <> all (v_again) group by p.n, p.quota having count(*) = p.quota
    )
    select (select array_agg(t.id) from taken as t where t.started_at is not null),
           (select array_agg(row(l.session_id, l.lane, l.capacity)::private.waiting_lane order by l.n)
            from unnest(v_lanes) with ordinality as l (session_id, lane, capacity, n) join counted as c on c.n = l.n)
    into v_started, v_more;
    claimed := claimed || v_going;
    started := started || v_started;
    more := more || v_more;
    exit when v_again = '{}';
    v_left := v_left - cardinality(v_going);
    v_lanes := array(select row(l.session_id, l.lane, l.capacity)::private.waiting_lane
                     from unnest(v_lanes) with ordinality as l (session_id, lane, capacity, n) where l.n = any (v_again) order by l.n);
    v_again := '{}';
  end loop;
  if claimed is null or claimed = '{}' then
    more := null;
  end if;
end;
$$;

revoke all on function private.has_rate_left(private.rate, integer), private.is_key_free(text), private.allowed(uuid[], text[], private.rate[])
  from public, anon, authenticated, service_role;
