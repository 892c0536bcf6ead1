-- The sweep says when it is worth sweeping again, so that a lost run is ended as soon as its worker's grace is over, and not at the next
-- regular sweep after that. Who does not know the answer's new key sweeps as before. Lock order as before: lane, run, steps, events.

-- Seconds until the first of the missing workers that still hold runs has been missing for the grace; null when there is none. Those whose
-- grace was over at p_began are not counted: that sweep could end their runs, and what it left it left for a reason.
create function private.seconds_of_grace(p_began timestamptz)
returns numeric
language sql volatile
set search_path = ''
as $$
  select round(extract(epoch from min(greatest(w.missing_since + private.missing_grace() - clock_timestamp(), interval '0'))), 3)
  from public.workers as w
  where w.missing_since >= p_began - private.missing_grace()
    and exists (select from public.runs as r where r.claimed_by = w.id and r.status in ('claimed', 'running'));
$$;
revoke all on function private.seconds_of_grace(timestamptz) from public, anon, authenticated, service_role;

-- Ends at most p_limit stuck runs. Another sweep that is under way makes this one answer with zeros at once. due_in: seconds after which
-- another sweep has something to do; null where no such moment is known. held is true while a circuit breaker is open: most of at least
-- four live leases were over together (they get one more lease before they are ended), or most of at least three workers lost their
-- connection within the same half minute (then their leases decide; who died before does not count).
create or replace function public.sweep_runs(p_limit integer default 100)
returns jsonb
language plpgsql security definer
set search_path = ''
set plan_cache_mode = force_generic_plan
as $$
declare
  v_began timestamptz := clock_timestamp();
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
    return jsonb_build_object('lost', 0, 'timed_out', 0, 'retried', 0, 'held', false, 'due_in', private.seconds_of_grace(v_began));
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
                            'held', v_held or v_cut, 'due_in', case
                              when cardinality(v_ends) >= p_limit then 0
                              when not v_cut then private.seconds_of_grace(v_began) end);
end;
$$;
