-- What a worker writes of a run it holds: events, artifacts, the end. Each write carries the claim token.

-- Moves the steps of a run as its events tell. The caller holds the lock of the run's row.
create function private.apply_step_event(p_run_id uuid, p_event jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_status text := p_event -> 'data' ->> 'status';
begin
  case p_event ->> 'type'
    when 'step.started' then
      update public.run_steps set status = 'running', started_at = v_now
      where run_id = p_run_id and step_id = p_event ->> 'step' and status = 'pending';
    when 'step.skipped' then
      update public.run_steps set status = 'skipped', finished_at = v_now, message = left(p_event ->> 'message', 4000)
      where run_id = p_run_id and step_id = p_event ->> 'step' and status = 'pending';
    when 'step.finished' then
      if v_status is null or v_status not in ('succeeded', 'failed', 'cancelled', 'timed_out') then
        perform private.fail('ORV02', format('a step can not finish as %s', coalesce(v_status, '(none given)')),
                             'Choose succeeded, failed, cancelled or timed_out.');
      end if;
      update public.run_steps
      set status = v_status, finished_at = v_now, exit_code = (p_event -> 'data' ->> 'exit_code')::integer,
          message = left(p_event ->> 'message', 4000)
      where run_id = p_run_id and step_id = p_event ->> 'step' and status = 'running';
    else
      return;
  end case;
  if not found then
    perform private.fail('ORC05', format('step %s of run %s can not have %s now', p_event ->> 'step', p_run_id, p_event ->> 'type'));
  end if;
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
  v_event jsonb;
  v_seq bigint;
begin
  if v_run.id is null then
    return jsonb_build_object('verdict', 'lost');
  elsif p_batch is null or p_batch > v_run.last_batch + 1 or p_batch < 1 then
    perform private.fail('ORC06', format('batch %s can not follow batch %s', p_batch, v_run.last_batch), 'Send the missing batches first.');
  elsif jsonb_typeof(p_events) <> 'array' or jsonb_array_length(p_events) > 1000 then
    perform private.fail('ORV02', 'a batch is an array of at most 1000 events', 'Cut it into several batches.');
  elsif p_batch = v_run.last_batch + 1 then
    update public.runs set last_batch = p_batch where id = p_run_id;
    for v_event in select value from jsonb_array_elements(p_events) loop
      if coalesce(v_event ->> 'type', '') not in ('step.started', 'step.finished', 'step.skipped', 'output', 'log', 'truncated', 'metric') then
        perform private.fail('ORV02', format('a worker can not append an event of type %s', left(v_event ->> 'type', 64)),
                             'See docs/database.md for the types.');
      elsif jsonb_typeof(coalesce(v_event -> 'data', '{}')) <> 'object' then
        perform private.fail('ORV02', 'the data of an event is an object');
      elsif octet_length(coalesce(v_event ->> 'message', '')) > 65536 or octet_length(coalesce(v_event ->> 'data', '')) > 65536 then
        perform private.fail('ORV02', 'an event''s message and data have at most 65536 bytes each', 'Cut it into several events.');
      elsif v_event ->> 'step' is not null
        and not exists (select from public.run_steps where run_id = p_run_id and step_id = v_event ->> 'step') then
        perform private.fail('ORV02', format('run %s has no step %s', p_run_id, left(v_event ->> 'step', 64)));
      end if;
      perform private.apply_step_event(p_run_id, v_event);
      perform private.append_event(p_run_id, v_event ->> 'type', coalesce(v_event ->> 'message', ''), coalesce(v_event -> 'data', '{}'),
                                   v_event ->> 'step', coalesce(v_event ->> 'level', 'info'));
    end loop;
  end if;
  select max(seq) into v_seq from public.run_events where run_id = p_run_id;
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
  perform private.append_event(p_run_id, 'artifact.added', format('Artifact %s', v_new.name), jsonb_strip_nulls(jsonb_build_object(
    'name', v_new.name, 'kind', v_new.kind, 'sha256', v_new.sha256, 'size_bytes', v_new.size_bytes, 'url', v_new.url)), v_new.step);
  return jsonb_build_object('verdict', 'ok', 'artifact_id', v_new.id);
exception
  when check_violation or not_null_violation or invalid_text_representation then
    perform private.fail('ORV02', format('the artifact is not valid: %s', sqlerrm), 'See docs/database.md for its fields.');
end;
$$;

-- Ends a run. A result that comes after the run has left the worker's hands changes nothing and is kept as a late_evidence event.
create function public.finish_run(
  p_run_id uuid, p_claim_token uuid, p_status text, p_reason text default null, p_message text default null, p_exit_code integer default null)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_run public.runs := private.lock_run(p_run_id);
  v_open text;
begin
  if p_status is null or p_status not in ('succeeded', 'failed', 'cancelled', 'timed_out') then
    perform private.fail('ORV02', format('a run can not finish as %s', coalesce(p_status, '(none given)')),
                         'Choose succeeded, failed, cancelled or timed_out.');
  elsif v_run.claim_token is distinct from p_claim_token then
    return jsonb_build_object('verdict', 'lost', 'status', v_run.status);
  elsif v_run.finished_at is not null then
    if (v_run.status, v_run.reason, v_run.exit_code) is not distinct from (p_status, p_reason, p_exit_code) then
      return jsonb_build_object('verdict', 'ok', 'status', v_run.status);
    end if;
    if not exists (select from public.run_events where run_id = p_run_id and type = 'late_evidence') then
      perform private.append_event(p_run_id, 'late_evidence', format('A late result arrived: %s', p_status), jsonb_strip_nulls(
        jsonb_build_object('status', p_status, 'reason', p_reason, 'exit_code', p_exit_code, 'message', left(p_message, 4000))), null, 'warn');
    end if;
    return jsonb_build_object('verdict', 'lost', 'status', v_run.status);
  end if;
  if p_status = 'succeeded' then
    select string_agg(step_id, ', ' order by position) into v_open
    from public.run_steps where run_id = p_run_id and required and status <> 'succeeded';
    if v_run.status <> 'running' or v_open is not null then
      perform private.fail('ORC05', format('run %s can not succeed: %s', p_run_id,
        case when v_open is null then 'it was not started' else 'steps that did not succeed: ' || v_open end));
    end if;
  elsif p_reason is null then
    perform private.fail('ORV02', format('a run that ends %s needs a reason', p_status), 'See docs/database.md for the reasons.');
  end if;
  v_run := private.end_run(v_run, p_status, case when p_status <> 'succeeded' then p_reason end, p_message, p_exit_code);
  return jsonb_build_object('verdict', 'ok', 'status', v_run.status);
end;
$$;
