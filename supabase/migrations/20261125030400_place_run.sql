-- The order of a lane by hand. A lane's queue goes by priority, then place_at, then id; placing a run gives it the values that put it
-- where the person wants it: its own where they fit, else the nearest that do. Lock order: lane, run; a claim holds the lane meanwhile.

-- Places a queued run in a lane of its session: before another queued run of that lane, or with none at its end. Same call, same place.
create function public.place_run(p_run_id uuid, p_lane text, p_before uuid default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_lane text := private.check_lane(p_lane);
  v_session_id uuid := (private.find_run(p_run_id)).session_id;
  v_tick constant interval := '1 millisecond';
  v_run public.runs;
  v_new public.runs;
  v_prior public.runs;
  v_next public.runs;
begin
  perform from public.lanes where session_id = v_session_id and lane = v_lane for no key update;
  v_run := private.lock_run(p_run_id);
  if v_run.status <> 'queued' then
    perform private.fail('ORC05', format('run %s is %s; only a queued one can be moved', p_run_id, v_run.status));
  elsif p_before = p_run_id then
    return private.run_json(v_run);
  elsif p_before is not null then
    select * into v_next from public.runs where id = p_before and session_id = v_session_id and lane = v_lane and status = 'queued';
    if not found then
      perform private.fail('ORC05', format('run %s does not wait in lane %s', p_before, v_lane), 'Look at the lane again: it went on meanwhile.');
    end if;
  end if;
  select * into v_prior from public.runs as r
  where r.session_id = v_session_id and r.lane = v_lane and r.status = 'queued' and r.id <> p_run_id
    and (v_next.id is null or (-r.priority, r.place_at, r.id) < (-v_next.priority, v_next.place_at, v_next.id))
  order by r.priority, r.place_at desc, r.id desc limit 1;

  v_new := v_run;
  v_new.lane := v_lane;
  v_new.priority := least(greatest(v_run.priority, v_next.priority), v_prior.priority);
  -- From here on v_prior and v_next are neighbours of the same priority; others do not bound the time.
  if v_prior.priority <> v_new.priority then
    v_prior := null;
  end if;
  if v_next.priority <> v_new.priority then
    v_next := null;
  end if;
  if v_prior.id is not null and v_next.id is not null and v_next.place_at - v_prior.place_at < interval '2 microseconds' then
    -- No room between them: all that go before move up together, which leaves their order as it is.
    update public.runs as r set place_at = r.place_at - interval '1 second'
    where r.session_id = v_session_id and r.lane = v_lane and r.status = 'queued' and r.id <> p_run_id and r.priority = v_new.priority
      and (r.place_at, r.id) <= (v_prior.place_at, v_prior.id);
    v_prior.place_at := v_prior.place_at - interval '1 second';
  end if;
  if v_new.place_at <= v_prior.place_at or v_new.place_at >= v_next.place_at then
    v_new.place_at := coalesce(v_prior.place_at + (v_next.place_at - v_prior.place_at) / 2, v_prior.place_at + v_tick, v_next.place_at - v_tick);
  end if;
  if (v_new.lane, v_new.priority, v_new.place_at) is not distinct from (v_run.lane, v_run.priority, v_run.place_at) then
    return private.run_json(v_run);
  end if;

  update public.runs set lane = v_new.lane, priority = v_new.priority, place_at = v_new.place_at where id = p_run_id returning * into v_run;
  perform private.record_event(p_run_id, 'run.moved', format('Moved to lane %s, priority %s', v_run.lane, v_run.priority)
      || case when p_before is null then ', last' else format(', before %s', p_before) end,
    jsonb_strip_nulls(jsonb_build_object('by', v_member.user_id, 'lane', v_run.lane, 'priority', v_run.priority, 'before', p_before)));
  perform private.audit('run.moved', 'run', p_run_id::text,
    jsonb_strip_nulls(jsonb_build_object('lane', v_run.lane, 'priority', v_run.priority, 'before', p_before)));
  perform pg_notify('opsroom_runs', 'queued');
  return private.run_json(v_run);
end;
$$;

revoke all on function public.place_run(uuid, text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.place_run(uuid, text, uuid) to authenticated;
