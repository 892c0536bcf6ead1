-- The fleet in full, for the page of workers: those of the last day, what each of them does, and how the sweep goes.

-- A worker's state: `missing` when its connection is gone or it has said nothing for a minute; the database's clock decides.
create function public.read_workers()
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
      select w.id, w.name, w.host, w.pid, w.version, w.capacity, w.transport, w.started_at, w.last_seen_at, w.draining_at, w.stopped_at,
        w.missing_since, w.backend_pid is not null as attached,
        case when w.stopped_at is not null then 'stopped'
             when w.missing_since is not null or w.last_seen_at < clock_timestamp() - interval '1 minute' then 'missing'
             when w.draining_at is not null then 'draining'
             else 'online' end as state,
        (select count(*) from public.runs as r where r.claimed_by = w.id and r.status in ('claimed', 'running')) as active,
        (select coalesce(json_agg(json_build_object('id', r.id, 'title', r.title, 'status', r.status, 'lane', r.lane, 'session_id', r.session_id,
           'started_at', r.started_at, 'claimed_at', r.claimed_at, 'lease_expires_at', r.lease_expires_at) order by r.claimed_at, r.id), '[]')
         from (select * from public.runs as h where h.claimed_by = w.id and h.status in ('claimed', 'running')
               order by h.claimed_at, h.id limit 20) as r) as runs
      from public.workers as w
      where greatest(w.last_seen_at, w.stopped_at) > clock_timestamp() - interval '1 day'
         or exists (select from public.runs as r where r.claimed_by = w.id and r.status in ('claimed', 'running'))
      order by (w.stopped_at is null and w.last_seen_at > clock_timestamp() - interval '1 minute') desc, w.last_seen_at desc limit 200) as w),
    'queued', (select count(*) from public.runs where status = 'queued' and (not_before is null or not_before <= clock_timestamp())),
    'oldest_queued_at', (select min(greatest(queued_at, not_before)) from public.runs
                         where status = 'queued' and (not_before is null or not_before <= clock_timestamp())),
    'stuck', (select count(*) from public.runs where status in ('claimed', 'running') and lease_expires_at < clock_timestamp()),
    'sweep', (select json_build_object('last_sweep_at', last_sweep_at, 'held_until', case when held_until > clock_timestamp() then held_until end,
                                       'held_count', held_count) from private.sweep_state),
    'checkpoint', private.checkpoint_status());
end;
$$;

revoke all on function public.read_workers() from public, anon, authenticated, service_role;
grant execute on function public.read_workers() to authenticated;
