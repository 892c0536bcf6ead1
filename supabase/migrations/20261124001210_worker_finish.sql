-- The end of runs, as their worker tells it.

-- A result that comes after the run has left its worker's hands changes nothing and is kept, once, as a late_evidence event.
create function private.keep_late_result(p_run public.runs, p_result jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if not exists (select from public.run_events where run_id = p_run.id and type = 'late_evidence') then
    perform private.record_event(p_run.id, 'late_evidence', format('A late result arrived: %s', p_result ->> 'status'),
      jsonb_strip_nulls(jsonb_build_object('status', p_result ->> 'status', 'reason', p_result ->> 'reason',
        'exit_code', p_result -> 'exit_code', 'message', left(p_result ->> 'message', 4000))), null, 'warn');
  end if;
end;
$$;

-- Ends runs: [{run_id, claim_token, status, reason, message, exit_code, batch, events}]. batch and events are a last batch of events, as
-- append_events takes them, for runs whose whole story fits into one call. Answers, for each, ok or lost and the run's status.
create function public.finish_runs(p_results jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_item record;
  v_run public.runs;
  v_events private.new_event[] := '{}';
  v_ends private.run_end[] := '{}';
  v_answer jsonb := '[]';
  v_open record;
begin
  if (select count(*) > count(distinct (e ->> 'run_id')::uuid) from jsonb_array_elements(p_results) as t (e)) then
    perform private.fail('ORV02', 'a run is named twice in one call', 'End each run once.');
  end if;
  perform from public.runs as r join jsonb_array_elements(p_results) as t (e) on r.id = (e ->> 'run_id')::uuid
  order by r.id for no key update of r;
  for v_item in
    select e, r as run from jsonb_array_elements(p_results) with ordinality as t (e, n)
    left join public.runs as r on r.id = (e ->> 'run_id')::uuid order by n
  loop
    v_run := v_item.run;
    if v_run.id is null then
      perform private.fail('ORN02', format('there is no run %s', coalesce(v_item.e ->> 'run_id', '(none given)')), 'List them with: opsroom runs');
    elsif coalesce(v_item.e ->> 'status', '') not in ('succeeded', 'failed', 'cancelled', 'timed_out') then
      perform private.fail('ORV02', format('a run can not finish as %s', coalesce(v_item.e ->> 'status', '(none given)')),
                           'Choose succeeded, failed, cancelled or timed_out.');
    elsif (v_item.e ->> 'status' = 'succeeded') <> (v_item.e ->> 'reason' is null) then
      perform private.fail('ORV02', 'a run has a reason exactly when it does not succeed', 'See docs/database.md for the reasons.');
    elsif v_run.claim_token is distinct from (v_item.e ->> 'claim_token')::uuid then
      v_answer := v_answer || jsonb_build_object('run_id', v_run.id, 'verdict', 'lost', 'status', v_run.status);
    elsif v_run.finished_at is not null then
      if (v_run.status, v_run.reason, v_run.exit_code)
         is distinct from (v_item.e ->> 'status', v_item.e ->> 'reason', (v_item.e ->> 'exit_code')::integer) then
        perform private.keep_late_result(v_run, v_item.e);
        v_answer := v_answer || jsonb_build_object('run_id', v_run.id, 'verdict', 'lost', 'status', v_run.status);
      else
        v_answer := v_answer || jsonb_build_object('run_id', v_run.id, 'verdict', 'ok', 'status', v_run.status);
      end if;
    else
      if (v_item.e ->> 'batch')::bigint = v_run.last_batch + 1 then
        v_events := v_events || private.check_events(v_run.id, v_item.e -> 'events');
      elsif (v_item.e ->> 'batch')::bigint > v_run.last_batch + 1 then
        perform private.fail('ORC06', format('batch %s can not follow batch %s', v_item.e ->> 'batch', v_run.last_batch), 'Send the missing batches first.');
      end if;
      v_ends := v_ends || row(v_run.id, v_item.e ->> 'status', v_item.e ->> 'reason', v_item.e ->> 'message', (v_item.e ->> 'exit_code')::integer)::private.run_end;
      v_answer := v_answer || jsonb_build_object('run_id', v_run.id, 'verdict', 'ok', 'status', v_item.e ->> 'status');
    end if;
  end loop;
  perform private.apply_step_events(v_events);
  perform private.record_events(v_events);
  select r.id, r.status, string_agg(s.step_id, ', ' order by s.position) as steps into v_open
  from unnest(v_ends) as e join public.runs as r on r.id = e.run_id
  left join public.run_steps as s on s.run_id = r.id and s.required and s.status <> 'succeeded'
  where e.status = 'succeeded'
  group by r.id having r.status <> 'running' or count(s.step_id) > 0 limit 1;
  if found then
    perform private.fail('ORC05', format('run %s can not succeed: %s', v_open.id,
      coalesce('steps that did not succeed: ' || v_open.steps, 'it was not started')));
  end if;
  perform private.end_runs(v_ends);
  return v_answer;
end;
$$;

create function public.finish_run(
  p_run_id uuid, p_claim_token uuid, p_status text, p_reason text default null, p_message text default null, p_exit_code integer default null)
returns jsonb
language sql security definer
set search_path = ''
as $$
  select (public.finish_runs(jsonb_build_array(jsonb_build_object('run_id', p_run_id, 'claim_token', p_claim_token,
    'status', p_status, 'reason', p_reason, 'message', p_message, 'exit_code', p_exit_code))) -> 0) - 'run_id';
$$;

-- Hands back runs that were claimed and not started: [{run_id, claim_token}]. Each ends as failed (lost), as the sweep would end it, and
-- its successor is queued at once, at its place. Answers, for each: released; started, for a run that is running; or lost.
create function public.release_runs(p_runs jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_ends private.run_end[];
begin
  perform from public.runs as r join jsonb_array_elements(p_runs) as t (e) on r.id = (e ->> 'run_id')::uuid
  order by r.id for no key update of r;
  select array_agg(row(r.id, 'failed', 'lost', 'Handed back by its worker; the run had not started', null)::private.run_end order by r.id)
  into v_ends
  from public.runs as r join jsonb_array_elements(p_runs) as t (e)
    on r.id = (e ->> 'run_id')::uuid and r.claim_token = (e ->> 'claim_token')::uuid
  where r.status = 'claimed';
  perform private.end_runs(v_ends);
  return coalesce((
    select jsonb_agg(jsonb_build_object('run_id', e ->> 'run_id', 'verdict', case
      when r.status = 'running' then 'started' when r.started_at is null and r.reason = 'lost' then 'released' else 'lost' end) order by n)
    from jsonb_array_elements(p_runs) with ordinality as t (e, n)
    left join public.runs as r on r.id = (e ->> 'run_id')::uuid and r.claim_token = (e ->> 'claim_token')::uuid), '[]');
end;
$$;
