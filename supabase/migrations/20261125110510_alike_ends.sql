-- Runs that have come to the same, with the same story: they end in as many statements as one, and what they have in common is sent, checked
-- and put into words once. Lock order as before: runs in the order of their ids, their steps, their events.

-- Ends runs of one template version as succeeded: [{run_id, claim_token}]. p_events are the last batch of events of each of them, number 1,
-- and tell the whole story: each step starts and succeeds. Answers {"lost": [...]}: those that had left the worker's hands. What does not fit,
-- a call that comes again among it, goes the way of finish_runs, which knows better why.
create function public.finish_alike(p_runs jsonb, p_events jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_ids uuid[];
  v_versions bigint;
  v_events private.new_event[];
  v_steps bigint;
  v_moved bigint;
begin
  select array_agg(h.id order by h.id), count(distinct h.template_version_id) into v_ids, v_versions from (
    select r.id, r.template_version_id
    from jsonb_to_recordset(p_runs) as t (run_id uuid, claim_token uuid) join public.runs as r on r.id = t.run_id
    where r.claim_token = t.claim_token and r.status = 'running' and r.last_batch = 0 and not r.needs_evidence and r.replay_of is null
    order by r.id for no key update of r) as h;
  if v_versions is distinct from 1 or cardinality(v_ids) <> jsonb_array_length(p_runs) then
    return jsonb_build_object('lost', (
      select coalesce(jsonb_agg(a -> 'run_id'), '[]') from jsonb_array_elements(public.finish_runs((
        select jsonb_agg(t.run || jsonb_build_object('status', 'succeeded', 'exit_code', 0, 'batch', 1, 'events', p_events))
        from jsonb_array_elements(p_runs) as t (run)))) as f (a)
      where a ->> 'verdict' = 'lost'));
  end if;
  v_now := clock_timestamp();
  perform private.refuse_bad_batch(p_events);
  v_events := array(select row(v_ids[1], e.type, e.step, e.level, e.message, e.data)::private.new_event
                    from jsonb_to_recordset(p_events) as e (type text, step text, level text, message text, data jsonb));
  perform private.refuse_bad_events(v_events);
  with told as materialized (
    select e.step, max(e.message) filter (where e.type = 'step.finished') as message,
           max((e.data ->> 'exit_code')::integer) filter (where e.type = 'step.finished') as exit_code
    from unnest(v_events) as e where e.type like 'step.%' group by e.step
    having array_agg(e.type) = array['step.started', 'step.finished'] and max(e.data ->> 'status') = 'succeeded'
  ), moved as (
    update public.run_steps as s
    set status = 'succeeded', started_at = v_now, finished_at = v_now, exit_code = t.exit_code, message = left(t.message, 4000)
    from told as t where s.run_id = any (v_ids) and s.step_id = t.step and s.status = 'pending'
    returning 1
  )
  select (select count(*) from public.run_steps as s where s.run_id = v_ids[1]), (select count(*) from moved) into v_steps, v_moved;
  if v_moved <> v_steps * cardinality(v_ids) then
    perform private.fail('ORC05', 'runs can not succeed: their events do not say of each of their steps that it started and succeeded',
                         'End them one by one, with finish_runs.');
  end if;
  update public.runs set status = 'succeeded', exit_code = 0, finished_at = v_now where id = any (v_ids);
  perform private.record_alike(v_ids, v_events || row(null, 'run.succeeded', null, 'info', 'Succeeded', '{"exit_code": 0}')::private.new_event);
  return '{"lost": []}';
end;
$$;

revoke all on function public.finish_alike(jsonb, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.finish_alike(jsonb, jsonb) to service_role;
