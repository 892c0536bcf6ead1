-- Events: numbered 1..n per run under the lock of the run's row, each hashed over the one before.

-- SHA-256 over the canonical JSON (RFC 8785) of the event without its own hash; opsroom.domain.events computes the same.
create function private.event_hash(
  p_run_id uuid, p_seq bigint, p_at timestamptz, p_type text, p_step text, p_level text, p_message text, p_data jsonb, p_prev_hash text)
returns text
language sql stable
set search_path = ''
as $$
  select encode(sha256(convert_to(
    '{"at":"' || to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || '","data":' || private.canonical_json(p_data)
    || ',"level":"' || p_level
    || '","message":' || to_json(p_message)::text
    || ',"prev_hash":"' || p_prev_hash
    || '","run_id":"' || p_run_id
    || '","seq":' || p_seq
    || ',"step":' || coalesce(to_json(p_step)::text, 'null')
    || ',"type":' || to_json(p_type)::text || '}', 'UTF8')), 'hex');
$$;

-- Appends one event. The caller holds the lock of the run's row.
create function private.append_event(
  p_run_id uuid, p_type text, p_message text, p_data jsonb default '{}', p_step text default null, p_level text default 'info')
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_seq bigint;
  v_prev text;
  v_at timestamptz := clock_timestamp();
begin
  select seq, hash into v_seq, v_prev from public.run_events where run_id = p_run_id order by seq desc limit 1;
  v_seq := coalesce(v_seq, 0) + 1;
  v_prev := coalesce(v_prev, repeat('0', 64));
  insert into public.run_events (run_id, seq, at, type, step, level, message, data, prev_hash, hash)
  values (p_run_id, v_seq, v_at, p_type, p_step, p_level, p_message, p_data, v_prev,
          private.event_hash(p_run_id, v_seq, v_at, p_type, p_step, p_level, p_message, p_data, v_prev));
  return v_seq;
end;
$$;
