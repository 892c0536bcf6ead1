-- What each person has looked at. A failure needs them until then. Locks nothing: a row is put in once and stays.

create table public.seen_runs (
  member_id uuid not null references public.members (user_id),
  run_id uuid not null references public.runs (id),
  seen_at timestamptz not null default clock_timestamp(),
  primary key (member_id, run_id)
);
comment on table public.seen_runs is 'Finished runs whose result a person has looked at. Everybody sees their own rows only.';

alter table public.seen_runs enable row level security;
revoke all on public.seen_runs from public, anon, authenticated, service_role;
grant select on public.seen_runs to authenticated;
create policy seen_runs_own on public.seen_runs for select to authenticated
  using (member_id = (select auth.uid()) and (select private.is_member()));

create index runs_failed on public.runs (session_id, finished_at desc, id) where status in ('failed', 'timed_out');

-- Failures and time-outs of a session that no later attempt replaced, among its latest 100: all, and those that the person has not seen
-- and that are no older than their membership. Bounded, so that a session that failed for years costs no more than one that did for a day.
create function private.failures(p_session_id uuid, p_member public.members, out failed bigint, out unseen bigint)
language sql stable
set search_path = ''
as $$
  select count(*), count(*) filter (where latest.finished_at >= p_member.created_at and not exists (
    select from public.seen_runs as v where v.member_id = p_member.user_id and v.run_id = latest.id))
  from (select r.id, r.finished_at from public.runs as r
        where r.session_id = p_session_id and r.status in ('failed', 'timed_out')
        order by r.finished_at desc, r.id limit 100) as latest
  where not exists (select from public.runs as n where n.retry_of = latest.id);
$$;

-- Notes that the caller has looked at the results of these runs, or of all failures of a session; live ones have none yet and are left
-- out. Answers how many were new to them.
create function public.mark_seen(p_run_ids uuid[] default null, p_session_id uuid default null)
returns integer
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_sessions uuid[];
begin
  if cardinality(p_run_ids) > 1000 then
    perform private.fail('ORV02', format('%s runs at once are too many', cardinality(p_run_ids)), 'Name at most 1000, or a session.');
  end if;
  with marked as (
    insert into public.seen_runs (member_id, run_id)
    select v_member.user_id, r.id from public.runs as r where r.id = any (p_run_ids) and r.finished_at is not null
    union
    select v_member.user_id, r.id from public.runs as r where r.session_id = p_session_id and r.status in ('failed', 'timed_out')
    on conflict do nothing
    returning run_id
  )
  select array_agg(r.session_id) into v_sessions from marked as m join public.runs as r on r.id = m.run_id;
  perform private.ring('session:' || s, jsonb_build_object('what', 'seen')), private.ring('sessions', jsonb_build_object('session_id', s))
  from (select distinct unnest(v_sessions) as s) as s;
  return coalesce(cardinality(v_sessions), 0);
end;
$$;

revoke all on function private.failures(uuid, public.members), public.mark_seen(uuid[], uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.mark_seen(uuid[], uuid) to authenticated;
