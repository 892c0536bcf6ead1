-- The sweep also closes gates that nobody decided in time, counts what has ended, for the insights, and forgets old claim requests.
-- Lock order as before: lane, run, steps, events; the counts after them.

-- Ends at most p_limit stuck runs. Another sweep that is under way makes this one answer with zeros at once. held is true while a circuit
-- breaker is open: most of at least four live leases were over together (they get one more lease before they are ended), or most of at
-- least three workers lost their connection within the same half minute (then their leases decide; who died before does not count).
create or replace function public.sweep_runs(p_limit integer default 100)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_state private.sweep_state;
  v_lost integer;
  v_timed_out integer;
  v_retried integer;
  v_over integer;
  v_live integer;
  v_lease integer;
  v_held boolean;
  v_cut boolean;
  v_expired integer;
  v_ends private.run_end[];
begin
  if not pg_try_advisory_xact_lock(hashtextextended('opsroom.sweep', 0)) then
    return jsonb_build_object('lost', 0, 'timed_out', 0, 'retried', 0, 'held', false);
  end if;
  perform private.mark_missing_workers();
  delete from private.claim_requests where at < clock_timestamp() - interval '1 hour';
  update private.sweep_state set last_sweep_at = clock_timestamp() returning * into v_state;

  select count(*) filter (where lease_expires_at < clock_timestamp()), count(*), max(lease_seconds) into v_over, v_live, v_lease
  from public.runs where status in ('claimed', 'running');
  if v_over >= 4 and v_over * 2 > v_live and v_state.held_until is null then
    update private.sweep_state set held_until = clock_timestamp() + make_interval(secs => v_lease), held_count = held_count + 1
    returning * into v_state;
  elsif v_over = 0 and v_state.held_until is not null then
    update private.sweep_state set held_until = null returning * into v_state;
  end if;

  v_held := coalesce(v_state.held_until > clock_timestamp(), false);
  select count(*) filter (where missing_since is not null) >= 3 and count(*) filter (where missing_since is not null) * 2 > count(*)
  into v_cut from public.workers
  where backend_start > private.database_started_at() and stopped_at is null
    and (missing_since is null or missing_since > clock_timestamp() - interval '30 seconds');

  select array_agg(row((s.run).id, case when s.cause in ('missing', 'lease') then 'failed' else 'timed_out' end,
                       case when s.cause in ('missing', 'lease') then 'lost' else s.cause end,
                       private.describe_stuck(s.run, s.cause), null)::private.run_end)
  into v_ends
  from private.stuck_runs(p_limit, array_remove(array[case when v_held then 'lease' end, case when v_cut then 'missing' end], null)) as s;
  perform private.end_runs(v_ends);
  v_expired := private.expire_gates(p_limit);

  select count(*) filter (where e.reason = 'lost'), count(*) filter (where e.reason <> 'lost'), count(n.id)
  into v_lost, v_timed_out, v_retried
  from unnest(v_ends) as e left join public.runs as n on n.retry_of = e.run_id;
  begin
    perform private.count_runs(2000);
  exception
    when others then raise warning 'the runs that ended were not counted: %', sqlerrm;  -- counting never keeps a lost run from being ended
  end;
  return jsonb_build_object('lost', v_lost, 'timed_out', v_timed_out + v_expired, 'retried', v_retried,
                            'held', v_held or v_cut);
end;
$$;
