-- Schema realtime: broadcast from the database. Hosted reads realtime.messages from the write-ahead log; here a trigger
-- notifies the gateway at commit. Delivery is a hint in both: subscribers read the tables.

create schema realtime authorization supabase_realtime_admin;
grant usage on schema realtime to postgres, anon, authenticated, service_role;

create table realtime.messages (
  topic text not null,
  extension text not null,
  payload jsonb,
  event text,
  private boolean default false,
  updated_at timestamp not null default now(),
  inserted_at timestamp not null default now(),
  id uuid primary key default gen_random_uuid()
);
create index messages_inserted_at_idx on realtime.messages (inserted_at);
alter table realtime.messages enable row level security;

create function realtime.topic() returns text language sql stable as $$
  select nullif(current_setting('realtime.topic', true), '')::text
$$;

-- Security definer, unlike hosted, so that a caller needs no right on the table; like hosted it never fails its caller.
create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
returns void language plpgsql security definer set search_path = '' as $$
declare
  v_id uuid := gen_random_uuid();
begin
  insert into realtime.messages (id, payload, event, topic, private, extension)
  values (v_id, case when send.payload ? 'id' then send.payload else jsonb_set(send.payload, '{id}', to_jsonb(v_id)) end,
          send.event, send.topic, send.private, 'broadcast');
exception when others then
  raise warning 'ErrorSendingBroadcastMessage: %', sqlerrm;
end
$$;

create function realtime.broadcast_changes(
  topic_name text, event_name text, operation text, table_name text, table_schema text,
  new record, old record, level text default 'ROW'
) returns void language plpgsql set search_path = '' as $$
begin
  if level = 'STATEMENT' then
    raise exception 'function can only be triggered for each row, not for each statement';
  end if;
  perform realtime.send(
    jsonb_build_object('old_record', old, 'record', new, 'operation', operation,
                       'table', table_name, 'schema', table_schema),
    event_name, topic_name);
end
$$;

-- pg_notify takes 8,000 bytes: what is longer is read from the table by its id.
create function realtime.notify_gateway() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  v_message text;
begin
  if new.extension is distinct from 'broadcast' then
    return null;
  end if;
  v_message := jsonb_build_object('id', new.id, 'topic', new.topic, 'event', new.event,
                                  'private', new.private, 'payload', new.payload)::text;
  if octet_length(v_message) > 7900 then
    v_message := jsonb_build_object('id', new.id)::text;
  end if;
  perform pg_notify('realtime_broadcast', v_message);
  return null;
end
$$;
create trigger notify_gateway after insert on realtime.messages
  for each row execute function realtime.notify_gateway();

alter table realtime.messages owner to supabase_realtime_admin;
alter function realtime.topic() owner to supabase_realtime_admin;
alter function realtime.broadcast_changes(text, text, text, text, text, record, record, text) owner to supabase_realtime_admin;
alter function realtime.send(jsonb, text, text, boolean) owner to supabase_realtime_admin;
alter function realtime.notify_gateway() owner to supabase_realtime_admin;
revoke execute on function realtime.notify_gateway() from public;
grant select, insert, update on realtime.messages to postgres, anon, authenticated, service_role;
