-- Events: numbered 1..n per run under the lock of the run's row, each hashed over the one before.

create type private.new_event as (run_id uuid, type text, step text, level text, message text, data jsonb);

-- Appends events, in the order given for each run, in one statement for all runs. The caller holds the locks of the runs' rows.
-- The hash is SHA-256 over the canonical JSON (RFC 8785) of the event without it; opsroom.domain.events computes the same.
create function private.record_events(p_events private.new_event[])
returns void
language sql
set search_path = ''
as $$
  with recursive told as materialized (
    select e.run_id, e.type, e.step, coalesce(e.level, 'info') as level, coalesce(e.message, '') as message, coalesce(e.data, '{}') as data,
           row_number() over (partition by e.run_id order by e.n) as k
    from unnest(p_events) with ordinality as e (run_id, type, step, level, message, data, n)
  ), chain as (
    select h.run_id, 0::bigint as k, coalesce(l.seq, 0) as seq, null::timestamptz as at, null::text as type, null::text as step,
           null::text as level, null::text as message, null::jsonb as data, null::text as prev_hash, coalesce(l.hash, repeat('0', 64)) as hash
    from (select distinct t.run_id from told as t) as h
    left join lateral (select x.seq, x.hash from public.run_events as x where x.run_id = h.run_id order by x.seq desc limit 1) as l on true
    union all
    select n.run_id, n.k, n.seq, n.at, n.type, n.step, n.level, n.message, n.data, n.prev_hash, encode(sha256(convert_to(
      '{"at":"' || to_char(n.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
      || '","data":' || case when n.data = '{}' then '{}' else private.canonical_json(n.data) end
      || ',"level":"' || n.level
      || '","message":' || to_json(n.message)::text
      || ',"prev_hash":"' || n.prev_hash
      || '","run_id":"' || n.run_id
      || '","seq":' || n.seq
      || ',"step":' || coalesce(to_json(n.step)::text, 'null')
      || ',"type":' || to_json(n.type)::text || '}', 'UTF8')), 'hex')
    from (select t.run_id, t.k, c.seq + 1 as seq, clock_timestamp() as at, t.type, t.step, t.level, t.message, t.data, c.hash as prev_hash
          from chain as c join told as t on t.run_id = c.run_id and t.k = c.k + 1) as n
  )
  insert into public.run_events (run_id, seq, at, type, step, level, message, data, prev_hash, hash)
  select run_id, seq, at, type, step, level, message, data, prev_hash, hash from chain where k > 0;
$$;

create function private.record_event(
  p_run_id uuid, p_type text, p_message text, p_data jsonb default '{}', p_step text default null, p_level text default 'info')
returns void
language sql
set search_path = ''
as $$
  select private.record_events(array[row(p_run_id, p_type, p_step, p_level, p_message, p_data)::private.new_event]);
$$;
