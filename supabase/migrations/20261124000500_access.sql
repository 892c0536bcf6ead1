-- Who may do what: membership, roles, row level security, grants. EXECUTE is taken from everybody first and given by name.

create function private.role_rank(p_role text)
returns integer
language sql immutable
set search_path = ''
as $$
  select array_position(array['viewer', 'operator', 'approver', 'admin'], p_role);
$$;

-- Policies call this; it is the one helper that signed-in people may execute.
create function private.is_member(p_role text default 'viewer')
returns boolean
language sql stable security definer
set search_path = ''
as $$
  select exists (
    select from public.members
    where user_id = (select auth.uid()) and disabled_at is null and private.role_rank(role) >= private.role_rank(p_role));
$$;

-- Answers with the caller when they hold at least p_role. Raises ORA01, ORA02, ORA03.
create function private.require_role(p_role text)
returns public.members
language plpgsql stable
set search_path = ''
as $$
declare
  v_member public.members;
begin
  if auth.uid() is null then
    perform private.fail('ORA01', 'nobody is signed in', 'Sign in and send your access token.');
  end if;
  select * into v_member from public.members where user_id = auth.uid() and disabled_at is null;
  if not found then
    perform private.fail('ORA03', 'you are signed in, but not a member of this room',
                         'Ask an admin to run: opsroom member set YOUR_EMAIL --role viewer');
  elsif private.role_rank(v_member.role) < private.role_rank(p_role) then
    perform private.fail('ORA02', format('this needs the role %s; yours is %s', p_role, v_member.role), 'Ask an admin for that role.');
  end if;
  return v_member;
end;
$$;

-- True for service_role, and for the owner of these functions at its own console: the two that may make the first admin.
create function private.is_service()
returns boolean
language sql stable
set search_path = ''
as $$
  select current_setting('role', true) in ('service_role', 'postgres')
      or (current_setting('role', true) in ('none', '') and session_user = 'postgres');
$$;

create function private.audit(p_action text, p_target_type text, p_target_id text, p_details jsonb default '{}')
returns void
language sql
set search_path = ''
as $$
  insert into public.audit_log (actor, actor_role, action, target_type, target_id, details)
  values (auth.uid(),
          coalesce((select role from public.members where user_id = auth.uid()), case when private.is_service() then 'service' else 'none' end),
          p_action, p_target_type, p_target_id, p_details);
$$;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['members', 'sessions', 'lanes', 'run_templates', 'template_versions', 'workers', 'runs', 'run_steps',
                                 'run_events', 'artifacts', 'audit_log'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_table);
    execute format('grant select on public.%I to authenticated, service_role', v_table);
    execute format('create policy %I on public.%I for select to authenticated using ((select private.is_member(%L)))',
                   v_table || '_read', v_table, case v_table when 'audit_log' then 'admin' else 'viewer' end);
  end loop;
end;
$$;

-- Evidence is never changed, deleted or cut, by nobody: not even by the owner of these functions.
create function private.refuse_change()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.fail('ORC08', format('%s of %s.%s is refused: evidence is append-only', tg_op, tg_table_schema, tg_table_name),
                       'Write a new row instead.');
  return null;
end;
$$;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['template_versions', 'run_events', 'artifacts', 'audit_log'] loop
    execute format('create trigger refuse_change before update or delete on public.%I for each row execute function private.refuse_change()', v_table);
  end loop;
  foreach v_table in array array['runs', 'run_steps', 'sessions'] loop
    execute format('create trigger refuse_delete before delete on public.%I for each row execute function private.refuse_change()', v_table);
  end loop;
  foreach v_table in array array['template_versions', 'run_events', 'artifacts', 'audit_log', 'runs', 'run_steps', 'sessions'] loop
    execute format('create trigger refuse_truncate before truncate on public.%I for each statement execute function private.refuse_change()', v_table);
  end loop;
end;
$$;

-- The lifecycle: the legal edges, and terminal rows that never change.
create table private.run_edges (
  from_status text not null,
  to_status text not null,
  primary key (from_status, to_status)
);
insert into private.run_edges values
  ('queued', 'claimed'), ('queued', 'cancelled'), ('queued', 'timed_out'),
  ('claimed', 'running'), ('claimed', 'failed'), ('claimed', 'cancelled'), ('claimed', 'timed_out'),
  ('running', 'succeeded'), ('running', 'failed'), ('running', 'cancelled'), ('running', 'timed_out');
alter table private.run_edges enable row level security;

create function private.check_run_change()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if old.status in ('succeeded', 'failed', 'cancelled', 'timed_out') then
    perform private.fail('ORC05', format('run %s is %s and can not change any more', old.id, old.status), 'Retry or rerun it instead.');
  elsif old.status <> new.status
    and not exists (select from private.run_edges where from_status = old.status and to_status = new.status) then
    perform private.fail('ORC05', format('run %s can not go from %s to %s', old.id, old.status, new.status));
  elsif (old.id, old.session_id, old.template_version_id, old.template_slug, old.template_version, old.template_digest, old.params,
         old.attempt, old.root_run_id, old.queued_at, old.concurrency_key, old.created_by, old.lease_seconds, old.timeout_seconds)
     is distinct from
        (new.id, new.session_id, new.template_version_id, new.template_slug, new.template_version, new.template_digest, new.params,
         new.attempt, new.root_run_id, new.queued_at, new.concurrency_key, new.created_by, new.lease_seconds, new.timeout_seconds)
     or (old.claim_token is not null and (old.claim_token, old.claimed_by, old.claimed_at)
         is distinct from (new.claim_token, new.claimed_by, new.claimed_at)) then
    perform private.fail('ORC05', format('what run %s was created and claimed with can not change', old.id));
  end if;
  return new;
end;
$$;

create trigger check_change before update on public.runs for each row execute function private.check_run_change();
