-- Taking a worker out of service and back; an index for finding the runs that all their retries did not save.

create index runs_given_up on public.runs (finished_at desc, id) where status in ('failed', 'timed_out') and attempt > 1;

-- Gives a worker no more runs, or gives it runs again; those it has go on. Locks its row only. A worker that drains because it was told
-- to stop claims nothing whatever is said here. last_seen_at stays: the admin's word is not the worker's sign of life.
create function public.set_worker_draining(p_worker_id uuid, p_draining boolean default true)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('admin');
  v_draining boolean := coalesce(p_draining, true);
  v_worker public.workers;
begin
  select * into v_worker from public.workers where id = p_worker_id for no key update;
  if not found then
    perform private.fail('ORN04', format('there is no worker %s', coalesce(p_worker_id::text, '(none given)')), 'List them with: opsroom fleet');
  end if;
  if (v_worker.draining_at is not null) <> v_draining and v_worker.stopped_at is null then
    update public.workers set draining_at = case when v_draining then clock_timestamp() end where id = p_worker_id returning * into v_worker;
    perform private.audit(case when v_draining then 'worker.drained' else 'worker.resumed' end, 'worker', p_worker_id::text,
      jsonb_build_object('name', v_worker.name));
    if not v_draining then
      perform pg_notify('opsroom_runs', 'queued');
    end if;
  end if;
  return to_json(v_worker);
end;
$$;

revoke all on function public.set_worker_draining(uuid, boolean) from public, anon, authenticated, service_role;
grant execute on function public.set_worker_draining(uuid, boolean) to authenticated;
