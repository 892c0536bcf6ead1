-- The lifecycle with approvals in it: time at gates is not run time. That a run which waits for an approval is not claimed, and what a worker may
-- write of proofs, is in the files 202611251100 and later.
-- Lock order as before: lane, run, steps, events.

create or replace function private.stuck_runs(p_limit integer)
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
  where r.status in ('claimed', 'running') and (
      w.missing_since < clock_timestamp() - private.missing_grace()
      or (r.lease_expires_at < clock_timestamp()
          and private.database_started_at() + make_interval(secs => r.lease_seconds) < clock_timestamp())
      or r.started_at + make_interval(secs => r.timeout_seconds + 60) + private.waited_at_gates(r.id) < clock_timestamp())
    or r.status = 'queued' and r.start_deadline_at < clock_timestamp()
  order by r.lease_expires_at nulls last, r.id
  limit greatest(p_limit, 0)
  for no key update of r skip locked;
$$;

