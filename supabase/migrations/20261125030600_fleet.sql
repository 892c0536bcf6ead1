-- What waits for a worker: not what a pause, a time to come, or an approval (a later file's) holds back. Nobody is late there.

-- The fleet at a glance: workers that are online, what waits and for how long, what is stuck, and whether sweeping goes on.
create or replace function public.read_fleet()
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_queued bigint;
  v_oldest timestamptz;
begin
  select count(*), min(greatest(r.queued_at, r.not_before)) into v_queued, v_oldest
  from public.runs as r
  join public.lanes as l on l.session_id = r.session_id and l.lane = r.lane and l.paused_at is null
  join public.sessions as s on s.id = r.session_id and s.paused_at is null
  where r.status = 'queued' and not r.awaiting_approval and (r.not_before is null or r.not_before <= clock_timestamp());
  return json_build_object(
    'read_at', clock_timestamp(),
    'workers', (select coalesce(json_agg(w order by w.name, w.id), '[]') from (
      select w.id, w.name, w.host, w.pid, w.version, w.capacity, w.transport, w.started_at, w.last_seen_at, w.draining_at,
        w.missing_since, w.backend_pid is not null as attached,
        (select count(*) from public.runs as r where r.claimed_by = w.id and r.status in ('claimed', 'running')) as active
      from public.workers as w
      where w.stopped_at is null and w.last_seen_at > clock_timestamp() - interval '1 minute') as w),
    'queued', v_queued,
    'oldest_queued_at', v_oldest,
    'active', (select count(*) from public.runs where status in ('claimed', 'running')),
    'stuck', (select count(*) from public.runs where status in ('claimed', 'running') and lease_expires_at < clock_timestamp()),
    'last_sweep_at', (select last_sweep_at from private.sweep_state),
    'held_until', (select held_until from private.sweep_state where held_until > clock_timestamp()),
    'checkpoint', private.checkpoint_status());
end;
$$;

revoke all on function public.read_fleet() from public, anon, authenticated, service_role;
grant execute on function public.read_fleet() to authenticated;
