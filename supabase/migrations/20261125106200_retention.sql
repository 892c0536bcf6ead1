-- What of a run's evidence goes after a time, and the two changes of evidence that are allowed: the text of a log line and the bytes of a
-- large artifact may expire, once, when their time has passed, nothing holds them, and a signed bundle names them. The event's row stays with
-- its hash and so does the chain; the artifact's row stays with its SHA-256. Bundles never expire.
-- Lock: opsroom.collect, as in 20261125106100.

create table private.retention (
  run_id uuid primary key references public.runs (id),
  logs_due_at timestamptz,
  logs_expired_at timestamptz,
  artifacts_due_at timestamptz,
  artifacts_expired_at timestamptz,
  large_bytes bigint not null
);
comment on table private.retention is 'When the log and the large artifacts of a run may go, by its template version. Made with its bundle: without one, nothing goes.';
create index retention_logs on private.retention (logs_due_at) where logs_expired_at is null;
create index retention_artifacts on private.retention (artifacts_due_at) where artifacts_expired_at is null;
alter table private.retention enable row level security;

alter table public.run_events add column expired_at timestamptz;
comment on column public.run_events.expired_at is 'When the text of this log line was removed. Its hash stays the one of the text, which is in the bundle.';
alter table public.artifacts add column expired_at timestamptz;
comment on column public.artifacts.expired_at is 'When its bytes were given up. Its SHA-256 and size stay.';
create index artifacts_by_object on public.artifacts (object_path) where object_path is not null;

-- 90 days unless the template says otherwise; null is for ever. Large is 1 MiB.
create function private.plan_retention(p_run_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_policy jsonb;
  v_ended timestamptz;
begin
  select '{"logs_days": 90, "artifacts_days": 90, "large_artifact_bytes": 1048576}'::jsonb || coalesce(v.spec::jsonb -> 'retention', '{}'), r.finished_at
  into v_policy, v_ended
  from public.runs as r join public.template_versions as v on v.id = r.template_version_id where r.id = p_run_id;
  insert into private.retention (run_id, logs_due_at, artifacts_due_at, large_bytes)
  values (p_run_id, v_ended + make_interval(days => (v_policy ->> 'logs_days')::integer),
          v_ended + make_interval(days => (v_policy ->> 'artifacts_days')::integer), (v_policy ->> 'large_artifact_bytes')::bigint)
  on conflict (run_id) do nothing;
end;
$$;

create function private.log_is_due(p_event public.run_events)
returns boolean
language plpgsql stable
set search_path = ''
as $$
begin
  return p_event.type in ('output', 'log')
    and exists (select from private.retention where run_id = p_event.run_id and logs_due_at <= clock_timestamp())
    and exists (select from public.bundles where run_id = p_event.run_id and events >= p_event.seq)
    and not private.is_held(p_event.run_id);
end;
$$;

create function private.artifact_is_due(p_artifact public.artifacts)
returns boolean
language plpgsql stable
set search_path = ''
as $$
begin
  return p_artifact.object_path is not null
    and exists (select from private.retention where run_id = p_artifact.run_id and artifacts_due_at <= clock_timestamp() and p_artifact.size_bytes >= large_bytes)
    and not private.is_held(p_artifact.run_id);
end;
$$;

create function private.check_event_expiry()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_expected public.run_events := old;
begin
  v_expected.message := '';
  v_expected.expired_at := new.expired_at;
  if old.expired_at is not null or new.expired_at is null or new is distinct from v_expected or not private.log_is_due(old) then
    perform private.fail('ORC08', format('event %s of run %s can not be changed: evidence is append-only', old.seq, old.run_id), 'Write a new row instead.');
  end if;
  return new;
end;
$$;

create function private.check_artifact_expiry()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_expected public.artifacts := old;
begin
  v_expected.expired_at := new.expired_at;
  if old.expired_at is not null or new.expired_at is null or new is distinct from v_expected or not private.artifact_is_due(old) then
    perform private.fail('ORC08', format('artifact %s of run %s can not be changed: evidence is append-only', old.name, old.run_id), 'Write a new row instead.');
  end if;
  return new;
end;
$$;

-- A run that resumes takes over the artifacts of steps that are done: not those whose bytes are gone.
create function private.check_carried_artifact()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('opsroom.collect', 0));
  if exists (select from public.artifacts where object_path = new.object_path and expired_at is not null) then
    perform private.fail('ORG05', format('artifact %s of run %s has expired: its bytes are gone', new.name, new.carried_from), 'Retry without resuming.');
  end if;
  return new;
end;
$$;

-- What a worker says of an artifact can not make it an expired one.
create function private.refuse_expired_artifact()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.expired_at := null;
  return new;
end;
$$;

drop trigger refuse_change on public.run_events;
create trigger refuse_change before update on public.run_events for each row execute function private.check_event_expiry();
create trigger refuse_delete before delete on public.run_events for each row execute function private.refuse_change();
drop trigger refuse_change on public.artifacts;
create trigger refuse_change before update on public.artifacts for each row execute function private.check_artifact_expiry();
create trigger refuse_delete before delete on public.artifacts for each row execute function private.refuse_change();
create trigger check_carried before insert on public.artifacts for each row
  when (new.carried_from is not null and new.object_path is not null) execute function private.check_carried_artifact();
create trigger check_expired before insert on public.artifacts for each row
  when (new.expired_at is not null) execute function private.refuse_expired_artifact();

-- When a run's log and large artifacts go, or went; null while there is no bundle.
create function private.retention_json(p_run_id uuid)
returns jsonb
language sql stable
set search_path = ''
as $$
  select to_jsonb(r) - 'run_id' from private.retention as r where r.run_id = p_run_id;
$$;

-- Events after a cursor, in order; at as it was hashed. One whose text has expired says when.
create or replace function public.read_events(p_run_id uuid, p_after bigint default 0, p_limit integer default 500)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_run public.runs := private.find_run(p_run_id);
begin
  return json_build_object(
    'events', (select coalesce(json_agg(e order by e.seq), '[]') from (
      select run_id, seq, private.utc_text(at) as at, type, step, level, message, data, prev_hash, hash, private.utc_text(expired_at) as expired_at
      from public.run_events where run_id = p_run_id and seq > coalesce(p_after, 0)
      order by seq limit least(greatest(coalesce(p_limit, 500), 1), 5000)) as e),
    'last_seq', (select coalesce(max(seq), 0) from public.run_events where run_id = p_run_id),
    'terminal', v_run.finished_at is not null);
end;
$$;

revoke all on function private.plan_retention(uuid), private.log_is_due(public.run_events), private.artifact_is_due(public.artifacts),
  private.check_event_expiry(), private.check_artifact_expiry(), private.check_carried_artifact(), private.refuse_expired_artifact(),
  private.retention_json(uuid) from public, anon, authenticated, service_role;
