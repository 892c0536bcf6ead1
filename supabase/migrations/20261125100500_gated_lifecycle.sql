-- The lifecycle with approvals in it: time at gates is not run time. That a run which waits for an approval is not claimed, and what a worker may
-- write of proofs, is in the files 202611251100 and later.
-- Lock order as before: lane, run, steps, events.

-- p_held are causes that end nothing now; what is held takes no place of the limit.
drop function private.stuck_runs(integer);
create function private.stuck_runs(p_limit integer, p_held text[] default '{}')
returns table (run public.runs, cause text)
language sql volatile
set search_path = ''
as $$
  select r, case
    when r.status = 'queued' then 'queue_timeout'
    when r.lease_expires_at < clock_timestamp()
         and private.database_started_at() + make_interval(secs => r.lease_seconds) < clock_timestamp() then 'lease'
    when w.missing_since < clock_timestamp() - private.missing_grace() then 'missing'
    else 'run_timeout' end
  from public.runs as r
  left join public.workers as w on w.id = r.claimed_by
  where r.status in ('claimed', 'running') and case
      when r.lease_expires_at < clock_timestamp()
           and private.database_started_at() + make_interval(secs => r.lease_seconds) < clock_timestamp() then 'lease' <> all (p_held)
      when w.missing_since < clock_timestamp() - private.missing_grace() then 'missing' <> all (p_held)
      else r.started_at + make_interval(secs => r.timeout_seconds + 60) + private.waited_at_gates(r.id) < clock_timestamp() end
    or r.status = 'queued' and r.start_deadline_at < clock_timestamp()
  order by r.lease_expires_at nulls last, r.id
  limit greatest(p_limit, 0)
  for no key update of r skip locked;
$$;
revoke all on function private.stuck_runs(integer, text[]) from public, anon, authenticated, service_role;
