-- Realtime is a doorbell: it says that something changed, the tables say what. Delivery may drop or repeat; a subscriber reads again.
-- One ring per statement and topic, on private topics that members may hear.

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

create function private.ring_runs()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('session:' || session_id, jsonb_build_object('what', 'run', 'run_ids', run_ids))
  from (select session_id, jsonb_agg(id) as run_ids from changed group by session_id) as c;
  perform private.ring('run:' || id, jsonb_build_object('what', 'run')) from changed;
  return null;
end;
$$;

-- The list of sessions hears of a run's creation and of its changes of status, not of its heartbeats.
create function private.ring_session_list()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('sessions', jsonb_build_object('session_id', new.session_id));
  return null;
end;
$$;

create function private.ring_events()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('run:' || run_id, jsonb_build_object('what', 'events', 'seq', seq)) from (
    select run_id, max(seq) as seq from changed group by run_id) as c;
  perform private.ring('session:' || r.session_id, jsonb_build_object('what', 'events', 'run_ids', jsonb_build_array(r.id))) from (
    select distinct run_id from changed where type like 'step.%' or type in ('output', 'log')) as c join public.runs as r on r.id = c.run_id;
  return null;
end;
$$;

create trigger ring_insert after insert on public.sessions referencing new table as changed
  for each statement execute function private.ring_sessions();
create trigger ring_update after update on public.sessions referencing new table as changed
  for each statement execute function private.ring_sessions();
create trigger ring_insert after insert on public.runs referencing new table as changed
  for each statement execute function private.ring_runs();
create trigger ring_update after update on public.runs referencing new table as changed
  for each statement execute function private.ring_runs();
create trigger ring_list_insert after insert on public.runs for each row execute function private.ring_session_list();
create trigger ring_list_update after update on public.runs for each row
  when (old.status is distinct from new.status) execute function private.ring_session_list();
create trigger ring_insert after insert on public.run_events referencing new table as changed
  for each statement execute function private.ring_events();

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
