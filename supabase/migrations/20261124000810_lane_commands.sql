-- Commands of people on lanes: how many runs at once, and whether any. A pause keeps the queue and lets what runs go on.

create function public.set_lane(p_session_id uuid, p_lane text, p_capacity integer default null, p_paused boolean default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_session public.sessions := private.lock_session(p_session_id);
  v_lane public.lanes;
begin
  perform private.check_lane(p_lane);
  if p_capacity not between 1 and 100 then
    perform private.fail('ORV02', format('a lane can not have %s slots', p_capacity), 'Choose 1 to 100.');
  end if;
  update public.lanes
  set capacity = coalesce(p_capacity, capacity),
      paused_at = case when p_paused is null then paused_at when p_paused then coalesce(paused_at, clock_timestamp()) end
  where session_id = p_session_id and lane = p_lane returning * into v_lane;
  perform private.audit('lane.set', 'session', p_session_id::text,
    jsonb_strip_nulls(jsonb_build_object('lane', p_lane, 'capacity', p_capacity, 'paused', p_paused)));
  perform pg_notify('opsroom_runs', 'queued');
  return to_json(v_lane);
end;
$$;

create function public.set_session_paused(p_session_id uuid, p_paused boolean)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_session public.sessions := private.lock_session(p_session_id);
begin
  if (v_session.paused_at is not null) <> p_paused then
    update public.sessions set paused_at = case when p_paused then clock_timestamp() end where id = p_session_id returning * into v_session;
    perform private.audit(case when p_paused then 'session.paused' else 'session.resumed' end, 'session', p_session_id::text);
    perform pg_notify('opsroom_runs', 'queued');
  end if;
  return to_json(v_session);
end;
$$;

-- The place of a queued run: another lane of its session, another priority. Its age stays.
create function public.move_run(p_run_id uuid, p_lane text default null, p_priority integer default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_run public.runs := private.lock_run(p_run_id);
begin
  if v_run.status <> 'queued' then
    perform private.fail('ORC05', format('run %s is %s; only a queued one can be moved', p_run_id, v_run.status));
  elsif p_priority not between -100 and 100 then
    perform private.fail('ORV02', format('priority %s is out of range', p_priority), 'Choose -100 to 100; higher goes first.');
  end if;
  update public.runs set lane = private.check_lane(coalesce(p_lane, lane)), priority = coalesce(p_priority, priority)
  where id = p_run_id returning * into v_run;
  perform private.record_event(p_run_id, 'run.moved', format('Moved to lane %s, priority %s', v_run.lane, v_run.priority),
    jsonb_build_object('by', v_member.user_id, 'lane', v_run.lane, 'priority', v_run.priority));
  perform private.audit('run.moved', 'run', p_run_id::text, jsonb_build_object('lane', v_run.lane, 'priority', v_run.priority));
  perform pg_notify('opsroom_runs', 'queued');
  return private.run_json(v_run);
end;
$$;
