-- Deciding about gates, and reading how they stand. Lock order: run, gate, steps, events.

create function private.gate_json(p_gate public.gates)
returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'run_id', p_gate.run_id, 'step_id', p_gate.step_id, 'status', p_gate.status, 'approvers', p_gate.approvers, 'role', p_gate.role,
    'self_approval', p_gate.self_approval, 'instructions', p_gate.instructions, 'subject_digest', p_gate.subject_digest,
    'opened_at', p_gate.opened_at, 'expires_at', p_gate.expires_at, 'closed_at', p_gate.closed_at,
    'approvals', coalesce((
      select jsonb_agg(jsonb_build_object('by', a.decided_by, 'by_name', coalesce(nullif(m.display_name, ''), m.email), 'role', a.role,
        'decision', a.decision, 'comment', a.comment, 'at', a.at) order by a.at)
      from public.approvals as a join public.members as m on m.user_id = a.decided_by
      where a.run_id = p_gate.run_id and a.step_id = p_gate.step_id), '[]'));
$$;

-- Why p_member may not decide about a gate of a run that p_creator created; null when they may.
create function private.approval_obstacle(p_gate public.gates, p_creator uuid, p_member public.members)
returns text
language sql stable
set search_path = ''
as $$
  select case
    when p_gate.status <> 'waiting' then format('it is %s', p_gate.status)
    when p_gate.expires_at <= clock_timestamp() then 'it has expired'
    when private.role_rank(p_member.role) < private.role_rank(p_gate.role) then format('it needs the role %s; yours is %s', p_gate.role, p_member.role)
    when p_member.user_id = p_creator and not p_gate.self_approval then 'you created the run, and its template asks for somebody else'
    when exists (select from public.approvals where run_id = p_gate.run_id and step_id = p_gate.step_id and decided_by = p_member.user_id)
      then 'you have decided already'
  end;
$$;

-- Approves or denies. p_subject_digest is what the person looked at, from list_gates: a decision about anything else is refused. One
-- denial closes a gate; as many approvals as it asks for open it. The same decision again gives the same answer.
create function public.decide_gate(
  p_run_id uuid, p_step_id text, p_decision text, p_subject_digest text, p_comment text default '')
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('approver');
  v_comment text := private.check_text('comment', p_comment, 0, 2000);
  v_run public.runs := private.lock_run(p_run_id);
  v_by text := coalesce(nullif(v_member.display_name, ''), v_member.email);
  v_gate public.gates;
  v_obstacle text;
begin
  select * into v_gate from public.gates where run_id = p_run_id and step_id = coalesce(p_step_id, '') for no key update;
  if not found then
    perform private.fail('ORG01', format('run %s has no gate %s', p_run_id, coalesce(nullif(p_step_id, ''), 'of its own')),
                         'List what waits with: opsroom approvals');
  elsif coalesce(p_decision, '') not in ('approved', 'denied') then
    perform private.fail('ORV02', format('a decision can not be %s', left(coalesce(p_decision, '(none given)'), 40)), 'Choose approved or denied.');
  elsif exists (select from public.approvals where run_id = p_run_id and step_id = v_gate.step_id and decided_by = v_member.user_id and decision = p_decision) then
    return private.gate_json(v_gate);
  end if;
  v_obstacle := private.approval_obstacle(v_gate, v_run.created_by, v_member);
  if v_obstacle is not null then
    perform private.fail(case when v_gate.status <> 'waiting' or v_gate.expires_at <= clock_timestamp() then 'ORG02' else 'ORA02' end,
      format('this gate can not be decided by you: %s', v_obstacle), 'See who may with: opsroom approvals');
  elsif p_subject_digest is distinct from v_gate.subject_digest then
    perform private.fail('ORG03', 'what waits is not what you looked at', 'Look at it again, then decide.');
  end if;
  insert into public.approvals (run_id, step_id, decided_by, role, decision, comment, subject_digest)
  values (p_run_id, v_gate.step_id, v_member.user_id, v_member.role, p_decision, v_comment, v_gate.subject_digest);
  perform private.record_event(p_run_id, 'gate.decided', format('%s %s', v_by, p_decision) || coalesce(': ' || nullif(v_comment, ''), ''),
    jsonb_build_object('step', v_gate.step_id, 'decision', p_decision, 'by', v_member.user_id, 'role', v_member.role, 'comment', v_comment,
      'subject_digest', v_gate.subject_digest), nullif(v_gate.step_id, ''), case p_decision when 'approved' then 'info' else 'warn' end);
  perform private.audit('gate.' || p_decision, 'run', p_run_id::text,
    jsonb_build_object('step', v_gate.step_id, 'subject_digest', v_gate.subject_digest, 'comment', v_comment));
  if p_decision = 'denied' then
    perform private.close_gate(p_run_id, v_gate.step_id, 'denied', format('Denied by %s', v_by));
    if v_gate.step_id = '' then
      perform private.end_run(p_run_id, 'cancelled', 'denied', format('Denied by %s before it started', v_by));
    end if;
  elsif (select count(*) from public.approvals where run_id = p_run_id and step_id = v_gate.step_id) >= v_gate.approvers then
    perform private.close_gate(p_run_id, v_gate.step_id, 'approved', 'Approved');
    if v_gate.step_id = '' then
      update public.runs set awaiting_approval = false where id = p_run_id;
    end if;
  end if;
  perform pg_notify('opsroom_runs', case v_gate.step_id when '' then 'queued' else 'gate:' || p_run_id end);
  select * into v_gate from public.gates where run_id = p_run_id and step_id = v_gate.step_id;
  return private.gate_json(v_gate);
end;
$$;

-- What waits for a person, first what expires first; or, with p_waiting false, the last hundred that were closed. `obstacle` says why the
-- caller may not decide, null when they may.
create function public.list_gates(p_waiting boolean default true)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  return coalesce((
    select json_agg(private.gate_json(w.gate) || jsonb_build_object(
      'run', private.run_json(r), 'session_title', s.title, 'obstacle', private.approval_obstacle(w.gate, r.created_by, v_member)) order by w.n)
    from (
      select g as gate, row_number() over (order by g.closed_at desc nulls first, g.expires_at) as n from public.gates as g
      where (g.status = 'waiting') = coalesce(p_waiting, true) order by n limit case when p_waiting then 500 else 100 end) as w
    join public.runs as r on r.id = (w.gate).run_id
    join public.sessions as s on s.id = r.session_id), '[]');
end;
$$;

-- How a gate of a run that the worker holds stands: waiting, approved, denied, expired; or lost.
create function public.read_gate(p_run_id uuid, p_claim_token uuid, p_step_id text)
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_gate public.gates;
  v_held boolean;
begin
  select claim_token = p_claim_token and status = 'running' into v_held from public.runs where id = p_run_id;
  if not coalesce(v_held, false) then
    return jsonb_build_object('verdict', 'lost');
  end if;
  select * into v_gate from public.gates where run_id = p_run_id and step_id = p_step_id;
  if not found then
    perform private.fail('ORG01', format('run %s has no gate %s', p_run_id, p_step_id), 'Start the step first.');
  end if;
  return jsonb_build_object('verdict', 'ok', 'status', v_gate.status, 'message', (
    select string_agg(format('%s by %s', a.decision, coalesce(nullif(m.display_name, ''), m.email)), ', ' order by a.at)
    from public.approvals as a join public.members as m on m.user_id = a.decided_by where a.run_id = p_run_id and a.step_id = p_step_id));
end;
$$;

-- Closes what nobody decided in time; a run that waited for it to begin ends with it. At most p_limit; part of the sweep.
create function private.expire_gates(p_limit integer)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_run record;
  v_count integer := 0;
begin
  for v_run in
    select r.id, g.step_id from public.gates as g join public.runs as r on r.id = g.run_id
    where g.status = 'waiting' and g.expires_at < clock_timestamp()
    order by g.expires_at limit greatest(p_limit, 0) for no key update of r skip locked
  loop
    perform private.close_gate(v_run.id, v_run.step_id, 'expired', 'Nobody decided in time');
    if v_run.step_id = '' then
      perform private.end_run(v_run.id, 'timed_out', 'gate_timeout', 'Nobody approved it in time');
    end if;
    perform pg_notify('opsroom_runs', 'gate:' || v_run.id);
    v_count := v_count + 1;
  end loop;
  return v_count;
end;
$$;

-- How long a run has stood at gates: that does not count against its timeout.
create function private.waited_at_gates(p_run_id uuid)
returns interval
language sql stable
set search_path = ''
as $$
  select coalesce(sum(coalesce(closed_at, clock_timestamp()) - opened_at), interval '0')
  from public.gates where run_id = p_run_id and step_id <> '';
$$;

create function private.ring_gates()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('session:' || r.session_id, jsonb_build_object('what', 'run', 'run_ids', jsonb_build_array(r.id))),
          private.ring('sessions', jsonb_build_object('session_id', r.session_id))
  from changed as c join public.runs as r on r.id = c.run_id;
  return null;
end;
$$;
create trigger ring_insert after insert on public.gates referencing new table as changed for each statement execute function private.ring_gates();
create trigger ring_update after update on public.gates referencing new table as changed for each statement execute function private.ring_gates();
create trigger ring_insert after insert on public.approvals referencing new table as changed for each statement execute function private.ring_gates();

revoke all on function public.decide_gate(uuid, text, text, text, text), public.list_gates(boolean), public.read_gate(uuid, uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.decide_gate(uuid, text, text, text, text), public.list_gates(boolean) to authenticated;
grant execute on function public.read_gate(uuid, uuid, text) to service_role;
