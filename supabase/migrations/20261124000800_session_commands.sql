-- Commands of people: role checked inside, idempotent on replay, audited. Lock order everywhere: session, lane, run, steps, events.

create function public.create_session(p_title text, p_intent text default '', p_idempotency_key text default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_title text := private.check_text('title', p_title, 1, 120);
  v_intent text := private.check_text('intent', p_intent, 0, 4000);
  v_key text := nullif(private.check_text('idempotency key', p_idempotency_key, 0, 200), '');
  v_session public.sessions;
begin
  insert into public.sessions (title, intent, created_by, idempotency_key)
  values (v_title, v_intent, v_member.user_id, v_key)
  on conflict do nothing
  returning * into v_session;
  if not found then
    select * into v_session from public.sessions where created_by = v_member.user_id and idempotency_key = v_key;
    if (v_session.title, v_session.intent) is distinct from (v_title, v_intent) then
      perform private.fail('ORC03', 'this idempotency key was used for another session', 'Use a new key for a new session.');
    end if;
    return to_json(v_session);
  end if;
  insert into public.lanes (session_id, lane) select v_session.id, unnest(array['A', 'B', 'C', 'D']);
  perform private.audit('session.created', 'session', v_session.id::text, jsonb_build_object('title', v_title));
  return to_json(v_session);
end;
$$;

create function private.lock_session(p_session_id uuid)
returns public.sessions
language plpgsql
set search_path = ''
as $$
declare
  v_session public.sessions;
begin
  select * into v_session from public.sessions where id = p_session_id for update;
  if not found then
    perform private.fail('ORN01', format('there is no session %s', coalesce(p_session_id::text, '(none given)')), 'List them with: opsroom sessions');
  end if;
  return v_session;
end;
$$;

create function public.archive_session(p_session_id uuid)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_session public.sessions := private.lock_session(p_session_id);
  v_live integer;
begin
  select count(*) into v_live from public.runs where session_id = p_session_id and status in ('queued', 'claimed', 'running');
  if v_session.archived_at is null and v_live > 0 then
    perform private.fail('ORC02', format('the session still has %s live run(s)', v_live), 'Wait for them or cancel them first.');
  elsif v_session.archived_at is null then
    update public.sessions set archived_at = clock_timestamp() where id = p_session_id returning * into v_session;
    perform private.audit('session.archived', 'session', p_session_id::text);
  end if;
  return to_json(v_session);
end;
$$;

create function public.reopen_session(p_session_id uuid)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_session public.sessions := private.lock_session(p_session_id);
begin
  if v_session.archived_at is not null then
    update public.sessions set archived_at = null where id = p_session_id returning * into v_session;
    perform private.audit('session.reopened', 'session', p_session_id::text);
  end if;
  return to_json(v_session);
end;
$$;
