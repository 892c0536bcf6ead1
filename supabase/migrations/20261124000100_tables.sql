-- Tables of the control room. State is text + CHECK, tied to its timestamps; only the functions of later files change it.

create schema if not exists private;
comment on schema private is 'Helpers that nobody may call from outside; PostgREST does not expose it.';
revoke all on schema private from public;

create table public.members (
  user_id uuid primary key references auth.users (id),
  email text not null,
  display_name text not null default '',
  role text not null check (role in ('viewer', 'operator', 'approver', 'admin')),
  created_at timestamptz not null default clock_timestamp(),
  disabled_at timestamptz
);
comment on table public.members is 'Who may use this room, and as what. Each role holds all that the ones before it do.';

create table public.sessions (
  id uuid primary key default gen_random_uuid(),
  title text not null check (char_length(title) between 1 and 120),
  intent text not null default '' check (char_length(intent) <= 4000),
  created_by uuid not null references public.members (user_id),
  created_at timestamptz not null default clock_timestamp(),
  archived_at timestamptz,
  paused_at timestamptz,
  idempotency_key text check (char_length(idempotency_key) between 1 and 200),
  unique (created_by, idempotency_key)
);
comment on table public.sessions is 'An operator''s working context; groups runs. Never a login or a database connection.';

create table public.lanes (
  session_id uuid not null references public.sessions (id),
  lane text not null check (lane in ('A', 'B', 'C', 'D')),
  capacity integer not null default 1 check (capacity between 1 and 100),
  paused_at timestamptz,
  primary key (session_id, lane)
);
comment on table public.lanes is 'Slots of a lane. How many are taken is counted from the runs, never kept.';

create table public.run_templates (
  slug text primary key check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and char_length(slug) <= 64),
  enabled boolean not null default true,
  created_at timestamptz not null default clock_timestamp()
);

create table public.template_versions (
  id uuid primary key default gen_random_uuid(),
  slug text not null references public.run_templates (slug),
  version integer not null check (version >= 1),
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  spec json not null,
  created_by uuid references public.members (user_id),
  created_at timestamptz not null default clock_timestamp(),
  unique (slug, version)
);
comment on table public.template_versions is
  'Immutable. spec is json, not jsonb, so that the order of its params, which a form shows, is kept. created_by is null for a seeded one.';

create table public.workers (
  id uuid primary key,
  name text not null check (char_length(name) between 1 and 200),
  host text not null check (char_length(host) <= 255),
  pid integer not null,
  version text not null check (char_length(version) <= 64),
  capacity integer not null check (capacity between 1 and 1000),
  transport text not null check (transport in ('postgres', 'https')),
  started_at timestamptz not null default clock_timestamp(),
  last_seen_at timestamptz not null default clock_timestamp(),
  draining_at timestamptz,
  stopped_at timestamptz,
  backend_pid integer,
  backend_start timestamptz,
  missing_since timestamptz
);
comment on column public.workers.backend_pid is
  'The server process of the worker''s own connection, so that its death shows at once; null where a pooler stands between: then the lease tells.';

create table public.runs (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references public.sessions (id),
  lane text not null,
  template_version_id uuid not null references public.template_versions (id),
  template_slug text not null,
  template_version integer not null,
  template_digest text not null,
  title text not null check (char_length(title) between 1 and 120),
  params jsonb not null check (jsonb_typeof(params) = 'object'),
  status text not null default 'queued'
    check (status in ('queued', 'claimed', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out')),
  reason text check (reason in ('step_failed', 'lost', 'cancelled_by_person', 'step_timeout', 'run_timeout',
                                'queue_timeout', 'worker_error', 'invalid_template')),
  message text check (char_length(message) <= 4000),
  exit_code integer,
  priority integer not null default 0 check (priority between -100 and 100),
  not_before timestamptz,
  queued_at timestamptz not null default clock_timestamp(),
  place_at timestamptz not null default clock_timestamp(),
  concurrency_key text check (char_length(concurrency_key) <= 300),
  rate_runs integer check (rate_runs >= 1),
  rate_per_seconds integer check (rate_per_seconds >= 1),
  start_deadline_at timestamptz,
  lease_seconds integer not null check (lease_seconds between 5 and 3600),
  timeout_seconds integer not null check (timeout_seconds >= 1),
  claimed_by uuid references public.workers (id),
  claimed_at timestamptz,
  claim_token uuid,
  claim_request uuid,
  heartbeat_at timestamptz,
  lease_expires_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  last_batch bigint not null default 0,
  cancel_requested_at timestamptz,
  cancel_requested_by uuid references public.members (user_id),
  cancel_reason text check (char_length(cancel_reason) <= 1000),
  attempt integer not null default 1 check (attempt >= 1),
  retry_of uuid unique references public.runs (id),
  root_run_id uuid not null references public.runs (id),
  rerun_of uuid references public.runs (id),
  idempotency_key text check (char_length(idempotency_key) between 1 and 200),
  created_by uuid not null references public.members (user_id),
  foreign key (session_id, lane) references public.lanes (session_id, lane),
  unique (created_by, idempotency_key),
  -- All of a claim's columns together or none of them.
  constraint runs_claim_is_whole check (
    num_nonnulls(claimed_by, claimed_at, claim_token, heartbeat_at, lease_expires_at) in (0, 5)),
  constraint runs_claimed_from_claimed_on check (
    case status when 'queued' then claimed_at is null
                when 'claimed' then claimed_at is not null
                when 'running' then claimed_at is not null
                when 'succeeded' then claimed_at is not null
                else true end),
  constraint runs_started_from_running_on check (
    case status when 'queued' then started_at is null
                when 'claimed' then started_at is null
                when 'running' then started_at is not null
                when 'succeeded' then started_at is not null
                else started_at is null or claimed_at is not null end),
  constraint runs_finished_when_terminal check (
    (status in ('succeeded', 'failed', 'cancelled', 'timed_out')) = (finished_at is not null)),
  constraint runs_reason_when_not_succeeded check (
    (status in ('failed', 'cancelled', 'timed_out')) = (reason is not null)),
  constraint runs_retry_has_root check ((retry_of is null) = (root_run_id = id))
);
comment on column public.runs.claim_token is 'The fence of a claim, not a credential: worker functions need service_role as well.';
comment on column public.runs.last_batch is 'Number of the worker''s last accepted event batch, so that a replayed one is known.';

comment on column public.runs.place_at is 'Its place in the lane: when the first attempt was queued, so that a retry goes before newer work.';
comment on column public.runs.concurrency_key is 'At most one run with the same key is claimed or running at any moment.';

create index runs_queue on public.runs (session_id, lane, priority desc, place_at, id) where status = 'queued';
create unique index runs_one_per_concurrency_key on public.runs (concurrency_key) where status in ('claimed', 'running');
create index runs_by_rate on public.runs (template_slug, claimed_at) where claimed_at is not null;
create index runs_held on public.runs (claimed_by) where status in ('claimed', 'running');
create index runs_taken on public.runs (session_id, lane) where status in ('claimed', 'running');
create index runs_start_deadline on public.runs (start_deadline_at) where status = 'queued' and start_deadline_at is not null;
create index runs_finished on public.runs (session_id, lane, finished_at desc)
  where status in ('succeeded', 'failed', 'cancelled', 'timed_out');
create index runs_by_claim_request on public.runs (claim_request) where claim_request is not null;
create index runs_by_root on public.runs (root_run_id, attempt);
create index runs_by_age on public.runs (queued_at desc, id);

create table public.run_steps (
  run_id uuid not null references public.runs (id),
  step_id text not null,
  position integer not null,
  kind text not null,
  title text not null,
  needs text[] not null default '{}',
  required boolean not null default true,
  status text not null default 'pending'
    check (status in ('pending', 'running', 'succeeded', 'failed', 'skipped', 'cancelled', 'timed_out')),
  started_at timestamptz,
  finished_at timestamptz,
  exit_code integer,
  message text,
  carried_from uuid references public.runs (id),
  primary key (run_id, step_id),
  constraint run_steps_started check (status not in ('running', 'succeeded') or started_at is not null),
  constraint run_steps_finished check ((status in ('pending', 'running')) = (finished_at is null))
);
comment on column public.run_steps.carried_from is 'The earlier attempt in which this step succeeded; a resumed run does not run it again.';
comment on table public.run_steps is 'A projection of the run''s step events, made by the functions that append them.';

create table public.run_events (
  run_id uuid not null references public.runs (id),
  seq bigint not null check (seq >= 1),
  at timestamptz not null,
  type text not null,
  step text,
  level text not null check (level in ('debug', 'info', 'warn', 'error')),
  message text not null check (octet_length(message) <= 65536),
  data jsonb not null check (jsonb_typeof(data) = 'object'),
  prev_hash text not null,
  hash text not null,
  primary key (run_id, seq)
);

create table public.artifacts (
  id uuid primary key default gen_random_uuid(),
  run_id uuid not null references public.runs (id),
  step text,
  name text not null check (char_length(name) between 1 and 255),
  kind text not null check (kind in ('file', 'markdown', 'json', 'link', 'diff', 'image', 'html', 'archive')),
  media_type text not null check (char_length(media_type) between 3 and 200),
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
  size_bytes bigint check (size_bytes >= 0),
  object_path text,
  url text check (char_length(url) <= 2048),
  carried_from uuid references public.runs (id),
  created_at timestamptz not null default clock_timestamp(),
  unique (run_id, name),
  constraint artifacts_link_or_object check (
    case when kind = 'link' then url is not null and num_nonnulls(sha256, size_bytes, object_path) = 0
         else url is null and num_nonnulls(sha256, size_bytes, object_path) = 3 end)
);

create table public.audit_log (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor uuid,
  actor_role text not null,
  action text not null,
  target_type text not null,
  target_id text not null,
  details jsonb not null default '{}'
);
