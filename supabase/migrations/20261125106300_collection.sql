-- The collection: expires what is past its time, finds objects that nothing names, and hands objects to workers to delete from Storage, whose
-- bytes only its own API removes. Bounded, one at a time, and on record in audit_log.
-- Lock: opsroom.collect, then rows of run_events, artifacts and private.retention.

-- Objects whose bytes have to go. A row stays until Storage has no such object any more.
create table private.doomed_objects (
  bucket_id text not null,
  name text not null,
  run_id uuid not null,
  retry_at timestamptz not null default clock_timestamp(),
  primary key (bucket_id, name)
);
create table private.collection_state (
  one_row boolean primary key default true check (one_row),
  last_collection_at timestamptz,
  searched_at timestamptz,
  bucket_id text not null default '',
  name text not null default ''
);
insert into private.collection_state default values;
comment on table private.collection_state is
  'The object that the search for orphans looked at last, in the order of names; empty between two searches. searched_at: when one ended last.';
alter table private.doomed_objects enable row level security;
alter table private.collection_state enable row level security;
create index audit_log_by_time on public.audit_log (at, id);

-- Runs whose log is due, the oldest first.
create function private.due_logs(p_limit integer)
returns setof uuid
language sql stable
set search_path = ''
as $$
  select run_id from private.retention
  where logs_expired_at is null and logs_due_at <= clock_timestamp() and not private.is_held(run_id)
  order by logs_due_at limit greatest(p_limit, 0);
$$;

-- Runs that may have artifacts which are due, the oldest first.
create function private.due_artifact_runs(p_limit integer)
returns setof uuid
language sql stable
set search_path = ''
as $$
  select run_id from private.retention
  where artifacts_expired_at is null and artifacts_due_at <= clock_timestamp() and not private.is_held(run_id)
  order by artifacts_due_at limit greatest(p_limit, 0);
$$;

-- Artifacts of these runs that are due, with all others that share their object: a resumed run shares those of the run before it.
create function private.due_artifacts(p_runs uuid[], p_limit integer)
returns setof public.artifacts
language sql stable
set search_path = ''
as $$
  select a.* from public.artifacts as a
  where a.run_id = any (p_runs) and a.expired_at is null and private.artifact_is_due(a)
    and not exists (select from public.artifacts as o where o.object_path = a.object_path and o.expired_at is null and not private.artifact_is_due(o))
  order by a.run_id, a.object_path limit greatest(p_limit, 0);
$$;

-- Removes the text of at most p_limit log lines; what that came to, and an entry in the audit log for each run.
create function private.expire_logs(p_limit integer)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_due uuid[] := array(select private.due_logs(100));
  v_run record;
  v_told jsonb := '{"runs": 0, "lines": 0, "bytes": 0}';
begin
  for v_run in
    with doomed as materialized (
      select l.run_id, l.seq, octet_length(l.message) as bytes from unnest(v_due) as d (run_id) cross join lateral (
        select e.* from public.run_events as e
        where e.run_id = d.run_id and e.expired_at is null and e.type in ('output', 'log') and private.log_is_due(e)
        order by e.seq limit p_limit) as l
      limit p_limit
    ), gone as (
      update public.run_events as e set message = '', expired_at = clock_timestamp()
      from doomed as d where e.run_id = d.run_id and e.seq = d.seq returning e.run_id, d.bytes
    )
    select run_id, count(*) as lines, sum(bytes) as bytes from gone group by run_id
  loop
    perform private.audit('log.expired', 'run', v_run.run_id::text, jsonb_build_object('events', v_run.lines, 'bytes', v_run.bytes));
    perform private.ring('run:' || v_run.run_id, jsonb_build_object('what', 'run'));
    v_told := jsonb_build_object('runs', (v_told ->> 'runs')::bigint + 1, 'lines', (v_told ->> 'lines')::bigint + v_run.lines,
                                 'bytes', (v_told ->> 'bytes')::bigint + v_run.bytes);
  end loop;
  update private.retention as r set logs_expired_at = clock_timestamp()
  where r.run_id = any (v_due) and not exists (
    select from public.run_events as e
    where e.run_id = r.run_id and e.expired_at is null and e.type in ('output', 'log') and private.log_is_due(e));
  return v_told;
end;
$$;

-- Gives up at most p_limit artifacts of at most 500 runs; what that came to, and how many runs are done with.
create function private.expire_artifacts(p_limit integer)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_due uuid[] := array(select private.due_artifact_runs(500));
  v_run record;
  v_done integer;
  v_told jsonb := '{"count": 0, "bytes": 0}';
begin
  for v_run in
    with doomed as materialized (
      select distinct object_path from private.due_artifacts(v_due, p_limit)
    ), gone as (
      update public.artifacts as a set expired_at = clock_timestamp() from doomed as d
      where a.object_path = d.object_path and a.expired_at is null returning a.*
    ), listed as (
      insert into private.doomed_objects (bucket_id, name, run_id)
      select distinct on (object_path) 'artifacts', object_path, run_id from gone order by object_path, run_id on conflict do nothing
    )
    select run_id, count(*) as n, sum(size_bytes) as bytes,
           jsonb_agg(jsonb_build_object('name', name, 'sha256', sha256, 'size_bytes', size_bytes) order by name) as artifacts
    from gone group by run_id
  loop
    perform private.audit('artifacts.expired', 'run', v_run.run_id::text, jsonb_build_object('artifacts', v_run.artifacts));
    perform private.ring('run:' || v_run.run_id, jsonb_build_object('what', 'artifact'));
    v_told := jsonb_build_object('count', (v_told ->> 'count')::bigint + v_run.n, 'bytes', (v_told ->> 'bytes')::bigint + v_run.bytes);
  end loop;
  update private.retention as r set artifacts_expired_at = clock_timestamp()
  where r.run_id = any (v_due) and not exists (select from public.artifacts as a where a.run_id = r.run_id and a.expired_at is null and a.object_path is not null
                                                  and a.size_bytes >= r.large_bytes);
  get diagnostics v_done = row_count;
  return v_told || jsonb_build_object('done', v_done);
end;
$$;

-- Collects: at most p_limit log lines, a tenth of that of artifacts, and so on; `more` when there is more to do at once. Answers a worker with
-- objects to delete from Storage, and an admin, who may begin a collection too, with the figures: a worker is told to go on.
create function public.collect_evidence(p_limit integer default 2000)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_limit integer := least(greatest(coalesce(p_limit, 2000), 10), 10000);
  v_told jsonb;
  v_artifacts jsonb;
  v_objects jsonb;
begin
  if not private.is_service() then
    perform private.require_role('admin');
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('opsroom.collect', 0)) then
    return '{"logs": {"runs": 0, "lines": 0, "bytes": 0}, "artifacts": {"count": 0, "bytes": 0}, "orphans": 0, "objects": [], "more": false}';
  end if;
  v_artifacts := private.expire_artifacts(v_limit / 10);
  v_told := jsonb_build_object('logs', private.expire_logs(v_limit), 'artifacts', v_artifacts - 'done',
                               'orphans', private.find_orphans(v_limit / 2, not private.is_service()));
  if private.is_service() then
    with picked as materialized (
      select bucket_id, name from private.doomed_objects where retry_at <= clock_timestamp() and not private.is_held(run_id)
      order by retry_at limit 200 for update
    ), taken as (
      update private.doomed_objects as d set retry_at = clock_timestamp() + interval '5 minutes' from picked as p
      where d.bucket_id = p.bucket_id and d.name = p.name returning d.bucket_id, d.name
    )
    select jsonb_agg(jsonb_build_object('bucket', bucket_id, 'name', name) order by bucket_id, name) into v_objects from taken;
  elsif exists (select from private.doomed_objects) then
    perform pg_notify('opsroom_runs', 'collect');
  end if;
  return v_told || jsonb_build_object('objects', coalesce(v_objects, '[]'), 'more', exists (select private.due_logs(1))
    or ((v_artifacts ->> 'done')::integer > 0 and exists (select private.due_artifact_runs(1)))
    or exists (select private.due_artifacts(array(select private.due_artifact_runs(500)), 1))
    or exists (select from private.collection_state where name <> '') or coalesce(jsonb_array_length(v_objects) = 200, false));
end;
$$;

-- Objects [{bucket, name}] that a worker has deleted: forgotten if Storage has them no more. How many that are.
create function public.forget_objects(p_objects jsonb)
returns integer
language plpgsql security definer
set search_path = ''
as $$
declare
  v_count integer;
begin
  delete from private.doomed_objects as d using jsonb_to_recordset(p_objects) as t (bucket text, name text)
  where d.bucket_id = t.bucket and d.name = t.name
    and not exists (select from storage.objects as o where o.bucket_id = d.bucket_id and o.name = d.name);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;

-- What a collection would take now, at most p_limit of each kind; changes nothing (admin). `held`: runs past their time that a hold keeps.
create function public.read_collection(p_limit integer default 1000)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('admin');
  v_limit integer := least(greatest(coalesce(p_limit, 1000), 1), 10000);
begin
  return json_build_object(
    'logs', (select coalesce(json_agg(l order by l.due_at), '[]') from (
      select r.id as run_id, r.title, k.logs_due_at as due_at, count(e.seq) as lines, coalesce(sum(octet_length(e.message)), 0) as bytes
      from private.due_logs(v_limit) as d (run_id) join public.runs as r on r.id = d.run_id join private.retention as k on k.run_id = r.id
      left join public.run_events as e on e.run_id = r.id and e.type in ('output', 'log') and e.expired_at is null
      group by r.id, r.title, k.logs_due_at) as l where l.lines > 0),
    'artifacts', (select coalesce(json_agg(json_build_object('run_id', a.run_id, 'name', a.name, 'sha256', a.sha256, 'size_bytes', a.size_bytes)), '[]')
                  from private.due_artifacts(array(select private.due_artifact_runs(v_limit)), v_limit) as a),
    'orphans', (select coalesce(json_agg(json_build_object('bucket', o.bucket_id, 'name', o.name, 'size_bytes', o.size_bytes, 'created_at', o.created_at)), '[]')
                from (select * from private.orphans('', '', 100000) where is_orphan limit v_limit) as o
                where not exists (select from private.doomed_objects as d where d.bucket_id = o.bucket_id and d.name = o.name)),
    'held', (select count(*) from private.retention as k where private.is_held(k.run_id) and
             (k.logs_expired_at is null and k.logs_due_at <= clock_timestamp() or k.artifacts_expired_at is null and k.artifacts_due_at <= clock_timestamp())),
    'deleting', (select count(*) from private.doomed_objects),
    'last_collection_at', (select last_collection_at from private.collection_state));
end;
$$;

revoke all on function private.due_logs(integer), private.due_artifact_runs(integer), private.due_artifacts(uuid[], integer),
  private.expire_logs(integer), private.expire_artifacts(integer),
  public.collect_evidence(integer), public.forget_objects(jsonb), public.read_collection(integer) from public, anon, authenticated, service_role;
grant execute on function public.collect_evidence(integer) to authenticated, service_role;
grant execute on function public.forget_objects(jsonb) to service_role;
grant execute on function public.read_collection(integer) to authenticated;
