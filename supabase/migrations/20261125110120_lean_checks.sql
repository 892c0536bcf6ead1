-- What a row of runs has to be, at a fraction of the price: Postgres reads every CHECK of a table anew for each statement that writes to it.
-- So the status and its columns are tied by two CHECKs instead of seven, and what is set once is checked by triggers where it is set.
-- What is refused stays the same, with the same SQLSTATE. Takes the exclusive lock of runs while it reads them once.
-- See docs/decisions/0010-what-a-run-costs.md.

alter table public.runs
  drop constraint runs_status_check,
  drop constraint runs_claim_is_whole,
  drop constraint runs_claimed_from_claimed_on,
  drop constraint runs_started_from_running_on,
  drop constraint runs_finished_when_terminal,
  drop constraint runs_reason_when_not_succeeded,
  drop constraint runs_reason_check,
  drop constraint runs_title_check,
  drop constraint runs_params_check,
  drop constraint runs_message_check,
  drop constraint runs_priority_check,
  drop constraint runs_concurrency_key_check,
  drop constraint runs_rate_runs_check,
  drop constraint runs_rate_per_seconds_check,
  drop constraint runs_lease_seconds_check,
  drop constraint runs_timeout_seconds_check,
  drop constraint runs_cancel_reason_check,
  drop constraint runs_attempt_check,
  drop constraint runs_idempotency_key_check,
  drop constraint runs_retry_has_root,
  -- The last of its times that is there decides which status a run has; a reason says that it ended otherwise than in success.
  add constraint runs_status_follows_its_times check (case
    when finished_at is not null and reason is null then status = 'succeeded' and started_at is not null
    when finished_at is not null then status in ('failed', 'cancelled', 'timed_out')
    when reason is not null then false
    when started_at is not null then status = 'running'
    when claimed_at is not null then status = 'claimed'
    else status = 'queued' end),
  -- All of a claim's columns together or none of them, and a start only with them.
  add constraint runs_claim_is_whole check (
    num_nonnulls(claimed_by, claimed_at, claim_token, heartbeat_at, lease_expires_at) = case when claimed_at is null then 0 else 5 end
    and (started_at is null or claimed_at is not null));

create function private.check_terms()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_bad text := case
    when coalesce(char_length(new.title), 0) not between 1 and 120 then 'title'
    when jsonb_typeof(new.params) is distinct from 'object' then 'params'
    when new.priority not between -100 and 100 then 'priority'
    when new.lease_seconds not between 5 and 3600 then 'lease_seconds'
    when new.timeout_seconds < 1 then 'timeout_seconds'
    when new.attempt < 1 then 'attempt'
    when (new.retry_of is null) <> (new.root_run_id = new.id) then 'root_run_id'
    when char_length(new.concurrency_key) > 300 then 'concurrency_key'
    when new.rate_runs < 1 then 'rate_runs'
    when new.rate_per_seconds < 1 then 'rate_per_seconds'
    when char_length(new.idempotency_key) not between 1 and 200 then 'idempotency_key'
    when char_length(new.cancel_reason) > 1000 then 'cancel_reason'
    when char_length(new.message) > 4000 then 'message'
    when new.reason not in ('step_failed', 'lost', 'cancelled_by_person', 'step_timeout', 'run_timeout', 'queue_timeout', 'worker_error',
                            'invalid_template', 'proof_failed', 'denied', 'gate_timeout') then 'reason'
    end;
begin
  if v_bad is not null then
    raise exception 'run %: its % is not one that a run can have', new.id, v_bad using errcode = 'check_violation', table = 'runs', column = v_bad;
  end if;
  return new;
end;
$$;
revoke all on function private.check_terms() from public, anon, authenticated, service_role;

create trigger check_new before insert on public.runs for each row execute function private.check_terms();
create trigger check_terms before update of title, params, priority, lease_seconds, timeout_seconds, attempt, retry_of, root_run_id,
    concurrency_key, rate_runs, rate_per_seconds, idempotency_key, cancel_reason on public.runs for each row
  execute function private.check_terms();
create trigger check_end before update on public.runs for each row
  when (new.reason is not null or new.message is not null) execute function private.check_terms();
