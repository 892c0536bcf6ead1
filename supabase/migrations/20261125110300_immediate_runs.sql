-- Runs of `noop` steps only, milestones in a larger plan: nothing of them is outside the database, so that a worker has them started together
-- with their claim, in one commit and one version of the row, and one that is lost may always be run again. Both events are written.
-- See docs/decisions/0010-what-a-run-costs.md.

alter table public.runs add column immediate boolean not null default false;
comment on column public.runs.immediate is 'Its steps do nothing outside the database: claimed and started in one commit, and free to be retried when lost.';

-- Known keys only: what a later version of templates adds to a step may do something.
create function private.is_immediate(p_spec jsonb)
returns boolean
language plpgsql immutable
set search_path = ''
as $$
begin
  return not exists (
    select from jsonb_array_elements(p_spec -> 'steps') as t (step)
    where step ->> 'kind' <> 'noop' or coalesce(step -> 'with', '{}') <> '{}'
       or step - array['id', 'title', 'description', 'kind', 'needs', 'required', 'with'] <> '{}');
end;
$$;

-- Queues a run and its steps. Fields of p_run that the database decides (id, status, times) are set here. Null when somebody was faster
-- with the same idempotency key or the same retry: the caller reads theirs.
create or replace function private.insert_run(p_run public.runs)
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
  v_run.awaiting_approval := private.needed_approval(v_spec) is not null;
  v_run.needs_evidence := private.needs_evidence(v_spec);
  v_run.immediate := private.is_immediate(v_spec);
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
    'params_digest', private.json_digest(v_run.params), 'retry_of', v_run.retry_of, 'rerun_of', v_run.rerun_of, 'replay_of', v_run.replay_of)));
  if v_run.awaiting_approval then
    perform private.open_gate(v_run, '', private.needed_approval(v_spec));
  end if;
  perform pg_notify('opsroom_runs', 'queued');
  return v_run;
end;
$$;

create or replace function private.check_run_change()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if old.status in ('succeeded', 'failed', 'cancelled', 'timed_out') then
    perform private.fail('ORC05', format('run %s is %s and can not change any more', old.id, old.status), 'Retry or rerun it instead.');
  elsif old.status <> new.status
    and not exists (select from private.run_edges where from_status = old.status and to_status = new.status) then
    perform private.fail('ORC05', format('run %s can not go from %s to %s', old.id, old.status, new.status));
  elsif (old.id, old.session_id, old.template_version_id, old.template_slug, old.template_version, old.template_digest, old.params,
         old.attempt, old.root_run_id, old.queued_at, old.concurrency_key, old.created_by, old.lease_seconds, old.timeout_seconds, old.immediate)
     is distinct from
        (new.id, new.session_id, new.template_version_id, new.template_slug, new.template_version, new.template_digest, new.params,
         new.attempt, new.root_run_id, new.queued_at, new.concurrency_key, new.created_by, new.lease_seconds, new.timeout_seconds, new.immediate)
     or (old.claim_token is not null and (old.claim_token, old.claimed_by, old.claimed_at)
         is distinct from (new.claim_token, new.claimed_by, new.claimed_at)) then
    perform private.fail('ORC05', format('what run %s was created and claimed with can not change', old.id));
  end if;
  return new;
end;
$$;

drop trigger check_origin on public.runs;
create trigger check_origin before update of id, session_id, template_version_id, template_slug, template_version, template_digest, params,
    attempt, root_run_id, queued_at, concurrency_key, created_by, lease_seconds, timeout_seconds, immediate on public.runs for each row
  execute function private.check_run_change();
revoke all on function private.is_immediate(jsonb) from public, anon, authenticated, service_role;

-- The everyday edges, as before, and the two in one of an immediate run: nobody ever sees it claimed and not started.
drop trigger check_change on public.runs;
create trigger check_change before update on public.runs for each row
  when (old.status in ('succeeded', 'failed', 'cancelled', 'timed_out')
        or (old.status <> new.status
            and not (old.status = 'queued' and (new.status = 'claimed' or new.status = 'running' and new.immediate))
            and not (old.status = 'claimed' and new.status = 'running')
            and not (old.status = 'running' and new.status = 'succeeded')))
  execute function private.check_run_change();
