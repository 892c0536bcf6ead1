-- Approvals, enforced in the database on every path: a run that needs one is not claimed before, and a gate step does not succeed
-- without. Lock order: run, gate, steps, events.

alter table public.runs
  add column awaiting_approval boolean not null default false,
  add column needs_evidence boolean not null default false,
  drop constraint runs_reason_check,
  add constraint runs_reason_check check (reason in (
    'step_failed', 'lost', 'cancelled_by_person', 'step_timeout', 'run_timeout', 'queue_timeout', 'worker_error', 'invalid_template',
    'proof_failed', 'denied', 'gate_timeout'));
comment on column public.runs.awaiting_approval is 'Queued, and not to be claimed before its approval.';
comment on column public.runs.needs_evidence is 'Its template declares checks, gates, approvals or artifacts: success is checked against them.';

create table public.gates (
  run_id uuid not null references public.runs (id),
  step_id text not null,
  status text not null default 'waiting' check (status in ('waiting', 'approved', 'denied', 'expired', 'withdrawn')),
  approvers integer not null check (approvers between 1 and 5),
  role text not null check (role in ('approver', 'admin')),
  self_approval boolean not null,
  instructions text not null check (char_length(instructions) <= 2000),
  subject_digest text not null check (subject_digest ~ '^[0-9a-f]{64}$'),
  opened_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  closed_at timestamptz,
  primary key (run_id, step_id),
  constraint gates_closed check ((status = 'waiting') = (closed_at is null))
);
comment on table public.gates is 'What waits for a person. step_id is a gate step, or empty for the approval that a run needs before its first step.';
comment on column public.gates.subject_digest is
  'What is decided about: SHA-256 over the canonical JSON of {params_digest, template_digest}. It withdraws when its run ends.';
create index gates_waiting on public.gates (expires_at) where status = 'waiting';

create table public.approvals (
  run_id uuid not null,
  step_id text not null,
  decided_by uuid not null references public.members (user_id),
  role text not null,
  decision text not null check (decision in ('approved', 'denied')),
  comment text not null check (char_length(comment) <= 2000),
  subject_digest text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (run_id, step_id, decided_by),
  foreign key (run_id, step_id) references public.gates (run_id, step_id)
);
comment on table public.approvals is 'Who decided what about which gate. One decision a person and gate; never changed.';

alter table public.gates enable row level security;
alter table public.approvals enable row level security;
revoke all on public.gates, public.approvals from public, anon, authenticated, service_role;
grant select on public.gates, public.approvals to authenticated, service_role;
create policy gates_read on public.gates for select to authenticated using ((select private.is_member('viewer')));
create policy approvals_read on public.approvals for select to authenticated using ((select private.is_member('viewer')));
create trigger refuse_change before update or delete on public.approvals for each row execute function private.refuse_change();
create trigger refuse_truncate before truncate on public.approvals for each statement execute function private.refuse_change();
create trigger refuse_delete before delete on public.gates for each row execute function private.refuse_change();
create trigger refuse_truncate before truncate on public.gates for each statement execute function private.refuse_change();

create function private.open_gate(p_run public.runs, p_step_id text, p_policy jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_gate public.gates;
begin
  insert into public.gates (run_id, step_id, approvers, role, self_approval, instructions, subject_digest, opened_at, expires_at)
  values (p_run.id, p_step_id, coalesce((p_policy ->> 'approvers')::integer, 1), coalesce(p_policy ->> 'role', 'approver'),
          coalesce((p_policy ->> 'self_approval')::boolean, false), coalesce(p_policy ->> 'instructions', ''),
          private.json_digest(jsonb_build_object('template_digest', p_run.template_digest, 'params_digest', private.json_digest(p_run.params))),
          v_now, v_now + make_interval(secs => coalesce((p_policy ->> 'expires_seconds')::integer, 86400)))
  returning * into v_gate;
  perform private.record_event(p_run.id, 'gate.opened', format('Waits for %s of role %s', case v_gate.approvers when 1 then 'an approval' else
    v_gate.approvers || ' approvals' end, v_gate.role), jsonb_build_object('step', p_step_id, 'approvers', v_gate.approvers,
    'role', v_gate.role, 'self_approval', v_gate.self_approval, 'subject_digest', v_gate.subject_digest), nullif(p_step_id, ''));
end;
$$;

-- Closes a waiting gate. The caller holds the lock of the run's row.
create function private.close_gate(p_run_id uuid, p_step_id text, p_status text, p_message text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.gates set status = p_status, closed_at = clock_timestamp() where run_id = p_run_id and step_id = p_step_id and status = 'waiting';
  if found then
    perform private.record_event(p_run_id, 'gate.closed', p_message, jsonb_build_object('step', p_step_id, 'status', p_status),
      nullif(p_step_id, ''), case p_status when 'approved' then 'info' else 'warn' end);
  end if;
end;
$$;

-- A gate step opens its gate when it begins to run, and succeeds only when that is approved; a carried one, when its former one was.
create function private.check_gate_step()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  v_run public.runs;
begin
  if new.status = 'running' then
    select * into v_run from public.runs where id = new.run_id;
    perform private.open_gate(v_run, new.step_id, (
      select coalesce(step -> 'with', '{}') from public.template_versions as v, jsonb_array_elements(v.spec::jsonb -> 'steps') as s (step)
      where v.id = v_run.template_version_id and step ->> 'id' = new.step_id));
  elsif new.status = 'succeeded' and not exists (
    select from public.gates where run_id = coalesce(new.carried_from, new.run_id) and step_id = new.step_id and status = 'approved') then
    perform private.fail('ORG04', format('gate %s of run %s is not approved', new.step_id, new.run_id), 'Wait for the decision.');
  end if;
  return new;
end;
$$;

create trigger check_gate before update on public.run_steps for each row
  when (new.kind = 'gate' and new.status <> old.status) execute function private.check_gate_step();

-- What still waits when a run ends waits no more.
create function private.withdraw_gates()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.close_gate(g.run_id, g.step_id, 'withdrawn', 'The run ended before a decision')
  from public.gates as g where g.run_id = new.id and g.status = 'waiting';
  new.awaiting_approval := false;
  return new;
end;
$$;

create trigger withdraw_gates before update on public.runs for each row
  when (new.needs_evidence and new.finished_at is not null and old.finished_at is null) execute function private.withdraw_gates();
