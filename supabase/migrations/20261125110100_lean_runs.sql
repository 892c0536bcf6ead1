-- What a change of a run costs: fewer index entries for each version of its row, and triggers that ask only where a change could be
-- wrong. What may be changed stays the same. Takes the exclusive lock of runs, run_steps and run_events for a moment.
-- See docs/decisions/0010-what-a-run-costs.md.

-- Each new version of a row enters every index whose condition it meets: so most runs are kept out of those that are for few.
alter table public.runs drop constraint runs_retry_of_key;
create unique index runs_by_retry_of on public.runs (retry_of) where retry_of is not null;
alter table public.runs drop constraint runs_created_by_idempotency_key_key;
create unique index runs_by_idempotency_key on public.runs (created_by, idempotency_key) where idempotency_key is not null;
-- Of the later attempts: the first one of a chain has its root's id.
drop index public.runs_by_root;
create index runs_by_root on public.runs (root_run_id, attempt) where retry_of is not null;
drop index public.runs_one_per_concurrency_key;
create unique index runs_one_per_concurrency_key on public.runs (concurrency_key)
  where status in ('claimed', 'running') and concurrency_key is not null;
-- Those in a worker's hands are few: one index for whose they are and which lane they take.
drop index public.runs_held;
drop index public.runs_taken;
create index runs_taken on public.runs (session_id, lane, claimed_by) where status in ('claimed', 'running');
drop index public.runs_by_rate;
create index runs_by_rate on public.runs (template_slug, claimed_at) where claimed_at is not null and rate_runs is not null;

-- Of a template's claims, those of runs that have a rate.
create or replace function private.claimed_lately(p_slug text, p_seconds integer)
returns bigint
language plpgsql volatile
set search_path = ''
as $$
begin
  return (select count(*) from public.runs
          where template_slug = p_slug and rate_runs is not null and claimed_at > clock_timestamp() - make_interval(secs => p_seconds));
end;
$$;

-- Claims that took something, so that one whose answer was lost is known when it comes again. The sweep forgets them after an hour.
create table private.claim_requests (
  request_id uuid primary key,
  at timestamptz not null default clock_timestamp()
);
create index claim_requests_by_age on private.claim_requests (at);
alter table private.claim_requests enable row level security;
insert into private.claim_requests
select claim_request, max(claimed_at) from public.runs
where claim_request is not null and claimed_at > clock_timestamp() - interval '1 hour' group by claim_request;
drop index public.runs_by_claim_request;

-- A claim passes the entries that runs have left in the queue's index until they are vacuumed away: so sooner than after a fifth of all runs.
alter table public.runs set (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02);

-- A step changes once or twice in its life: room in its page, and no index has to know.
alter table public.run_steps set (fillfactor = 60);

-- The everyday edges pass without a look at private.run_edges, which has them; every other change of status is looked up there, and any
-- change of a terminal row.
drop trigger check_change on public.runs;
create trigger check_change before update on public.runs for each row
  when (old.status in ('succeeded', 'failed', 'cancelled', 'timed_out')
        or (old.status <> new.status
            and not (old.status = 'queued' and new.status = 'claimed')
            and not (old.status = 'claimed' and new.status = 'running')
            and not (old.status = 'running' and new.status = 'succeeded')))
  execute function private.check_run_change();
-- What a run was created with: only an update that names one of these columns can change it.
create trigger check_origin before update of id, session_id, template_version_id, template_slug, template_version, template_digest, params,
    attempt, root_run_id, queued_at, concurrency_key, created_by, lease_seconds, timeout_seconds on public.runs for each row
  execute function private.check_run_change();
create trigger check_claim before update of claim_token, claimed_by, claimed_at on public.runs for each row
  when (old.claim_token is not null)
  execute function private.check_run_change();

-- Runs are never deleted and keep their id, so only the first event of a chain has to be asked whether its run exists: each later one is
-- hashed over the one before.
create function private.check_first_event()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if not exists (select from public.runs where id = new.run_id) then
    perform private.fail('ORN02', format('there is no run %s', new.run_id), 'List them with: opsroom runs');
  end if;
  return null;
end;
$$;
revoke all on function private.check_first_event() from public, anon, authenticated, service_role;
alter table public.run_events drop constraint run_events_run_id_fkey;
create trigger check_first after insert on public.run_events for each row when (new.seq = 1) execute function private.check_first_event();
