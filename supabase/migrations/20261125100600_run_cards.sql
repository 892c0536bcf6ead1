-- Runs as cards: each run's row without the claim's internals, plus what is derived from its steps, events and worker, and whether the
-- caller has looked at its result. Read by everything that shows a run. All cards of a board are made by one call: a call for each costs more
-- than twice as much.

alter table public.runs add column replay_of uuid references public.runs (id);
comment on column public.runs.replay_of is 'The run that this one repeats, to be compared with it (a later file). One that was lost before it started has a successor.';

create function private.run_cards(p_runs public.runs[])
returns table (run_id uuid, card json)
language plpgsql stable -- keeps its plan; a function in SQL would make it anew for each call
set search_path = '' set plan_cache_mode = 'force_generic_plan'
as $$
begin
  return query select shown.id, to_json(shown) from (
    select r.id, r.session_id, r.lane, r.title, r.status, r.reason, r.message, r.exit_code,
      r.template_slug, r.template_version, r.template_digest, r.params, r.priority, r.not_before,
      r.queued_at, r.start_deadline_at, r.claimed_by, r.claimed_at, r.heartbeat_at, r.lease_expires_at,
      r.started_at, r.finished_at, r.lease_seconds, r.timeout_seconds, r.cancel_requested_at,
      r.cancel_requested_by, r.cancel_reason, r.attempt, r.retry_of, r.root_run_id, r.rerun_of, r.created_by,
      r.replay_of,
      case when r.replay_of is not null then
        (select e.data ->> 'verdict' from public.run_events as e where e.run_id = r.id and e.type = 'replay.compared' order by e.seq desc limit 1)
      end as replay_verdict,
      later.id as retried_by,
      r.status in ('failed', 'timed_out') and r.attempt > 1 and later.id is null as dead_letter,
      r.place_at, r.concurrency_key, r.awaiting_approval,
      (select g.step_id from public.gates as g where g.run_id = r.id and g.status = 'waiting' order by g.opened_at limit 1) as waiting_gate,
      exists (select from public.seen_runs as v where v.member_id = viewer.id and v.run_id = r.id) as seen,
      (select coalesce(nullif(m.display_name, ''), m.email) from public.members as m where m.user_id = r.created_by) as created_by_name,
      (select w.name from public.workers as w where w.id = r.claimed_by) as worker_name,
      steps.total as steps_total, steps.done as steps_done, steps.running[1] as current_step, steps.running[2] as current_step_title,
      (select right(regexp_replace(rtrim(e.message, E' \t\r\n'), '^.*[\r\n]', ''), 400) from public.run_events as e
       where e.run_id = r.id and e.type in ('output', 'log') and btrim(e.message, E' \t\r\n') <> ''
       order by e.seq desc limit 1) as last_line
    from (select auth.uid() as id offset 0) as viewer
    cross join unnest(p_runs) as r
    left join lateral (select s.id from public.runs as s where s.retry_of = r.id) as later on true
    cross join lateral (
      select count(*) as total, count(*) filter (where s.finished_at is not null) as done,
             min(array[s.step_id, s.title]) filter (where s.status = 'running') as running
      from public.run_steps as s where s.run_id = r.id) as steps
  ) as shown;
end;
$$;

-- One run as a card.
create or replace function private.run_json(p_run public.runs)
returns json
language plpgsql stable
set search_path = '' set plan_cache_mode = 'force_generic_plan'
as $$
begin
  return (select c.card from private.run_cards(array[p_run]) as c);
end;
$$;

revoke all on function private.run_cards(public.runs[]), private.run_json(public.runs) from public, anon, authenticated, service_role;
