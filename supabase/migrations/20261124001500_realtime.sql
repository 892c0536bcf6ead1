-- Realtime is a doorbell: it says that something changed, the tables say what. Delivery may drop or repeat; a subscriber reads again.
-- Private topics that members may hear: `sessions` (the list), `session:<id>` (its runs: status, heartbeat, steps), `run:<id>` (its
-- status, events and artifacts). One ring per statement and topic, so that a batch of a hundred runs rings once and not a hundred times.

create function private.ring(p_topic text, p_payload jsonb)
returns void
language sql
set search_path = ''
as $$
  select realtime.send(p_payload, 'changed', p_topic, true);
$$;

create function private.ring_sessions()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('sessions', jsonb_build_object('session_id', id)) from changed;
  perform private.ring('session:' || id, jsonb_build_object('what', 'session')) from changed;
  return null;
end;
$$;

create function private.ring_new_runs()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('session:' || session_id, jsonb_build_object('what', 'run', 'run_ids', ids)),
          private.ring('sessions', jsonb_build_object('session_id', session_id))
  from (select session_id, jsonb_agg(id) as ids from changed group by session_id) as c;
  return null;
end;
$$;

-- The list of sessions hears of changes of status, not of heartbeats. A ring names at most 100 runs; one without names stands for all.
create function private.ring_runs()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('session:' || session_id, jsonb_build_object('what', 'run') || case when many then '{}' else jsonb_build_object('run_ids', ids) end),
          case when moved then private.ring('sessions', jsonb_build_object('session_id', session_id)) end
  from (select n.session_id, count(*) > 100 as many, jsonb_agg(n.id) as ids, bool_or(n.status <> o.status) as moved
        from changed as n join before as o on o.id = n.id group by n.session_id) as c;
  perform private.ring('run:' || n.id, jsonb_build_object('what', 'run')) from changed as n join before as o on o.id = n.id where n.status <> o.status;
  return null;
end;
$$;

create trigger ring_insert after insert on public.sessions referencing new table as changed
  for each statement execute function private.ring_sessions();
create trigger ring_update after update on public.sessions referencing new table as changed
  for each statement execute function private.ring_sessions();
create function private.ring_lanes()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('session:' || session_id, jsonb_build_object('what', 'session')) from changed group by session_id;
  return null;
end;
$$;

create trigger ring_update after update on public.lanes referencing new table as changed
  for each statement execute function private.ring_lanes();
create trigger ring_insert after insert on public.runs referencing new table as changed
  for each statement execute function private.ring_new_runs();
create trigger ring_update after update on public.runs referencing new table as changed old table as before
  for each statement execute function private.ring_runs();

create policy opsroom_members_hear on realtime.messages for select to authenticated
  using (extension = 'broadcast'
         and (select realtime.topic()) ~ '^(sessions|(session|run):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$'
         and (select private.is_member()));

-- For clients that want the rows themselves (postgres_changes); row level security decides what they see.
do $$
begin
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
  alter publication supabase_realtime add table public.sessions, public.runs, public.run_events, public.artifacts;
end;
$$;
