-- The list of sessions, at the cost of what is live, what waits for a person and what failed lately, not of all that ever ran.

-- Latest first. waiting counts gates that wait for a person; failed and unseen are private.failures'; last_status is how the run that
-- ended last did, null when none has. An archived session has nothing that is live, and needs nobody.
create or replace function public.list_sessions(p_archived boolean default false)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  return coalesce((
    with live as (
      select r.session_id, count(*) filter (where r.status = 'queued') as queued, count(*) filter (where r.status <> 'queued') as active,
             max(r.queued_at) as queued_at
      from (select session_id, status, queued_at from public.runs where status = 'queued'
            union all
            select session_id, status, queued_at from public.runs where status in ('claimed', 'running')) as r
      group by r.session_id
    ), gates as (
      select r.session_id, count(*) as waiting from public.gates as g join public.runs as r on r.id = g.run_id
      where g.status = 'waiting' group by r.session_id
    )
    select json_agg(item order by item.last_activity_at desc, item.id) from (
      select s.id, s.title, s.intent, s.created_by, s.created_at, s.archived_at, s.paused_at,
        coalesce(nullif(m.display_name, ''), m.email) as created_by_name,
        coalesce(live.queued, 0) as queued, coalesce(live.active, 0) as active, coalesce(gates.waiting, 0) as waiting,
        coalesce(f.failed, 0) as failed, coalesce(f.unseen, 0) as unseen, ended.status as last_status,
        greatest(s.created_at, live.queued_at, ended.finished_at) as last_activity_at
      from public.sessions as s
      join public.members as m on m.user_id = s.created_by
      left join live on live.session_id = s.id
      left join gates on gates.session_id = s.id
      left join lateral private.failures(s.id, v_member) as f on not p_archived
      left join lateral (
        select latest.status, latest.finished_at from public.lanes as l cross join lateral (
          select r.status, r.finished_at from public.runs as r
          where r.session_id = l.session_id and r.lane = l.lane and r.status in ('succeeded', 'failed', 'cancelled', 'timed_out')
          order by r.finished_at desc limit 1) as latest
        where l.session_id = s.id order by latest.finished_at desc limit 1) as ended on true
      where (s.archived_at is not null) = p_archived
    ) as item), '[]');
end;
$$;

revoke all on function public.list_sessions(boolean) from public, anon, authenticated, service_role;
grant execute on function public.list_sessions(boolean) to authenticated;
