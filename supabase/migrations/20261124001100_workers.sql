-- Functions of workers: service_role only. Every write carries the claim token and is refused once the run has left the worker's
-- hands; every function is idempotent, because a lost commit acknowledgement is normal. Lock order: lane, run, steps, events.

-- The protocols of workers that these functions speak: a worker names its own when it registers. During a migration both the old and
-- the new one are spoken; a later migration raises the first number when no old worker is left.
create function private.worker_protocols()
returns int4range
language sql immutable
set search_path = ''
as $$
  select int4range(1, 1, '[]');
$$;

create function public.register_worker(
  p_worker_id uuid, p_name text, p_host text, p_pid integer, p_version text, p_capacity integer, p_transport text, p_protocol integer default 1)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_row public.workers;
begin
  if not private.worker_protocols() @> p_protocol then
    perform private.fail('ORC09', format('worker %s speaks protocol %s; this database speaks %s to %s', p_name, p_protocol,
      lower(private.worker_protocols()), upper(private.worker_protocols()) - 1),
      case when p_protocol < lower(private.worker_protocols()) then 'Upgrade the worker.' else 'Apply the newer migrations: supabase db push' end);
  end if;
  insert into public.workers (id, name, host, pid, version, capacity, transport)
  values (p_worker_id, p_name, p_host, p_pid, p_version, p_capacity, p_transport)
  on conflict (id) do update set last_seen_at = clock_timestamp()
  returning * into v_row;
  return to_jsonb(v_row);
end;
$$;

create function private.touch_worker(p_worker_id uuid)
returns public.workers
language plpgsql
set search_path = ''
as $$
declare
  v_row public.workers;
begin
  update public.workers set last_seen_at = clock_timestamp() where id = p_worker_id returning * into v_row;
  if not found then
    perform private.fail('ORN04', format('there is no worker %s', coalesce(p_worker_id::text, '(none given)')), 'Call register_worker first.');
  end if;
  return v_row;
end;
$$;

create function public.drain_worker(p_worker_id uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_row public.workers := private.touch_worker(p_worker_id);
begin
  update public.workers set draining_at = coalesce(draining_at, clock_timestamp()) where id = p_worker_id returning * into v_row;
  return to_jsonb(v_row);
end;
$$;

create function public.stop_worker(p_worker_id uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_row public.workers := private.touch_worker(p_worker_id);
begin
  update public.workers set stopped_at = coalesce(stopped_at, clock_timestamp()) where id = p_worker_id returning * into v_row;
  return to_jsonb(v_row);
end;
$$;

-- Tells which server process serves the worker's own, long-lived connection, so that its death is seen at once and not after a lease.
-- To be called on that connection, and only when it is a direct one: behind a transaction pooler the process is not the worker's.
create function public.attach_worker(p_worker_id uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_row public.workers;
begin
  update public.workers
  set last_seen_at = clock_timestamp(), missing_since = null, backend_pid = pg_backend_pid(),
      backend_start = (select a.backend_start from pg_catalog.pg_stat_activity as a where a.pid = pg_backend_pid())
  where id = p_worker_id returning * into v_row;
  if not found then
    perform private.fail('ORN04', format('there is no worker %s', coalesce(p_worker_id::text, '(none given)')), 'Call register_worker first.');
  end if;
  return to_jsonb(v_row);
end;
$$;
