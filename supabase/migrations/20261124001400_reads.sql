-- The read model: the one way in which board, run page, command line and API see a run, so that they never disagree.

-- A run as a card: its row without the claim's internals, plus what is derived from its steps, events and worker.
create function private.run_json(p_run public.runs)
returns json
language sql stable
set search_path = ''
as $$
  select to_json(card) from (
    select p_run.id, p_run.session_id, p_run.lane, p_run.title, p_run.status, p_run.reason, p_run.message, p_run.exit_code,
      p_run.template_slug, p_run.template_version, p_run.template_digest, p_run.params, p_run.priority, p_run.not_before,
      p_run.queued_at, p_run.start_deadline_at, p_run.claimed_by, p_run.claimed_at, p_run.heartbeat_at, p_run.lease_expires_at,
      p_run.started_at, p_run.finished_at, p_run.lease_seconds, p_run.timeout_seconds, p_run.cancel_requested_at,
      p_run.cancel_requested_by, p_run.cancel_reason, p_run.attempt, p_run.retry_of, p_run.root_run_id, p_run.rerun_of, p_run.created_by,
      (select s.id from public.runs as s where s.retry_of = p_run.id) as retried_by,
      p_run.status in ('failed', 'timed_out') and p_run.attempt > 1
        and not exists (select from public.runs as s where s.retry_of = p_run.id) as dead_letter,
      p_run.place_at, p_run.concurrency_key,
      (select coalesce(nullif(m.display_name, ''), m.email) from public.members as m where m.user_id = p_run.created_by) as created_by_name,
      (select w.name from public.workers as w where w.id = p_run.claimed_by) as worker_name,
      steps.total as steps_total, steps.done as steps_done, current.step_id as current_step, current.title as current_step_title,
      (select right(regexp_replace(rtrim(e.message, E' \t\r\n'), '^.*[\r\n]', ''), 400) from public.run_events as e
       where e.run_id = p_run.id and e.type in ('output', 'log') and btrim(e.message, E' \t\r\n') <> ''
       order by e.seq desc limit 1) as last_line
    from (select count(*) as total, count(*) filter (where s.finished_at is not null) as done
          from public.run_steps as s where s.run_id = p_run.id) as steps
    left join lateral (select s.step_id, s.title from public.run_steps as s where s.run_id = p_run.id and s.status = 'running'
                       order by s.position limit 1) as current on true
  ) as card;
$$;

create function public.whoami()
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  return json_build_object('user_id', v_member.user_id, 'email', v_member.email, 'display_name', v_member.display_name, 'role', v_member.role);
end;
$$;

-- Newest first. Counts are of all runs of the session; failed counts failures and time-outs that no later attempt replaced.
create function public.list_sessions(p_archived boolean default false)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  return coalesce((
    select json_agg(item order by item.last_activity_at desc) from (
      select s.id, s.title, s.intent, s.created_by, s.created_at, s.archived_at, s.paused_at,
        coalesce(nullif(m.display_name, ''), m.email) as created_by_name,
        count(r.id) filter (where r.status = 'queued') as queued,
        count(r.id) filter (where r.status in ('claimed', 'running')) as active,
        count(r.id) filter (where r.status in ('failed', 'timed_out')
          and not exists (select from public.runs as n where n.retry_of = r.id)) as failed,
        count(r.id) filter (where r.status = 'succeeded') as succeeded,
        count(r.id) filter (where r.status = 'cancelled') as cancelled,
        greatest(s.created_at, max(r.queued_at), max(r.finished_at)) as last_activity_at
      from public.sessions as s
      join public.members as m on m.user_id = s.created_by
      left join public.runs as r on r.session_id = s.id
      where (s.archived_at is not null) = p_archived
      group by s.id, m.user_id
    ) as item), '[]');
end;
$$;

-- One session, whole: at most 25 queued and 25 finished cards a lane, and how many there are.
create function public.read_board(p_session_id uuid)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_session json;
begin
  select to_json(s) into v_session from (
    select s.id, s.title, s.intent, s.created_by, s.created_at, s.archived_at, s.paused_at,
           coalesce(nullif(m.display_name, ''), m.email) as created_by_name
    from public.sessions as s join public.members as m on m.user_id = s.created_by where s.id = p_session_id) as s;
  if v_session is null then
    perform private.fail('ORN01', format('there is no session %s', coalesce(p_session_id::text, '(none given)')), 'List them with: opsroom sessions');
  end if;
  return json_build_object('session', v_session, 'read_at', clock_timestamp(), 'lanes', (
    select json_agg(json_build_object(
      'lane', l.lane,
      'capacity', l.capacity,
      'paused_at', l.paused_at,
      'queued', (select count(*) from public.runs as r where r.session_id = l.session_id and r.lane = l.lane and r.status = 'queued'),
      'active', (select coalesce(json_agg(private.run_json(r) order by r.claimed_at, r.id), '[]') from public.runs as r
                 where r.session_id = l.session_id and r.lane = l.lane and r.status in ('claimed', 'running')),
      'queue', (select coalesce(json_agg(private.run_json(r) order by r.priority desc, r.place_at, r.id), '[]') from (
                  select * from public.runs as q where q.session_id = l.session_id and q.lane = l.lane and q.status = 'queued'
                  order by q.priority desc, q.place_at, q.id limit 25) as r),
      'finished', (select coalesce(json_agg(private.run_json(r) order by r.finished_at desc, r.id), '[]') from (
                  select * from public.runs as f where f.session_id = l.session_id and f.lane = l.lane
                    and f.status in ('succeeded', 'failed', 'cancelled', 'timed_out')
                  order by f.finished_at desc limit 25) as r)
    ) order by l.lane) from public.lanes as l where l.session_id = p_session_id));
end;
$$;

create function private.find_run(p_run_id uuid)
returns public.runs
language plpgsql stable
set search_path = ''
as $$
declare
  v_run public.runs;
begin
  select * into v_run from public.runs where id = p_run_id;
  if not found then
    perform private.fail('ORN02', format('there is no run %s', coalesce(p_run_id::text, '(none given)')), 'List them with: opsroom runs');
  end if;
  return v_run;
end;
$$;

create function public.read_run(p_run_id uuid)
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
    'attempts', (select json_agg(json_build_object('id', a.id, 'attempt', a.attempt, 'status', a.status, 'reason', a.reason,
                   'started_at', a.started_at, 'finished_at', a.finished_at) order by a.attempt)
                 from public.runs as a where a.root_run_id = v_run.root_run_id),
    'last_seq', (select coalesce(max(seq), 0) from public.run_events where run_id = p_run_id),
    'read_at', clock_timestamp());
end;
$$;

-- Events after a cursor, in order; at as it was hashed.
create function public.read_events(p_run_id uuid, p_after bigint default 0, p_limit integer default 500)
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
      select run_id, seq, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, type, step, level, message, data, prev_hash, hash
      from public.run_events where run_id = p_run_id and seq > coalesce(p_after, 0)
      order by seq limit least(greatest(coalesce(p_limit, 500), 1), 5000)) as e),
    'last_seq', (select coalesce(max(seq), 0) from public.run_events where run_id = p_run_id),
    'terminal', v_run.finished_at is not null);
end;
$$;

-- Newest version of each template, by title.
create function public.list_templates()
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  return coalesce((
    select json_agg(t order by t.title, t.slug) from (
      select distinct on (v.slug) v.slug, v.version, v.digest, v.spec, v.created_at, r.enabled,
        v.spec ->> 'title' as title, coalesce(v.spec ->> 'description', '') as description, coalesce(v.spec ->> 'risk', 'info') as risk
      from public.template_versions as v join public.run_templates as r using (slug)
      order by v.slug, v.version desc) as t), '[]');
end;
$$;

-- Newest first, a page at a time: p_before is the queued_at and id of the last row seen, as "queued_at,id".
create function public.list_runs(
  p_session_id uuid default null, p_status text default null, p_lane text default null, p_template text default null,
  p_before text default null, p_limit integer default 50)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_at timestamptz := split_part(p_before, ',', 1)::timestamptz;
  v_id uuid := split_part(p_before, ',', 2)::uuid;
begin
  return coalesce((
    select json_agg(private.run_json(r) order by r.queued_at desc, r.id) from (
      select * from public.runs as r
      where (p_session_id is null or r.session_id = p_session_id) and (p_status is null or r.status = p_status)
        and (p_lane is null or r.lane = p_lane) and (p_template is null or r.template_slug = p_template)
        and (p_before is null or r.queued_at < v_at or (r.queued_at = v_at and r.id > v_id))
      order by r.queued_at desc, r.id limit least(greatest(coalesce(p_limit, 50), 1), 500)) as r), '[]');
exception
  when invalid_datetime_format or invalid_text_representation or datetime_field_overflow then
    perform private.fail('ORV02', format('the cursor %s is not valid', left(p_before, 80)), 'Use the one from the page before.');
end;
$$;

-- The fleet at a glance: workers that are online, what waits and for how long, what is stuck, and whether sweeping goes on.
create function public.read_fleet()
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  return json_build_object(
    'read_at', clock_timestamp(),
    'workers', (select coalesce(json_agg(w order by w.name, w.id), '[]') from (
      select w.id, w.name, w.host, w.pid, w.version, w.capacity, w.transport, w.started_at, w.last_seen_at, w.draining_at,
        w.missing_since, w.backend_pid is not null as attached,
        (select count(*) from public.runs as r where r.claimed_by = w.id and r.status in ('claimed', 'running')) as active
      from public.workers as w
      where w.stopped_at is null and w.last_seen_at > clock_timestamp() - interval '1 minute') as w),
    'queued', (select count(*) from public.runs where status = 'queued' and (not_before is null or not_before <= clock_timestamp())),
    'oldest_queued_at', (select min(greatest(queued_at, not_before)) from public.runs
                         where status = 'queued' and (not_before is null or not_before <= clock_timestamp())),
    'active', (select count(*) from public.runs where status in ('claimed', 'running')),
    'stuck', (select count(*) from public.runs where status in ('claimed', 'running') and lease_expires_at < clock_timestamp()),
    'last_sweep_at', (select last_sweep_at from private.sweep_state),
    'held_until', (select held_until from private.sweep_state where held_until > clock_timestamp()));
end;
$$;
