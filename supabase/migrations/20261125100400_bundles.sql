-- Evidence bundles: made by workers that have a signing key, once for each ended run, and kept in Storage at <run id>/<sha256>.zip.
-- Nothing here locks a run: an ended one does not change.

create table public.bundles (
  run_id uuid not null references public.runs (id),
  events bigint not null check (events >= 1),
  chain_head text not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  size_bytes bigint not null check (size_bytes > 0),
  object_path text not null,
  keyid text not null check (keyid ~ '^[0-9a-f]{64}$'),
  signed_at timestamptz not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (run_id, events)
);
comment on table public.bundles is 'The signed evidence of an ended run. A later one, of more events, holds late evidence too.';

-- Runs that still want a bundle because the worker that ended them made none, and how far the search for such runs has come.
create table private.bundle_work (
  run_id uuid primary key references public.runs (id),
  retry_at timestamptz not null default clock_timestamp(),
  tries integer not null default 0
);
create table private.bundle_state (
  one_row boolean primary key default true check (one_row),
  ended_at timestamptz not null default clock_timestamp(),
  run_id uuid not null default '00000000-0000-0000-0000-000000000000'
);
insert into private.bundle_state default values;
comment on table private.bundle_state is 'The last ended run that was looked at, in the order of ends. Those before this migration get none.';

alter table public.bundles enable row level security;
alter table private.bundle_work enable row level security;
alter table private.bundle_state enable row level security;
revoke all on public.bundles from public, anon, authenticated, service_role;
grant select on public.bundles to authenticated, service_role;
create policy bundles_read on public.bundles for select to authenticated using ((select private.is_member('viewer')));
create trigger refuse_change before update or delete on public.bundles for each row execute function private.refuse_change();
create trigger refuse_truncate before truncate on public.bundles for each statement execute function private.refuse_change();

insert into storage.buckets (id, name, public) values ('bundles', 'bundles', false) on conflict (id) do nothing;
create policy opsroom_members_read_bundles on storage.objects for select to authenticated
  using (bucket_id = 'bundles' and (select private.is_member()));

create function private.utc_text(p_at timestamptz)
returns text
language sql immutable strict
set search_path = ''
as $$
  select to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
$$;

create function private.name_of(p_user_id uuid)
returns text
language sql stable
set search_path = ''
as $$
  select coalesce(nullif(display_name, ''), email) from public.members where user_id = p_user_id;
$$;

-- Everything that a bundle tells of an ended run: opsroom.domain.evidence.record.RunRecord. Artifacts, proofs and approvals are in the order
-- in which the run's events tell of them.
create function public.read_evidence(p_run_id uuid)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  r public.runs := private.find_run(p_run_id);
begin
  if r.finished_at is null then
    perform private.fail('ORC02', format('run %s is still %s', p_run_id, r.status), 'Its evidence is whole when it has ended.');
  elsif exists (select from public.run_events where run_id = p_run_id and expired_at is not null) then
    perform private.fail('ORG05', format('the log of run %s has expired', p_run_id), 'Its text is in the bundle that was made before.');
  end if;
  return json_build_object(
    'run', json_build_object(
      'id', r.id, 'title', r.title, 'session_id', r.session_id, 'session_title', (select title from public.sessions where id = r.session_id),
      'lane', r.lane, 'status', r.status, 'reason', r.reason, 'message', r.message, 'exit_code', r.exit_code, 'attempt', r.attempt,
      'retry_of', r.retry_of, 'root_run_id', r.root_run_id, 'rerun_of', r.rerun_of, 'replay_of', r.replay_of, 'created_by', r.created_by,
      'created_by_name', private.name_of(r.created_by), 'cancel_requested_by_name', private.name_of(r.cancel_requested_by),
      'cancel_reason', r.cancel_reason, 'queued_at', private.utc_text(r.queued_at), 'claimed_at', private.utc_text(r.claimed_at),
      'started_at', private.utc_text(r.started_at), 'finished_at', private.utc_text(r.finished_at)),
    'template', (select json_build_object('slug', v.slug, 'version', v.version, 'digest', v.digest, 'spec', v.spec)
                 from public.template_versions as v where v.id = r.template_version_id),
    'params', r.params,
    'worker', (select json_build_object('id', w.id, 'name', w.name, 'host', w.host, 'version', w.version) from public.workers as w where w.id = r.claimed_by),
    'steps', (select json_agg(json_build_object('id', s.step_id, 'title', s.title, 'kind', s.kind, 'required', s.required, 'status', s.status,
                'started_at', private.utc_text(s.started_at), 'finished_at', private.utc_text(s.finished_at), 'exit_code', s.exit_code,
                'message', s.message, 'carried_from', s.carried_from) order by s.position)
              from public.run_steps as s where s.run_id = r.id),
    'artifacts', (select coalesce(json_agg(json_build_object('name', a.name, 'step', a.step, 'kind', a.kind, 'media_type', a.media_type,
                'sha256', a.sha256, 'size_bytes', a.size_bytes, 'object_path', a.object_path, 'url', a.url, 'carried_from', a.carried_from)
                order by e.seq nulls first, a.name), '[]')
              from public.artifacts as a left join public.run_events as e
                on e.run_id = a.run_id and e.type = 'artifact.added' and e.data ->> 'name' = a.name and a.carried_from is null
              where a.run_id = r.id),
    'proofs', (select coalesce(json_agg(json_build_object('step', p.step, 'name', p.name, 'kind', p.kind, 'phase', p.phase, 'required', p.required,
                'passed', p.passed, 'expected', p.expected, 'seen', p.seen, 'message', p.message, 'at', private.utc_text(p.at)) order by p.seq), '[]')
              from public.proofs as p where p.run_id = r.id),
    'approvals', (select coalesce(json_agg(json_build_object('step', a.step_id, 'decision', a.decision, 'by', a.decided_by,
                'by_name', private.name_of(a.decided_by), 'role', a.role, 'comment', a.comment, 'subject_digest', a.subject_digest,
                'at', private.utc_text(a.at)) order by a.at), '[]')
              from public.approvals as a where a.run_id = r.id),
    'attempts', (select json_agg(json_build_object('id', a.id, 'attempt', a.attempt, 'status', a.status, 'reason', a.reason) order by a.attempt)
              from public.runs as a where a.id = r.root_run_id or a.root_run_id = r.root_run_id and a.retry_of is not null),
    'events', (select json_agg(json_build_object('run_id', e.run_id, 'seq', e.seq, 'at', private.utc_text(e.at), 'type', e.type, 'step', e.step,
                'level', e.level, 'message', e.message, 'data', e.data, 'prev_hash', e.prev_hash, 'hash', e.hash) order by e.seq)
              from public.run_events as e where e.run_id = r.id));
end;
$$;

-- Ended runs without a bundle, at most p_limit, for this caller for two minutes. Workers bundle what they end themselves; this finds the
-- rest: what the sweep ended, or a worker that died. Only what ended a while ago: a run that commits later than one that ended after it
-- would be passed over.
create function public.claim_bundles(p_limit integer)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_state private.bundle_state;
  v_last record;
  v_runs jsonb;
begin
  select * into v_state from private.bundle_state for update skip locked;
  if found then
    with ended as (
      select id, finished_at from public.runs
      where finished_at >= v_state.ended_at and (finished_at > v_state.ended_at or id > v_state.run_id)
        and finished_at < clock_timestamp() - interval '1 minute'
      order by finished_at, id limit 1000
    ), wanted as (
      insert into private.bundle_work (run_id)
      select id from ended as e where not exists (select from public.bundles as b where b.run_id = e.id) on conflict do nothing
    )
    select * into v_last from ended order by finished_at desc, id desc limit 1;
    if found then
      update private.bundle_state set ended_at = v_last.finished_at, run_id = v_last.id;
    end if;
  end if;
  with picked as materialized (
    select run_id from private.bundle_work where retry_at <= clock_timestamp() order by retry_at
    limit least(greatest(coalesce(p_limit, 0), 0), 100) for update skip locked
  ), taken as (
    update private.bundle_work as w set retry_at = clock_timestamp() + interval '2 minutes' * least(tries + 1, 30), tries = tries + 1
    from picked where w.run_id = picked.run_id returning w.run_id
  )
  select jsonb_agg(run_id) into v_runs from taken;
  return coalesce(v_runs, '[]');
end;
$$;

-- Records a bundle that was uploaded before: {run_id, events, chain_head, sha256, size_bytes, keyid, signed_at}. Refused unless it ends where
-- the run's chain ends now. The same one again, or another of the same events, changes nothing.
create function public.put_bundle(p_bundle jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_run_id uuid := (p_bundle ->> 'run_id')::uuid;
  v_path text := format('%s/%s.zip', p_bundle ->> 'run_id', p_bundle ->> 'sha256');
  v_last record;
begin
  perform private.find_run(v_run_id);
  select seq, hash into v_last from public.run_events where run_id = v_run_id order by seq desc limit 1;
  if v_last.seq is distinct from (p_bundle ->> 'events')::bigint or v_last.hash is distinct from p_bundle ->> 'chain_head' then
    perform private.fail('ORC07', format('the bundle ends at event %s, the run at %s', p_bundle ->> 'events', v_last.seq), 'Make it again.');
  elsif not exists (select from storage.objects where bucket_id = 'bundles' and name = v_path
                    and (metadata ->> 'size')::bigint = (p_bundle ->> 'size_bytes')::bigint)
     or exists (select from private.doomed_objects where bucket_id = 'bundles' and name = v_path) then
    perform private.fail('ORV02', format('there is no object %s of that size in the bucket bundles', v_path), 'Upload it first.');
  end if;
  insert into public.bundles (run_id, events, chain_head, sha256, size_bytes, object_path, keyid, signed_at)
  values (v_run_id, v_last.seq, v_last.hash, p_bundle ->> 'sha256', (p_bundle ->> 'size_bytes')::bigint, v_path, p_bundle ->> 'keyid',
          (p_bundle ->> 'signed_at')::timestamptz)
  on conflict (run_id, events) do nothing;
  delete from private.bundle_work where run_id = v_run_id;
  perform private.plan_retention(v_run_id);
  perform private.ring('run:' || v_run_id, jsonb_build_object('what', 'artifact'));
  return jsonb_build_object('verdict', 'ok');
exception
  when check_violation or not_null_violation or invalid_text_representation then
    perform private.fail('ORV02', format('the bundle is not valid: %s', sqlerrm), 'See docs/database.md for its fields.');
end;
$$;

revoke all on function public.read_evidence(uuid), public.claim_bundles(integer), public.put_bundle(jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.read_evidence(uuid), public.claim_bundles(integer), public.put_bundle(jsonb) to service_role;
