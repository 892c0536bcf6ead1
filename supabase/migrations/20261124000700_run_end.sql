-- How a run comes to be and how it ends: the two writers that every command, worker function and sweep goes through.

-- The concurrency key of a run: the template's slug and the key as written, or the param it names as {{ params.x }}.
create function private.concurrency_key(p_spec jsonb, p_params jsonb)
returns text
language sql immutable
set search_path = ''
as $$
  select (p_spec ->> 'slug') || ':' || left(coalesce(
    p_params ->> substring(p_spec ->> 'concurrency_key' from '^\{\{ *params\.([A-Za-z0-9_-]+) *\}\}$'), p_spec ->> 'concurrency_key'), 200)
  where p_spec ? 'concurrency_key';
$$;

-- Queues a run and its steps. Fields of p_run that the database decides (id, status, times) are set here. Null when somebody was faster
-- with the same idempotency key or the same retry: the caller reads theirs.
create function private.insert_run(p_run public.runs)
returns public.runs
language plpgsql
set search_path = ''
as $$
declare
  v_run public.runs := p_run;
  v_spec jsonb;
begin
  select spec::jsonb into v_spec from public.template_versions where id = p_run.template_version_id;
  v_run.id := coalesce(p_run.id, gen_random_uuid());
  v_run.status := 'queued';
  v_run.queued_at := clock_timestamp();
  v_run.place_at := coalesce(p_run.place_at, v_run.queued_at);
  v_run.last_batch := 0;
  v_run.root_run_id := coalesce(p_run.root_run_id, v_run.id);
  v_run.attempt := coalesce(p_run.attempt, 1);
  v_run.title := coalesce(p_run.title, v_spec ->> 'title');
  v_run.concurrency_key := private.concurrency_key(v_spec, p_run.params);
  v_run.rate_runs := (v_spec -> 'rate_limit' ->> 'runs')::integer;
  v_run.rate_per_seconds := (v_spec -> 'rate_limit' ->> 'per_seconds')::integer;
  v_run.lease_seconds := coalesce((v_spec ->> 'lease_seconds')::integer, 30);
  v_run.timeout_seconds := coalesce((v_spec ->> 'timeout_seconds')::integer, 3600);
  v_run.start_deadline_at := greatest(v_run.not_before, v_run.queued_at) + make_interval(secs => (v_spec ->> 'queue_timeout_seconds')::integer);
  insert into public.runs select (v_run).* on conflict do nothing;
  if not found then
    return null;
  end if;
  insert into public.run_steps (run_id, step_id, position, kind, title, needs, required)
  select v_run.id, step ->> 'id', n, step ->> 'kind', step ->> 'title',
         array(select jsonb_array_elements_text(coalesce(step -> 'needs', '[]'))), coalesce((step ->> 'required')::boolean, true)
  from jsonb_array_elements(v_spec -> 'steps') with ordinality as s (step, n);
  perform private.record_event(v_run.id, 'run.queued', format('Queued in lane %s', v_run.lane), jsonb_strip_nulls(jsonb_build_object(
    'attempt', v_run.attempt, 'created_by', v_run.created_by, 'lane', v_run.lane, 'template', v_run.template_slug,
    'template_version', v_run.template_version, 'template_digest', v_run.template_digest,
    'params_digest', private.json_digest(v_run.params), 'retry_of', v_run.retry_of, 'rerun_of', v_run.rerun_of)));
  perform pg_notify('opsroom_runs', 'queued');
  return v_run;
end;
$$;

-- Carries what an attempt achieved over to its successor: the steps that succeeded, marked as such, and their artifacts.
create function private.carry_over(p_from uuid, p_to uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_steps text[];
begin
  with carried as (
    update public.run_steps as n
    set status = 'succeeded', started_at = o.started_at, finished_at = o.finished_at, exit_code = o.exit_code, message = o.message,
        carried_from = coalesce(o.carried_from, p_from)
    from public.run_steps as o
    where n.run_id = p_to and o.run_id = p_from and o.step_id = n.step_id and o.status = 'succeeded'
    returning n.step_id, n.position
  )
  select array_agg(step_id order by position) into v_steps from carried;
  if v_steps is null then
    return;
  end if;
  insert into public.artifacts (run_id, step, name, kind, media_type, sha256, size_bytes, object_path, url, carried_from)
  select p_to, step, name, kind, media_type, sha256, size_bytes, object_path, url, coalesce(carried_from, p_from)
  from public.artifacts where run_id = p_from and step = any (v_steps);
  perform private.record_event(p_to, 'run.resumed', format('Resumes after %s', array_to_string(v_steps, ', ')),
    jsonb_build_object('from', p_from, 'steps', v_steps));
end;
$$;

-- The successor of an ended run: a new, linked one at the same place of the same lane. The one that exists, when there is one.
create function private.insert_successor(p_run public.runs, p_delay_seconds double precision, p_resume boolean default false)
returns public.runs
language plpgsql
set search_path = ''
as $$
declare
  v_new public.runs;
  v_run public.runs;
begin
  v_new.session_id := p_run.session_id;
  v_new.lane := p_run.lane;
  v_new.template_version_id := p_run.template_version_id;
  v_new.template_slug := p_run.template_slug;
  v_new.template_version := p_run.template_version;
  v_new.template_digest := p_run.template_digest;
  v_new.title := p_run.title;
  v_new.params := p_run.params;
  v_new.priority := p_run.priority;
  v_new.place_at := p_run.place_at;
  v_new.not_before := case when p_delay_seconds > 0 then clock_timestamp() + make_interval(secs => p_delay_seconds) end;
  v_new.attempt := p_run.attempt + 1;
  v_new.retry_of := p_run.id;
  v_new.root_run_id := p_run.root_run_id;
  v_new.created_by := p_run.created_by;
  v_run := private.insert_run(v_new);
  if v_run.id is null then
    select * into v_run from public.runs where retry_of = p_run.id;
  elsif p_resume then
    perform private.carry_over(p_run.id, v_run.id);
  end if;
  return v_run;
end;
$$;

-- Seconds to wait before attempt n + 1: exponential, capped, and jittered to between a half and the whole of it, so that runs that
-- failed together do not come back together.
create function private.backoff_seconds(p_policy jsonb, p_attempt integer)
returns double precision
language sql volatile
set search_path = ''
as $$
  select least(coalesce((p_policy ->> 'backoff_seconds')::double precision, 5) * 2 ^ least(p_attempt - 1, 30),
               coalesce((p_policy ->> 'max_backoff_seconds')::double precision, 3600)) * (0.5 + random() / 2);
$$;

-- Whether the policy gives a run that ended for p_cause another attempt. One that was claimed and never started always gets one, up to
-- five, since nothing of it has happened.
create function private.wants_retry(p_policy jsonb, p_cause text, p_attempt integer, p_started boolean)
returns boolean
language sql immutable
set search_path = ''
as $$
  select (p_cause = 'lost' and not p_started and p_attempt < 5)
      or (coalesce(p_policy -> 'on', '[]') ? p_cause and p_attempt < coalesce((p_policy ->> 'attempts')::integer, 1));
$$;

create type private.run_end as (run_id uuid, status text, reason text, message text, exit_code integer);

-- Ends runs whose rows the caller has locked. Locks: (runs), run_steps, run_events. What their steps had not finished ends with
-- them, and the template's retry policy decides about successors; a run that somebody asked to cancel gets none.
create function private.end_runs(p_ends private.run_end[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_again record;
begin
  update public.runs as r
  set status = e.status, reason = e.reason, message = left(e.message, 4000), exit_code = e.exit_code, finished_at = v_now
  from unnest(p_ends) as e where r.id = e.run_id;
  update public.run_steps as s
  set status = case when s.status = 'pending' then 'skipped' when e.status in ('cancelled', 'timed_out') then e.status else 'failed' end,
      finished_at = v_now
  from unnest(p_ends) as e where s.run_id = e.run_id and s.status in ('pending', 'running');
  perform private.record_events(array_agg(row(
    e.run_id, 'run.' || e.status, null, case e.status when 'succeeded' then 'info' when 'cancelled' then 'warn' else 'error' end,
    coalesce(nullif(e.message, ''), initcap(replace(e.status, '_', ' '))),
    jsonb_strip_nulls(jsonb_build_object('reason', e.reason, 'exit_code', e.exit_code)))::private.new_event))
  from unnest(p_ends) as e;

  for v_again in
    select r as run, v.spec::jsonb -> 'retry' as policy
    from unnest(p_ends) as e
    join public.runs as r on r.id = e.run_id
    join public.template_versions as v on v.id = r.template_version_id
    where e.status not in ('succeeded', 'cancelled') and r.cancel_requested_at is null
      and private.wants_retry(v.spec::jsonb -> 'retry', case e.reason when 'lost' then 'lost' else e.status end, r.attempt, r.started_at is not null)
  loop
    perform private.insert_successor(v_again.run, case when (v_again.run).started_at is null then 0
      else private.backoff_seconds(v_again.policy, (v_again.run).attempt) end);
  end loop;
end;
$$;

create function private.end_run(p_run_id uuid, p_status text, p_reason text, p_message text, p_exit_code integer default null)
returns void
language sql
set search_path = ''
as $$
  select private.end_runs(array[row(p_run_id, p_status, p_reason, p_message, p_exit_code)::private.run_end]);
$$;
