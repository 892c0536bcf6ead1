-- A board is read lane by lane: a doorbell names the lanes in which something changed, and these are read again, whole. A board of 400
-- cards costs a quarter then. A ring that names no lane stands for all.

-- A new attempt rings for the run that it follows too: what can be done about that one has changed.
create or replace function private.ring_new_runs()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('session:' || session_id, jsonb_build_object('what', 'run', 'run_ids', ids, 'lanes', lanes)),
          private.ring('sessions', jsonb_build_object('session_id', session_id))
  from (select session_id, jsonb_agg(id) as ids, jsonb_agg(distinct lane) as lanes from changed group by session_id) as c;
  perform private.ring('run:' || retry_of, jsonb_build_object('what', 'run')) from changed where retry_of is not null;
  return null;
end;
$$;

drop function public.read_board(uuid);

-- One session, whole, or only some of its lanes: at most 25 queued and 25 finished cards a lane, and how many there are.
create function public.read_board(p_session_id uuid, p_lanes text[] default null)
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
    with wanted as materialized (
      select * from public.lanes as l where l.session_id = p_session_id and (p_lanes is null or l.lane = any (p_lanes))
    ), placed as materialized (
      select l.lane, part.name as part, part.run from wanted as l cross join lateral (
        select 'active' as name, r as run from public.runs as r
        where r.session_id = l.session_id and r.lane = l.lane and r.status in ('claimed', 'running')
        union all
        select 'queue', q from (
          select q from public.runs as q where q.session_id = l.session_id and q.lane = l.lane and q.status = 'queued'
          order by q.priority desc, q.place_at, q.id limit 25) as q (q)
        union all
        select 'finished', f from (
          select f from public.runs as f where f.session_id = l.session_id and f.lane = l.lane
            and f.status in ('succeeded', 'failed', 'cancelled', 'timed_out')
          order by f.finished_at desc limit 25) as f (f)) as part
    ), cards as materialized (
      select p.lane, p.part, p.run, c.card from private.run_cards((select array_agg(run) from placed)) as c
      join placed as p on (p.run).id = c.run_id
    )
    select json_agg(json_build_object(
      'lane', l.lane,
      'capacity', l.capacity,
      'paused_at', l.paused_at,
      'queued', (select count(*) from public.runs as r where r.session_id = l.session_id and r.lane = l.lane and r.status = 'queued'),
      'active', (select coalesce(json_agg(c.card order by (c.run).claimed_at, (c.run).id), '[]')
                 from cards as c where c.lane = l.lane and c.part = 'active'),
      'queue', (select coalesce(json_agg(c.card order by (c.run).priority desc, (c.run).place_at, (c.run).id), '[]')
                from cards as c where c.lane = l.lane and c.part = 'queue'),
      'finished', (select coalesce(json_agg(c.card order by (c.run).finished_at desc, (c.run).id), '[]')
                   from cards as c where c.lane = l.lane and c.part = 'finished')
    ) order by l.lane) from wanted as l));
end;
$$;

revoke all on function public.read_board(uuid, text[]), private.ring_new_runs()
  from public, anon, authenticated, service_role;
grant execute on function public.read_board(uuid, text[]) to authenticated;
