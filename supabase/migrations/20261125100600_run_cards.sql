-- A run as a card: its row without the claim's internals, plus what is derived from its steps, events and worker, and whether the caller
-- has looked at its result. Read by everything that shows a run.

alter table public.runs add column replay_of uuid references public.runs (id);
comment on column public.runs.replay_of is 'The run that this one repeats, to be compared with it (a later file). One that was lost before it started has a successor.';

create or replace function private.run_json(p_run public.runs)
returns json
language sql stable
set search_path = ''
as $$
  select to_json(card) from (
    select p_run.id, p_run.session_id, p_run.lane, p_run.title, p_run.status, p_run.reason, p_run.message, p_run.exit_code,
      p_run.template_slug, p_run.template_version, p_run.template_digest, p_run.params, p_run.priority, p_run.not_before,
      p_run.queued_at, p_run.start_deadline_at, p_run.claimed_by, p_run.claimed_at, p_run.heartbeat_at, p_run.lease_expires_at,
      p_run.started_at, p_run.finished_at, p_run.lease_seconds, p_run.timeout_seconds, p_run.cancel_requested_at,
      p_run.cancel_requested_by, p_run.cancel_reason, p_run.attempt, p_run.retry_of, p_run.root_run_id, p_run.rerun_of, p_run.created_by,
      p_run.replay_of,
      case when p_run.replay_of is not null then
        (select e.data ->> 'verdict' from public.run_events as e where e.run_id = p_run.id and e.type = 'replay.compared' order by e.seq desc limit 1)
      end as replay_verdict,
      (select s.id from public.runs as s where s.retry_of = p_run.id) as retried_by,
      p_run.status in ('failed', 'timed_out') and p_run.attempt > 1
        and not exists (select from public.runs as s where s.retry_of = p_run.id) as dead_letter,
      p_run.place_at, p_run.concurrency_key, p_run.awaiting_approval,
      (select g.step_id from public.gates as g where g.run_id = p_run.id and g.status = 'waiting' order by g.opened_at limit 1) as waiting_gate,
      exists (select from public.seen_runs as v where v.member_id = auth.uid() and v.run_id = p_run.id) as seen,
      (select coalesce(nullif(m.display_name, ''), m.email) from public.members as m where m.user_id = p_run.created_by) as created_by_name,
      (select w.name from public.workers as w where w.id = p_run.claimed_by) as worker_name,
      steps.total as steps_total, steps.done as steps_done, current.step_id as current_step, current.title as current_step_title,
      (select right(regexp_replace(rtrim(e.message, E' \t\r\n'), '^.*[\r\n]', ''), 400) from public.run_events as e
       where e.run_id = p_run.id and e.type in ('output', 'log') and btrim(e.message, E' \t\r\n') <> ''
       order by e.seq desc limit 1) as last_line
    from (select count(*) as total, count(*) filter (where s.finished_at is not null) as done
          from public.run_steps as s where s.run_id = p_run.id) as steps
    left join lateral (select s.step_id, s.title from public.run_steps as s where s.run_id = p_run.id and s.status = 'running'
                       order by s.position limit 1) as current on true
  ) as card;
$$;

revoke all on function private.run_json(public.runs) from public, anon, authenticated, service_role;
