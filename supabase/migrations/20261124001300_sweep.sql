-- Ends what is stuck: leases that are over, queue deadlines that have passed, runs a minute beyond their timeout. Bounded by p_limit,
-- and by one sweeper at a time: another one answers at once with zeros.
create function public.sweep_runs(p_limit integer default 100)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_run public.runs;
  v_lost integer := 0;
  v_timed_out integer := 0;
  v_retried integer := 0;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('opsroom.sweep', 0)) then
    return jsonb_build_object('lost', 0, 'timed_out', 0, 'retried', 0);
  end if;
  v_now := clock_timestamp();
  for v_run in
    select * from public.runs
    where status in ('claimed', 'running')
      and (lease_expires_at < v_now or started_at + make_interval(secs => timeout_seconds + 60) < v_now)
    order by lease_expires_at limit greatest(p_limit, 0) for no key update skip locked
  loop
    if v_run.lease_expires_at < v_now then
      perform private.end_run(v_run.id, 'failed', 'lost', case when v_run.started_at is null
        then 'The worker was lost before it started the run'
        else 'The worker was lost while the run was running; its outcome is unknown' end);
      v_lost := v_lost + 1;
    else
      perform private.end_run(v_run.id, 'timed_out', 'run_timeout', format('Not finished a minute after its timeout of %s s', v_run.timeout_seconds));
      v_timed_out := v_timed_out + 1;
    end if;
    v_retried := v_retried + (select count(*) from public.runs where retry_of = v_run.id);
  end loop;
  for v_run in
    select * from public.runs where status = 'queued' and start_deadline_at < v_now
    order by start_deadline_at limit greatest(p_limit - v_lost - v_timed_out, 0) for no key update skip locked
  loop
    perform private.end_run(v_run.id, 'timed_out', 'queue_timeout', 'Not started before its queue timeout');
    v_timed_out := v_timed_out + 1;
    v_retried := v_retried + (select count(*) from public.runs where retry_of = v_run.id);
  end loop;
  return jsonb_build_object('lost', v_lost, 'timed_out', v_timed_out, 'retried', v_retried);
end;
$$;
