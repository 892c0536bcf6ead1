-- A claim that took immediate runs only is committed without waiting for the disk, and a claim does not look again at lanes that it has
-- filled. Lock order as before: lane, run, steps, events.

-- Claims up to p_limit runs, at most as many per lane as it has free slots, shared out over the lanes that wait. The same p_request_id
-- again answers the runs of the first time that are still held. A lane is locked first and its slots are counted in the next statement,
-- so that two claims never count the same slot; a lane that another claim holds is skipped. With p_start, immediate runs are started too.
create or replace function private.take_runs(p_worker_id uuid, p_limit integer, p_request_id uuid, p_start boolean)
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
  v_slots bigint;
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
    select array_agg(row(l.session_id, l.lane, l.capacity)::private.waiting_lane order by l.n), max(l.n)::integer, sum(l.capacity)
    into v_locked, v_looked_at, v_slots from (
      select l.session_id, l.lane, l.capacity, w.n
      from unnest(v_waiting) with ordinality as w (session_id, lane, capacity, n)
      join public.lanes as l on l.session_id = w.session_id and l.lane = w.lane
      order by w.n limit v_left for no key update of l skip locked) as l;
    exit when v_locked is null;
    select * into v_got from private.claim_lanes(p_worker_id, p_request_id, v_locked, v_left, p_start);
    v_taken := v_taken || coalesce(v_got.claimed, '{}');
    v_started := v_started || coalesce(v_got.started, '{}');
    v_left := v_left - coalesce(cardinality(v_got.claimed), 0);
    -- Those that were not looked at yet, then those that may have more: none, if all their slots were taken now.
    v_waiting := v_waiting[v_looked_at + 1 :] || case when cardinality(v_got.claimed) < v_slots then coalesce(v_got.more, '{}') else '{}' end;
  end loop;
  if v_taken <> '{}' then
    insert into private.claim_requests (request_id) values (p_request_id);
    v_claimed := row(null, 'run.claimed', null, 'info', format('Claimed by %s', v_worker.name),
                     jsonb_build_object('worker', p_worker_id, 'worker_version', v_worker.version));
    perform private.record_alike(v_started, array[v_claimed, row(null, 'run.started', null, 'info', 'Started', '{}')::private.new_event]);
    if cardinality(v_started) < cardinality(v_taken) then
      perform private.record_alike(array(select id from unnest(v_taken) as t (id) where id <> all (v_started)), array[v_claimed]);
    else
      -- Immediate runs only: nothing that they do is outside the database. If a crash of its server undoes this commit, it undoes all of it:
      -- they are queued again, the request is a new one, and the end that their worker tells is of an unknown claim. An end that is
      -- durable is so with all that was committed before it.
      perform set_config('synchronous_commit', 'off', true);
    end if;
  end if;
  return v_taken;
end;
$$;
