-- Events as before, hash for hash, at a fraction of the price: plans are kept from call to call (a `language sql` function is planned
-- anew each time), texts that repeat in a call are made once, and what a worker tells of many runs is checked at once.
-- Locks: none of its own; the caller holds those of the runs' rows.

-- Values that the text form of jsonb writes as RFC 8785 does are taken from it.
create or replace function private.canonical_json(p_value jsonb)
returns text
language plpgsql immutable strict parallel safe
set search_path = ''
as $$
declare
  v_number numeric;
  v_text text;
begin
  case jsonb_typeof(p_value)
    when 'object' then
      if p_value = '{}' then
        return '{}';
      elsif octet_length(p_value::text) <> char_length(p_value::text) and exists (select from jsonb_object_keys(p_value) as k (key) where key ~ '[\U00010000-\U0010ffff]') then
        return (select '{' || string_agg(to_json(key)::text || ':' || private.canonical_json(value), ','
                                         order by private.utf16_hex(key) collate "C") || '}' from jsonb_each(p_value));
      end if;
      return (select '{' || string_agg(to_json(key)::text || ':' || case
                when jsonb_typeof(value) in ('string', 'boolean', 'null') then value::text
                else private.canonical_json(value) end, ',' order by key collate "C") || '}' from jsonb_each(p_value));
    when 'array' then
      return (select '[' || coalesce(string_agg(private.canonical_json(value), ',' order by n), '') || ']'
              from jsonb_array_elements(p_value) with ordinality as t (value, n));
    when 'number' then
      v_number := (p_value #>> '{}')::numeric;
      if abs(v_number) > 9007199254740991 then
        perform private.fail('ORV02', 'a number is larger than JSON carries exactly (2^53 - 1)', 'Send it as a string.');
      elsif v_number = trunc(v_number) then
        return trunc(v_number)::text;
      end if;
      -- Doubles as ECMAScript prints them: Postgres has the same shortest digits and another rule for exponents.
      v_text := v_number::double precision::text;
      return case when abs(v_number) >= 1e-6 then trim_scale(v_text::numeric)::text
                  else regexp_replace(v_text, 'e([+-])0*', 'e\1') end;
    else
      return p_value::text;
  end case;
end;
$$;

-- Appends events, in the order given for each run; those of one run stand together. The hash is SHA-256 over the canonical JSON (RFC 8785)
-- of the event without it; opsroom.domain.events computes the same. Events of one call have one time.
create or replace function private.record_events(p_events private.new_event[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
  v_head text := '{"at":"' || to_char(v_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","data":';
  v_event private.new_event;
  v_run_id uuid;
  v_seq bigint;
  v_hash text;
  v_data text;
  v_canonical text;
  v_known jsonb := '{"{}": "{}"}';
  v_kept integer := 0;
  v_seqs bigint[];
  v_prevs text[];
  v_hashes text[];
begin
  if coalesce(cardinality(p_events), 0) = 0 then
    return;
  end if;
  foreach v_event in array p_events loop
    if v_event.run_id is distinct from v_run_id then
      v_run_id := v_event.run_id;
      v_seq := null;
      select seq, hash into v_seq, v_hash from public.run_events where run_id = v_run_id order by seq desc limit 1;
      if v_seq is null then
        v_seq := 0;
        v_hash := repeat('0', 64);
      end if;
    end if;
    v_data := coalesce(v_event.data::text, '{}');
    v_canonical := v_known ->> v_data;
    if v_canonical is null then
      v_canonical := private.canonical_json(v_event.data);
      -- Few and short ones repeat; to keep all would cost more than it saves.
      if v_kept < 50 and octet_length(v_data) <= 200 then
        v_known := v_known || jsonb_build_object(v_data, v_canonical);
        v_kept := v_kept + 1;
      end if;
    end if;
    v_seq := v_seq + 1;
    v_prevs := v_prevs || v_hash;
    v_hash := encode(sha256(convert_to(v_head || v_canonical
      || ',"level":"' || coalesce(v_event.level, 'info')
      || '","message":' || to_json(coalesce(v_event.message, ''))::text
      || ',"prev_hash":"' || v_hash
      || '","run_id":"' || v_run_id
      || '","seq":' || v_seq
      || ',"step":' || coalesce(to_json(v_event.step)::text, 'null')
      || ',"type":' || to_json(v_event.type)::text || '}', 'UTF8')), 'hex');
    v_seqs := v_seqs || v_seq;
    v_hashes := v_hashes || v_hash;
  end loop;
  insert into public.run_events (run_id, seq, at, type, step, level, message, data, prev_hash, hash)
  select e.run_id, e.seq, v_at, e.type, e.step, coalesce(e.level, 'info'), coalesce(e.message, ''), coalesce(e.data, '{}'), e.prev_hash, e.hash
  from rows from (unnest(p_events), unnest(v_seqs, v_prevs, v_hashes)) as e (run_id, type, step, level, message, data, seq, prev_hash, hash);
end;
$$;

-- Appends the same events to each of some runs, in the order given: what does not depend on the run is put into words once.
create function private.record_alike(p_run_ids uuid[], p_events private.new_event[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
  v_head text := '{"at":"' || to_char(v_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","data":';
begin
  if p_run_ids = '{}' then
    return;
  end if;
  with recursive piece as materialized (
    select e.n, e.type, e.step, coalesce(e.level, 'info') as level, coalesce(e.message, '') as message, coalesce(e.data, '{}') as data,
      v_head || private.canonical_json(coalesce(e.data, '{}')) || ',"level":"' || coalesce(e.level, 'info')
        || '","message":' || to_json(coalesce(e.message, ''))::text || ',"prev_hash":"' as before,
      ',"step":' || coalesce(to_json(e.step)::text, 'null') || ',"type":' || to_json(e.type)::text || '}' as after
    from unnest(p_events) with ordinality as e (run_id, type, step, level, message, data, n)
  ), chain as (
    select t.id, 0::bigint as n, coalesce(l.seq, 0) as seq, null::text as prev_hash, coalesce(l.hash, repeat('0', 64)) as hash
    from unnest(p_run_ids) as t (id)
    left join lateral (select e.seq, e.hash from public.run_events as e where e.run_id = t.id order by e.seq desc limit 1) as l on true
    union all
    select c.id, p.n, c.seq + 1, c.hash, encode(sha256(convert_to(
      p.before || c.hash || '","run_id":"' || c.id || '","seq":' || c.seq + 1 || p.after, 'UTF8')), 'hex')
    from chain as c join piece as p on p.n = c.n + 1
  )
  insert into public.run_events (run_id, seq, at, type, step, level, message, data, prev_hash, hash)
  select c.id, c.seq, v_at, p.type, p.step, p.level, p.message, p.data, c.prev_hash, c.hash from chain as c join piece as p on p.n = c.n;
end;
$$;
revoke all on function private.record_alike(uuid[], private.new_event[]) from public, anon, authenticated, service_role;

create or replace function private.record_event(
  p_run_id uuid, p_type text, p_message text, p_data jsonb default '{}', p_step text default null, p_level text default 'info')
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.record_events(array[row(p_run_id, p_type, p_step, p_level, p_message, p_data)::private.new_event]);
end;
$$;

-- Refuses, with ORV02, events that a worker may not write. That the step of a step event exists is seen when it is moved.
create function private.refuse_bad_events(p_events private.new_event[])
returns void
language plpgsql stable
set search_path = ''
as $$
declare
  v_problem text;
begin
  select case
      when coalesce(e.type, '') not in ('step.started', 'step.finished', 'step.skipped', 'output', 'log', 'truncated', 'metric',
                                      'proof.recorded', 'rollback.started', 'rollback.finished')
        then format('a worker can not append an event of type %s', coalesce(left(e.type, 64), '(none given)'))
      when e.type = 'proof.recorded' and private.validate_json(private.proof_schema(), e.data) <> '[]'
        then format('a proof is not valid: %s', private.validate_json(private.proof_schema(), e.data) -> 0 ->> 'message')
      when e.level not in ('debug', 'info', 'warn', 'error') then format('there is no level %s', left(e.level, 64))
      when jsonb_typeof(e.data) <> 'object' then 'the data of an event is an object'
      when octet_length(e.message) > 65536 or octet_length(e.data::text) > 65536 then 'an event''s message and data have at most 65536 bytes each'
      else format('run %s has no step %s', e.run_id, left(e.step, 64))
    end into v_problem
  from unnest(p_events) as e
  where coalesce(e.type, '') not in ('step.started', 'step.finished', 'step.skipped', 'output', 'log', 'truncated', 'metric',
                                      'proof.recorded', 'rollback.started', 'rollback.finished')
     or (e.type = 'proof.recorded' and private.validate_json(private.proof_schema(), e.data) <> '[]')
     or e.level not in ('debug', 'info', 'warn', 'error')
     or jsonb_typeof(e.data) <> 'object'
     or octet_length(e.message) > 65536 or octet_length(e.data::text) > 65536
     -- Not `exists`: that may be planned as a hash over all steps there are.
     or (e.step is not null and (select count(*) from public.run_steps as s where s.run_id = e.run_id and s.step_id = e.step) = 0)
  limit 1;
  if found then
    perform private.fail('ORV02', v_problem, 'See docs/database.md for the events of a worker.');
  end if;
end;
$$;

create function private.refuse_bad_batch(p_events jsonb)
returns void
language plpgsql stable
set search_path = ''
as $$
begin
  if jsonb_typeof(p_events) is distinct from 'array' or jsonb_array_length(p_events) > 1000 then
    perform private.fail('ORV02', 'a batch is an array of at most 1000 events', 'Cut it into several batches.');
  end if;
end;
$$;

-- A worker's events as new_event rows; ORV02 for what a worker may not write.
create or replace function private.check_events(p_run_id uuid, p_events jsonb)
returns private.new_event[]
language plpgsql stable
set search_path = ''
as $$
declare
  v_events private.new_event[];
begin
  perform private.refuse_bad_batch(p_events);
  select array_agg(row(p_run_id, e.type, e.step, e.level, e.message, e.data)::private.new_event order by e.n) into v_events
  from rows from (jsonb_to_recordset(p_events) as (type text, step text, level text, message text, data jsonb)) with ordinality
    as e (type, step, level, message, data, n);
  perform private.refuse_bad_events(v_events);
  return v_events;
end;
$$;
revoke all on function private.refuse_bad_events(private.new_event[]), private.refuse_bad_batch(jsonb) from public, anon, authenticated, service_role;
