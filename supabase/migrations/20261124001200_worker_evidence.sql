-- What a worker writes of a run it holds: events, artifacts, the end. Each write carries the claim token.

-- Moves steps as their events tell: pending -> running (step.started) -> ended (step.finished), or pending -> skipped. Each at most
-- once; several events of one step may come in one batch. The caller holds the locks of the runs' rows.
create function private.apply_step_events(p_events private.new_event[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_bad record;
begin
  with told as materialized (
    select e.run_id, e.step,
      count(*) filter (where e.type = 'step.started') as started,
      count(*) filter (where e.type = 'step.skipped') as skipped,
      count(*) filter (where e.type = 'step.finished') as finished,
      max(e.data ->> 'status') filter (where e.type = 'step.finished') as status,
      max((e.data ->> 'exit_code')::integer) filter (where e.type = 'step.finished') as exit_code,
      max(e.message) filter (where e.type in ('step.finished', 'step.skipped')) as message
    from unnest(p_events) as e where e.type like 'step.%' group by e.run_id, e.step
  ), moved as (
    update public.run_steps as s
    set status = case when t.finished = 1 then t.status when t.skipped = 1 then 'skipped' else 'running' end,
        started_at = case when t.started = 1 then v_now else s.started_at end,
        finished_at = case when t.finished + t.skipped = 1 then v_now end,
        exit_code = t.exit_code,
        message = left(t.message, 4000)
    from told as t
    where s.run_id = t.run_id and s.step_id = t.step
      and s.status = case t.started + t.skipped when 1 then 'pending' when 0 then 'running' end
      and (t.started, t.skipped, t.finished) in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1))
      and (t.finished = 0 or t.status in ('succeeded', 'failed', 'cancelled', 'timed_out'))
    returning s.run_id, s.step_id
  )
  select t.* into v_bad from told as t
  where not exists (select from moved as m where m.run_id = t.run_id and m.step_id = t.step) limit 1;
  if found then
    perform private.fail('ORC05', format('the events of step %s of run %s do not fit its state', coalesce(v_bad.step, '(none given)'), v_bad.run_id),
      'A step starts once and finishes once, as succeeded, failed, cancelled or timed_out; or it is skipped.');
  end if;
end;
$$;

-- A worker's events as new_event rows; ORV02 for what a worker may not write.
create function private.check_events(p_run_id uuid, p_events jsonb)
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
      when coalesce(e ->> 'type', '') not in ('step.started', 'step.finished', 'step.skipped', 'output', 'log', 'truncated', 'metric')
        then format('a worker can not append an event of type %s', coalesce(left(e ->> 'type', 64), '(none given)'))
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

-- Appends batch number p_batch of a run (1, 2, 3, ...). A batch that is already there is accepted and ignored.
create function public.append_events(p_run_id uuid, p_claim_token uuid, p_batch bigint, p_events jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_run public.runs := private.lock_claim(p_run_id, p_claim_token);
  v_events private.new_event[];
  v_seq bigint;
begin
  if v_run.id is null then
    return jsonb_build_object('verdict', 'lost');
  elsif p_batch is null or p_batch > v_run.last_batch + 1 or p_batch < 1 then
    perform private.fail('ORC06', format('batch %s can not follow batch %s', p_batch, v_run.last_batch), 'Send the missing batches first.');
  elsif p_batch = v_run.last_batch + 1 then
    v_events := private.check_events(p_run_id, p_events);
    update public.runs set last_batch = p_batch where id = p_run_id;
    perform private.apply_step_events(v_events);
    perform private.record_events(v_events);
  end if;
  select max(seq) into v_seq from public.run_events where run_id = p_run_id;
  perform private.ring('run:' || p_run_id, jsonb_build_object('what', 'events', 'seq', v_seq));
  return jsonb_build_object('verdict', 'ok', 'last_seq', v_seq);
end;
$$;

-- Records an artifact whose object was uploaded before. The same name with the same content again is accepted and ignored.
create function public.put_artifact(p_run_id uuid, p_claim_token uuid, p_artifact jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_run public.runs := private.lock_claim(p_run_id, p_claim_token);
  v_new public.artifacts := jsonb_populate_record(null::public.artifacts, p_artifact);
  v_old public.artifacts;
  v_stored bigint;
begin
  if v_run.id is null then
    return jsonb_build_object('verdict', 'lost');
  end if;
  v_new.id := gen_random_uuid();
  v_new.run_id := p_run_id;
  v_new.created_at := clock_timestamp();
  v_new.object_path := case when v_new.kind <> 'link' then p_run_id || '/' || v_new.sha256 end;
  select * into v_old from public.artifacts where run_id = p_run_id and name = v_new.name;
  if found then
    if (v_old.kind, v_old.sha256, v_old.url) is distinct from (v_new.kind, v_new.sha256, v_new.url) then
      perform private.fail('ORC07', format('run %s has another artifact named %s already', p_run_id, v_new.name), 'Give it another name.');
    end if;
    return jsonb_build_object('verdict', 'ok', 'artifact_id', v_old.id);
  end if;
  if v_new.kind <> 'link' then
    select (metadata ->> 'size')::bigint into v_stored from storage.objects where bucket_id = 'artifacts' and name = v_new.object_path;
    if v_stored is distinct from v_new.size_bytes then
      perform private.fail('ORV02', format('the object of artifact %s is %s in Storage', v_new.name,
        case when v_stored is null then 'not' else v_stored || ' bytes long, not ' || v_new.size_bytes || ',' end), 'Upload it first.');
    end if;
  end if;
  insert into public.artifacts select (v_new).*;
  perform private.record_event(p_run_id, 'artifact.added', format('Artifact %s', v_new.name), jsonb_strip_nulls(jsonb_build_object(
    'name', v_new.name, 'kind', v_new.kind, 'sha256', v_new.sha256, 'size_bytes', v_new.size_bytes, 'url', v_new.url)), v_new.step);
  perform private.ring('run:' || p_run_id, jsonb_build_object('what', 'artifact'));
  return jsonb_build_object('verdict', 'ok', 'artifact_id', v_new.id);
exception
  when check_violation or not_null_violation or invalid_text_representation then
    perform private.fail('ORV02', format('the artifact is not valid: %s', sqlerrm), 'See docs/database.md for its fields.');
end;
$$;
