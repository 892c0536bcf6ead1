-- The run page's read: the whole chain of attempts with how each began, who did what to this run, its proofs, replays and evidence
-- bundle (of later files, which the function reads when it is called). Reads only; locks nothing but, while the index is built, writes to
-- audit_log.

create index audit_log_target on public.audit_log (target_id, at) where target_type = 'run';

-- What people did to a run, oldest first: the audit log's entries about it, with the names of those who acted.
create function private.deeds_json(p_run_id uuid)
returns json
language sql stable
set search_path = ''
as $$
  select coalesce(json_agg(deed order by deed.at, deed.id), '[]') from (
    select a.id, a.at, a.action, coalesce(nullif(m.display_name, ''), m.email) as by, a.details
    from public.audit_log as a left join public.members as m on m.user_id = a.actor
    where a.target_type = 'run' and a.target_id = p_run_id::text order by a.at desc, a.id desc limit 200) as deed;
$$;

-- The chain of attempts that a run belongs to. retried_by names the person who asked for one; nobody did where a policy began it.
create function private.attempts_json(p_root_run_id uuid)
returns json
language sql stable
set search_path = ''
as $$
  select json_agg(link order by link.attempt) from (
    select a.id, a.attempt, a.status, a.reason, a.message, a.queued_at, a.started_at, a.finished_at,
      (select count(*) from public.run_steps as s where s.run_id = a.id and s.carried_from is not null) as carried,
      (select coalesce(nullif(m.display_name, ''), m.email)
       from public.audit_log as l join public.members as m on m.user_id = l.actor
       where l.target_type = 'run' and l.target_id = a.retry_of::text and l.action = 'run.retried'
       order by l.at limit 1) as retried_by
    from public.runs as a where a.id = p_root_run_id or a.root_run_id = p_root_run_id and a.retry_of is not null) as link;
$$;

create or replace function public.read_run(p_run_id uuid)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_run public.runs := private.find_run(p_run_id);
begin
  return json_build_object(
    'run', private.run_json(v_run),
    'session', (select json_build_object('id', s.id, 'title', s.title, 'archived_at', s.archived_at) from public.sessions as s where s.id = v_run.session_id),
    'steps', (select coalesce(json_agg(s order by s.position), '[]') from public.run_steps as s where s.run_id = p_run_id),
    'artifacts', (select coalesce(json_agg(a order by a.created_at, a.name), '[]') from public.artifacts as a where a.run_id = p_run_id),
    'attempts', private.attempts_json(v_run.root_run_id),
    'deeds', private.deeds_json(p_run_id),
    'proofs', (select coalesce(json_agg(p order by p.seq), '[]') from public.proofs as p where p.run_id = p_run_id),
    'replay', private.replay_json(v_run),
    'replays', private.replays_json(p_run_id),
    'deterministic', (select coalesce((v.spec::jsonb ->> 'deterministic')::boolean, false) from public.template_versions as v
                      where v.id = v_run.template_version_id),
    'bundle', (select to_json(b) from (select sha256, size_bytes, keyid, signed_at from public.bundles where run_id = p_run_id
                                       order by events desc limit 1) as b),
    'holds', private.holds_json(v_run),
    'retention', private.retention_json(p_run_id),
    'last_seq', (select coalesce(max(seq), 0) from public.run_events where run_id = p_run_id),
    'read_at', clock_timestamp());
end;
$$;

revoke all on function private.deeds_json(uuid), private.attempts_json(uuid) from public, anon, authenticated, service_role;
