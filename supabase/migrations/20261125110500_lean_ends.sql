-- Start and end of many runs at once, in as many statements as for one. What is refused, and what is answered, stays the same.
-- Lock order as before: runs in the order of their ids, their steps, their events.

-- Starts claimed runs: [{run_id, claim_token}]. Committed before the first process is spawned: so a run's process is started at most
-- once. Answers, for each: started, cancel (somebody asked to; finish it as cancelled), or lost.
create or replace function public.start_runs(p_runs jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_ids uuid[];
  v_tokens uuid[];
  v_now timestamptz;
  v_events private.new_event[];
begin
  select array_agg(t.run_id order by t.n), array_agg(t.claim_token order by t.n) into v_ids, v_tokens
  from rows from (jsonb_to_recordset(p_runs) as (run_id uuid, claim_token uuid)) with ordinality as t (run_id, claim_token, n);
  perform from public.runs as r where r.id = any (v_ids) order by r.id for no key update;
  v_now := clock_timestamp();
  with started as (
    update public.runs as r
    set status = 'running', started_at = v_now, heartbeat_at = v_now, lease_expires_at = v_now + make_interval(secs => r.lease_seconds)
    from unnest(v_ids, v_tokens) as h (run_id, claim_token)
    where r.id = h.run_id and r.claim_token = h.claim_token
      and r.status = 'claimed' and r.lease_expires_at >= v_now and r.cancel_requested_at is null
    returning r.id
  )
  select array_agg(row(s.id, 'run.started', null, 'info', 'Started', '{}')::private.new_event) into v_events from started as s;
  perform private.record_events(v_events);
  if cardinality(v_events) = cardinality(v_ids) then
    return (select jsonb_agg(jsonb_build_object('run_id', h.run_id, 'verdict', 'started') order by h.n)
            from unnest(v_ids) with ordinality as h (run_id, n));
  end if;
  return coalesce((
    select jsonb_agg(jsonb_build_object('run_id', h.run_id, 'verdict', case
      when r.id is null then 'lost' when r.status = 'running' then 'started' when r.cancel_requested_at is not null then 'cancel' else 'lost' end) order by h.n)
    from rows from (unnest(v_ids, v_tokens)) with ordinality as h (run_id, claim_token, n)
    left join public.runs as r on r.id = h.run_id and r.claim_token = h.claim_token
      and r.status in ('claimed', 'running') and r.lease_expires_at >= v_now), '[]');
end;
$$;

create or replace function public.start_run(p_run_id uuid, p_claim_token uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
begin
  return (public.start_runs(jsonb_build_array(jsonb_build_object('run_id', p_run_id, 'claim_token', p_claim_token))) -> 0) - 'run_id';
end;
$$;

-- Ends runs whose rows the caller has locked; p_last are events of theirs that come before the end. Locks: (runs), run_steps, run_events.
-- What their steps had not finished ends with them, and the template's retry policy decides about successors; a run that somebody asked to
-- cancel gets none, and one that replays another only where it never started. An immediate run that is lost is taken for one that never started.
drop function private.end_runs(private.run_end[]);
create function private.end_runs(p_ends private.run_end[], p_last private.new_event[] default '{}')
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_events private.new_event[];
  v_again record;
begin
  if coalesce(cardinality(p_ends), 0) = 0 then
    return;
  end if;
  update public.runs as r
  set status = e.status, reason = e.reason, message = left(e.message, 4000), exit_code = e.exit_code, finished_at = v_now
  from unnest(p_ends) as e where r.id = e.run_id;
  update public.run_steps as s
  set status = case when s.status = 'pending' then 'skipped' when e.status in ('cancelled', 'timed_out') then e.status else 'failed' end,
      finished_at = v_now
  from unnest(p_ends) as e where s.run_id = e.run_id and s.status in ('pending', 'running');
  select array_agg(row(t.run_id, t.type, t.step, t.level, t.message, t.data)::private.new_event order by t.run_id, t.n) into v_events
  from (
    select l.run_id, l.type, l.step, l.level, l.message, l.data, l.n
    from unnest(p_last) with ordinality as l (run_id, type, step, level, message, data, n)
    union all
    select e.run_id, 'run.' || e.status, null, case e.status when 'succeeded' then 'info' when 'cancelled' then 'warn' else 'error' end,
      coalesce(nullif(e.message, ''), initcap(replace(e.status, '_', ' '))),
      case when e.reason is null and e.exit_code is null then '{}'
           else jsonb_strip_nulls(jsonb_build_object('reason', e.reason, 'exit_code', e.exit_code)) end, 1e9::bigint
    from unnest(p_ends) as e) as t;
  perform private.record_events(v_events);

  if not exists (select from unnest(p_ends) as e where e.status not in ('succeeded', 'cancelled')) then
    return;
  end if;
  for v_again in
    select r as run, v.spec::jsonb -> 'retry' as policy
    from unnest(p_ends) as e
    join public.runs as r on r.id = e.run_id
    join public.template_versions as v on v.id = r.template_version_id
    where e.status not in ('succeeded', 'cancelled') and r.cancel_requested_at is null
      and private.wants_retry(case when r.replay_of is null then v.spec::jsonb -> 'retry' end, case e.reason when 'lost' then 'lost' else e.status end, r.attempt, r.started_at is not null and not r.immediate)
  loop
    perform private.insert_successor(v_again.run, case when (v_again.run).started_at is null then 0
      else private.backoff_seconds(v_again.policy, (v_again.run).attempt) end);
  end loop;
end;
$$;

create type private.told_end as (
  run_id uuid, claim_token uuid, status text, reason text, message text, exit_code integer, batch bigint, events jsonb);

-- Refuses, with the error of the first of them, results that can not be: of an unknown run, with a status or reason that is none, or
-- before a batch that is missing.
create function private.refuse_bad_results(p_results private.told_end[])
returns void
language plpgsql stable
set search_path = ''
as $$
declare
  v_bad record;
begin
  select t.run_id, t.status, t.batch, r.id, r.last_batch, case
      when r.id is null then 'unknown'
      when coalesce(t.status, '') not in ('succeeded', 'failed', 'cancelled', 'timed_out') then 'status'
      when (t.status = 'succeeded') <> (t.reason is null) then 'reason'
      when r.claim_token = t.claim_token and r.finished_at is null and t.batch > r.last_batch + 1 then 'batch' end as problem
  into v_bad
  from unnest(p_results) with ordinality as t (run_id, claim_token, status, reason, message, exit_code, batch, events, n)
  left join public.runs as r on r.id = t.run_id
  where r.id is null or coalesce(t.status, '') not in ('succeeded', 'failed', 'cancelled', 'timed_out')
     or (t.status = 'succeeded') <> (t.reason is null)
     or (r.claim_token = t.claim_token and r.finished_at is null and t.batch > r.last_batch + 1)
  order by t.n limit 1;
  case v_bad.problem
    when 'unknown' then
      perform private.fail('ORN02', format('there is no run %s', coalesce(v_bad.run_id::text, '(none given)')), 'List them with: opsroom runs');
    when 'status' then
      perform private.fail('ORV02', format('a run can not finish as %s', coalesce(v_bad.status, '(none given)')),
                           'Choose succeeded, failed, cancelled or timed_out.');
    when 'reason' then
      perform private.fail('ORV02', 'a run has a reason exactly when it does not succeed', 'See docs/database.md for the reasons.');
    when 'batch' then
      perform private.fail('ORC06', format('batch %s can not follow batch %s', v_bad.batch, v_bad.last_batch), 'Send the missing batches first.');
    else null;
  end case;
end;
$$;

-- Ends runs: [{run_id, claim_token, status, reason, message, exit_code, batch, events}]. batch and events are a last batch of events, as
-- append_events takes them, for runs whose whole story fits into one call. Answers, for each, ok or lost and the run's status.
create or replace function public.finish_runs(p_results jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_results private.told_end[];
  v_ends private.run_end[];
  v_late integer[];
  v_answer jsonb;
  v_events private.new_event[];
  v_checked boolean;
  v_open record;
begin
  v_results := array(select jsonb_populate_recordset(null::private.told_end, p_results));
  if (select count(*) > count(distinct t.run_id) from unnest(v_results) as t) then
    perform private.fail('ORV02', 'a run is named twice in one call', 'End each run once.');
  end if;
  perform from public.runs as r where r.id in (select t.run_id from unnest(v_results) as t) order by r.id for no key update;
  perform private.refuse_bad_results(v_results);

  select array_agg(row(t.run_id, t.status, t.reason, t.message, t.exit_code)::private.run_end) filter (where t.fate = 'end'),
         array_agg(t.n::integer) filter (where t.fate = 'late'),
         jsonb_agg(jsonb_build_object('run_id', t.run_id, 'verdict', case when t.fate in ('end', 'again') then 'ok' else 'lost' end,
                                      'status', case when t.fate = 'end' then t.status else t.known end) order by t.n),
         bool_or(t.fate = 'end' and t.needs_evidence)
  into v_ends, v_late, v_answer, v_checked
  from (
    select t.*, r.status as known, r.needs_evidence, case
      when r.claim_token is distinct from t.claim_token then 'lost'
      when r.finished_at is null then 'end'
      when (r.status, r.reason, r.exit_code) is not distinct from (t.status, t.reason, t.exit_code) then 'again'
      else 'late' end as fate
    from unnest(v_results) with ordinality as t (run_id, claim_token, status, reason, message, exit_code, batch, events, n)
    join public.runs as r on r.id = t.run_id) as t;
  if v_late is not null then
    perform private.keep_late_result(r, to_jsonb(v_results[n])) from unnest(v_late) as l (n) join public.runs as r on r.id = v_results[n].run_id;
  end if;

  -- The last batch of those that end, unless it was appended before.
  select array_agg(row(t.run_id, e.type, e.step, e.level, e.message, e.data)::private.new_event order by t.n, e.n) into v_events
  from unnest(v_results) with ordinality as t (run_id, claim_token, status, reason, message, exit_code, batch, events, n)
  join public.runs as r on r.id = t.run_id and r.claim_token = t.claim_token and r.finished_at is null and t.batch = r.last_batch + 1
  cross join lateral (select private.refuse_bad_batch(t.events)) as checked
  cross join lateral rows from (jsonb_to_recordset(t.events) as (type text, step text, level text, message text, data jsonb)) with ordinality
    as e (type, step, level, message, data, n);
  if v_events is not null then
    perform private.refuse_bad_events(v_events);
    perform private.apply_step_events(v_events);
    -- What is checked when a run succeeds, its proofs, has to be written before.
    if v_checked then
      perform private.record_events(v_events);
      v_events := null;
    end if;
  end if;

  select r.id, r.status, string_agg(s.step_id, ', ' order by s.position) as steps into v_open
  from unnest(v_ends) as e join public.runs as r on r.id = e.run_id
  left join public.run_steps as s on s.run_id = r.id and s.required and s.status <> 'succeeded'
  where e.status = 'succeeded'
  group by r.id having r.status <> 'running' or count(s.step_id) > 0 limit 1;
  if found then
    perform private.fail('ORC05', format('run %s can not succeed: %s', v_open.id,
      coalesce('steps that did not succeed: ' || v_open.steps, 'it was not started')));
  end if;
  perform private.end_runs(v_ends, coalesce(v_events, '{}'));
  return coalesce(v_answer, '[]');
end;
$$;

create or replace function public.finish_run(
  p_run_id uuid, p_claim_token uuid, p_status text, p_reason text default null, p_message text default null, p_exit_code integer default null)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
begin
  return (public.finish_runs(jsonb_build_array(jsonb_build_object('run_id', p_run_id, 'claim_token', p_claim_token,
    'status', p_status, 'reason', p_reason, 'message', p_message, 'exit_code', p_exit_code))) -> 0) - 'run_id';
end;
$$;

revoke all on function private.end_runs(private.run_end[], private.new_event[]), private.refuse_bad_results(private.told_end[])
  from public, anon, authenticated, service_role;
