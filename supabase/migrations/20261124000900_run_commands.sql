-- Commands of people on runs: create, cancel, retry, rerun.

-- Params as a run stores them: the schema's defaults filled in, then valid to the last key, or ORV01 with every finding.
create function private.check_params(p_spec jsonb, p_params json)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_text text := coalesce(p_params::text, '{}');
  v_schema jsonb := '{"type": "object"}'::jsonb || coalesce(p_spec -> 'params', '{}');
  v_params jsonb;
  v_errors jsonb;
begin
  if octet_length(v_text) > 262144 then
    perform private.fail('ORV01', format('the params have %s bytes', octet_length(v_text)), 'Keep params under 256 KiB; pass large input by reference.',
      jsonb_build_array(private.field_error('', 'too_large', 'must have at most 262144 bytes of JSON')));
  elsif v_text ~ '(^|[^\\])(\\\\)*\\u0000' then
    perform private.fail('ORV01', 'the params contain a NUL character', 'Remove it.',
      jsonb_build_array(private.field_error('', 'pattern', 'contains a NUL character; remove it')));
  end if;
  v_params := v_text::jsonb;
  if jsonb_typeof(v_params) = 'object' then
    v_params := coalesce((select jsonb_object_agg(key, value -> 'default') from jsonb_each(coalesce(v_schema -> 'properties', '{}'))
                          where value ? 'default'), '{}') || v_params;
  end if;
  v_errors := private.validate_json(v_schema, v_params);
  if v_errors <> '[]' then
    perform private.fail('ORV01', format('the params are not valid: %s %s', coalesce(nullif(v_errors -> 0 ->> 'path', ''), '/'),
      v_errors -> 0 ->> 'message'), format('See what %s takes with: opsroom templates show %s', p_spec ->> 'slug', p_spec ->> 'slug'), v_errors);
  end if;
  return v_params;
end;
$$;

create function private.check_lane(p_lane text)
returns text
language plpgsql stable
set search_path = ''
as $$
begin
  if p_lane is null or p_lane not in ('A', 'B', 'C', 'D') then
    perform private.fail('ORV02', format('there is no lane %s', left(coalesce(p_lane, '(none given)'), 40)), 'Choose A, B, C or D.');
  end if;
  return p_lane;
end;
$$;

create function private.newest_version(p_slug text)
returns public.template_versions
language plpgsql stable
set search_path = ''
as $$
declare
  v_version public.template_versions;
  v_enabled boolean;
begin
  select enabled into v_enabled from public.run_templates where slug = p_slug;
  if not found then
    perform private.fail('ORN03', format('there is no template %s', left(coalesce(p_slug, '(none given)'), 64)), 'List them with: opsroom templates');
  elsif not v_enabled then
    perform private.fail('ORC04', format('template %s is disabled', p_slug), 'Choose another one, or ask an admin to enable it.');
  end if;
  select * into v_version from public.template_versions where slug = p_slug order by version desc limit 1;
  return v_version;
end;
$$;

-- Queues p_run in an open session once per idempotency key. A replay answers with the run of the first call.
create function private.queue_run(p_run public.runs)
returns public.runs
language plpgsql
set search_path = ''
as $$
declare
  v_session public.sessions;
  v_run public.runs;
begin
  select * into v_run from public.runs where created_by = p_run.created_by and idempotency_key = p_run.idempotency_key;
  if not found then
    select * into v_session from public.sessions where id = p_run.session_id for share;
    if not found then
      perform private.fail('ORN01', format('there is no session %s', coalesce(p_run.session_id::text, '(none given)')), 'List them with: opsroom sessions');
    elsif v_session.archived_at is not null then
      perform private.fail('ORC01', format('session "%s" is archived', v_session.title), 'Reopen it, or choose another one.');
    end if;
    v_run := private.insert_run(p_run);
    if v_run.id is not null then
      perform private.audit('run.created', 'run', v_run.id::text,
        jsonb_build_object('template', v_run.template_slug, 'lane', v_run.lane, 'session', v_run.session_id));
      return v_run;
    end if;
    select * into v_run from public.runs where created_by = p_run.created_by and idempotency_key = p_run.idempotency_key;
  end if;
  if (v_run.session_id, v_run.template_slug, v_run.params, v_run.lane, v_run.priority, v_run.not_before, v_run.rerun_of)
     is distinct from (p_run.session_id, p_run.template_slug, p_run.params, p_run.lane, p_run.priority, p_run.not_before, p_run.rerun_of) then
    perform private.fail('ORC03', 'this idempotency key was used for another run', 'Use a new key for a new run.');
  end if;
  return v_run;
end;
$$;

create function public.create_run(
  p_session_id uuid, p_template text, p_params json default '{}', p_lane text default 'A', p_priority integer default 0,
  p_not_before timestamptz default null, p_title text default null, p_idempotency_key text default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_version public.template_versions := private.newest_version(p_template);
  v_run public.runs;
begin
  if p_priority is null or p_priority not between -100 and 100 then
    perform private.fail('ORV02', format('priority %s is out of range', coalesce(p_priority::text, '(none given)')), 'Choose -100 to 100; higher goes first.');
  end if;
  v_run.session_id := p_session_id;
  v_run.lane := private.check_lane(p_lane);
  v_run.template_version_id := v_version.id;
  v_run.template_slug := v_version.slug;
  v_run.template_version := v_version.version;
  v_run.template_digest := v_version.digest;
  v_run.title := nullif(private.check_text('title', p_title, 0, 120), '');
  v_run.params := private.check_params(v_version.spec::jsonb, p_params);
  v_run.priority := p_priority;
  v_run.not_before := p_not_before;
  v_run.idempotency_key := nullif(private.check_text('idempotency key', p_idempotency_key, 0, 200), '');
  v_run.created_by := v_member.user_id;
  return private.run_json(private.queue_run(v_run));
end;
$$;

create function private.lock_run(p_run_id uuid)
returns public.runs
language plpgsql
set search_path = ''
as $$
declare
  v_run public.runs;
begin
  select * into v_run from public.runs where id = p_run_id for no key update;
  if not found then
    perform private.fail('ORN02', format('there is no run %s', coalesce(p_run_id::text, '(none given)')), 'List them with: opsroom runs');
  end if;
  return v_run;
end;
$$;

-- A queued run is cancelled at once. For a claimed or running one this is an intent: the worker stops it and then ends it. p_force ends it
-- here and now: its worker finds the claim lost and kills what it runs.
create function public.cancel_run(p_run_id uuid, p_reason text default null, p_force boolean default false)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_reason text := nullif(private.check_text('reason', p_reason, 0, 1000), '');
  v_run public.runs := private.lock_run(p_run_id);
  v_by text := coalesce(nullif(v_member.display_name, ''), v_member.email);
begin
  if v_run.finished_at is not null or (v_run.cancel_requested_at is not null and not p_force) then
    return private.run_json(v_run);
  end if;
  if v_run.cancel_requested_at is null then
    update public.runs
    set cancel_requested_at = clock_timestamp(), cancel_requested_by = v_member.user_id, cancel_reason = v_reason
    where id = p_run_id;
    perform private.record_event(p_run_id, 'run.cancel_requested', format('%s asked to cancel', v_by) || coalesce(': ' || v_reason, ''),
      jsonb_build_object('by', v_member.user_id), null, 'warn');
  end if;
  perform private.audit('run.cancel_requested', 'run', p_run_id::text, jsonb_strip_nulls(jsonb_build_object('reason', v_reason, 'force', nullif(p_force, false))));
  if v_run.status = 'queued' then
    perform private.end_run(p_run_id, 'cancelled', 'cancelled_by_person', format('Cancelled by %s before it started', v_by));
  elsif p_force then
    perform private.end_run(p_run_id, 'cancelled', 'cancelled_by_person', format('Cancelled by %s by force: its worker did not answer for its end', v_by));
  end if;
  perform pg_notify('opsroom_runs', 'cancel:' || p_run_id);
  return private.run_json(private.find_run(p_run_id));
end;
$$;

-- The successor of an ended, not succeeded run, with the same template version and params. One per run: the same again on replay.
-- p_resume carries the steps that succeeded over, with their artifacts, and goes on from there.
create function public.retry_run(p_run_id uuid, p_resume boolean default false)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_run public.runs := private.lock_run(p_run_id);
  v_new public.runs;
begin
  if v_run.finished_at is null then
    perform private.fail('ORC02', format('run %s is still %s', p_run_id, v_run.status), 'Wait for its end or cancel it first.');
  elsif v_run.status = 'succeeded' then
    perform private.fail('ORC05', format('run %s succeeded; there is nothing to retry', p_run_id), 'Use rerun to run it again.');
  elsif exists (select from public.sessions where id = v_run.session_id and archived_at is not null) then
    perform private.fail('ORC01', 'the session of this run is archived', 'Reopen it first.');
  end if;
  v_new := private.insert_successor(v_run, 0, p_resume);
  perform private.audit('run.retried', 'run', p_run_id::text, jsonb_build_object('successor', v_new.id, 'resume', p_resume));
  return private.run_json(v_new);
end;
$$;

-- A new run from an old one, by its template's newest version; params, lane and session are the old run's where not given.
create function public.rerun(p_run_id uuid, p_params json default null, p_lane text default null, p_idempotency_key text default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_old public.runs;
  v_version public.template_versions;
  v_run public.runs;
begin
  select * into v_old from public.runs where id = p_run_id;
  if not found then
    perform private.fail('ORN02', format('there is no run %s', coalesce(p_run_id::text, '(none given)')), 'List them with: opsroom runs');
  end if;
  v_version := private.newest_version(v_old.template_slug);
  v_run.session_id := v_old.session_id;
  v_run.lane := private.check_lane(coalesce(p_lane, v_old.lane));
  v_run.template_version_id := v_version.id;
  v_run.template_slug := v_version.slug;
  v_run.template_version := v_version.version;
  v_run.template_digest := v_version.digest;
  v_run.title := v_old.title;
  v_run.params := private.check_params(v_version.spec::jsonb, coalesce(p_params, v_old.params::json));
  v_run.priority := v_old.priority;
  v_run.rerun_of := p_run_id;
  v_run.idempotency_key := nullif(private.check_text('idempotency key', p_idempotency_key, 0, 200), '');
  v_run.created_by := v_member.user_id;
  return private.run_json(private.queue_run(v_run));
end;
$$;
