-- Checkpoints: the heads of the runs' event chains, signed, linked to each other and published outside the database at an interval by a
-- worker that has a signing key. What is kept here is only where the last one stands; the bucket `checkpoints` and the copies that people
-- keep of it show when this database was cut, rewritten or set back.
-- Locks: the one row of private.checkpoint_state, nothing of runs.

create table public.checkpoints (
  number bigint primary key check (number >= 1),
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  heads integer not null check (heads >= 0),
  ended_until timestamptz not null,
  object_path text not null,
  keyid text not null check (keyid ~ '^[0-9a-f]{64}$'),
  at timestamptz not null,
  created_at timestamptz not null default clock_timestamp()
);
comment on table public.checkpoints is 'Published checkpoints, each linked to the one before by its digest. A pointer: the proof is the object.';
comment on column public.checkpoints.ended_until is 'Every run that ended before this moment is in this checkpoint or in one before it.';

create table private.checkpoint_state (
  one_row boolean primary key default true check (one_row),
  room uuid not null default gen_random_uuid(),
  ended_at timestamptz not null default '-infinity',
  run_id uuid not null default '00000000-0000-0000-0000-000000000000',
  more boolean not null default false,
  claimed_until timestamptz not null default '-infinity'
);
insert into private.checkpoint_state default values;
comment on table private.checkpoint_state is
  'Which room the checkpoints are of, how far they have come in the order of ends, whether more waits, and till when a worker makes one.';

alter table public.checkpoints enable row level security;
alter table private.checkpoint_state enable row level security;
revoke all on public.checkpoints from public, anon, authenticated, service_role;
grant select on public.checkpoints to authenticated, service_role;
create policy checkpoints_read on public.checkpoints for select to authenticated using ((select private.is_member('viewer')));
create trigger refuse_change before update or delete on public.checkpoints for each row execute function private.refuse_change();
create trigger refuse_truncate before truncate on public.checkpoints for each statement execute function private.refuse_change();

insert into storage.buckets (id, name, public) values ('checkpoints', 'checkpoints', false) on conflict (id) do nothing;
create policy opsroom_members_read_checkpoints on storage.objects for select to authenticated
  using (bucket_id = 'checkpoints' and (select private.is_member()));

-- What is appended to a run that has ended already.
create index run_events_after_end on public.run_events (at) where type in ('late_evidence', 'replay.compared');

-- Before this moment nothing can appear any more: whoever commits later began later. Read in a statement of its own, before the rows.
create function private.settled_at()
returns timestamptz
language plpgsql volatile
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  return least(v_now, (
    select min(a.xact_start) from pg_catalog.pg_stat_activity as a
    where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend' and a.state <> 'idle'
      and (a.backend_xid is not null or a.xact_start > v_now - interval '10 seconds')));
end;
$$;

-- What the next checkpoint has to say, for this caller for two minutes; null when it is not due, when nothing is new, or when somebody
-- else makes it. Heads: of what ended since the last one (at most p_limit; the next one is due at once if there is more), of what was
-- appended to ended runs since, and of runs in a worker's hands that have news.
create function public.claim_checkpoint(p_interval_seconds double precision, p_limit integer default 5000)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_limit integer := least(greatest(coalesce(p_limit, 1), 1), 5000);
  v_state private.checkpoint_state;
  v_last public.checkpoints;
  v_until timestamptz;
  v_until_id uuid := '00000000-0000-0000-0000-000000000000';
  v_ended uuid[];
  v_more boolean;
  v_heads jsonb;
begin
  select * into v_state from private.checkpoint_state for update skip locked;
  if not found or v_state.claimed_until > v_now then
    return null;
  end if;
  select * into v_last from public.checkpoints order by number desc limit 1;
  if not v_state.more and v_last.created_at > v_now - make_interval(secs => p_interval_seconds) then
    return null;
  end if;

  v_until := greatest(private.settled_at(), v_state.ended_at);
  v_ended := array(
    select id from public.runs
    where finished_at >= v_state.ended_at and (finished_at > v_state.ended_at or id > v_state.run_id) and finished_at < v_until
    order by finished_at, id limit v_limit);
  v_more := cardinality(v_ended) = v_limit;
  if v_more then
    select finished_at, id into v_until, v_until_id from public.runs where id = v_ended[v_limit];
  end if;

  select jsonb_agg(jsonb_build_array(r.id, h.seq, h.hash) order by r.id) into v_heads
  from (
    select unnest(v_ended) as id, true as ended
    union
    select run_id, true from public.run_events
    where type in ('late_evidence', 'replay.compared') and at >= v_state.ended_at and at < v_until
    union
    select id, false from public.runs where status in ('claimed', 'running')
  ) as r
  cross join lateral (select seq, hash, at from public.run_events as e where e.run_id = r.id order by seq desc limit 1) as h
  where r.ended or h.at >= v_state.ended_at;
  if v_heads is null then
    update private.checkpoint_state set more = false where more;
    return null;
  end if;

  update private.checkpoint_state set claimed_until = v_now + interval '2 minutes', more = v_more;
  return jsonb_build_object(
    'room', v_state.room, 'number', coalesce(v_last.number, 0) + 1, 'previous', coalesce(v_last.digest, repeat('0', 64)),
    'at', private.utc_text(v_now), 'ended_until', jsonb_build_object('at', private.utc_text(v_until), 'run_id', v_until_id), 'heads', v_heads);
end;
$$;

-- Records a checkpoint that was published before: {number, previous, digest, heads, ended_until: {at, run_id}, keyid, at}; heads is how
-- many. It must follow the last one. The same one again changes nothing.
create function public.put_checkpoint(p_checkpoint jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_state private.checkpoint_state;
  v_last public.checkpoints;
  v_number bigint := (p_checkpoint ->> 'number')::bigint;
  v_path text := lpad(p_checkpoint ->> 'number', 10, '0') || '.dsse.json';
  v_until jsonb := p_checkpoint -> 'ended_until';
begin
  select * into v_state from private.checkpoint_state for update;
  if exists (select from public.checkpoints where number = v_number and digest = p_checkpoint ->> 'digest') then
    return jsonb_build_object('verdict', 'ok');
  end if;
  select * into v_last from public.checkpoints order by number desc limit 1;
  if v_number is distinct from coalesce(v_last.number, 0) + 1
     or p_checkpoint ->> 'previous' is distinct from coalesce(v_last.digest, repeat('0', 64)) then
    perform private.fail('ORC10', format('checkpoint %s does not follow the last one, %s', v_number, coalesce(v_last.number, 0)), 'Claim the next one.');
  elsif not exists (select from storage.objects where bucket_id = 'checkpoints' and name = v_path) then
    perform private.fail('ORV02', format('there is no object %s in the bucket checkpoints', v_path), 'Publish it first.');
  end if;
  insert into public.checkpoints (number, digest, heads, ended_until, object_path, keyid, at)
  values (v_number, p_checkpoint ->> 'digest', (p_checkpoint ->> 'heads')::integer, (v_until ->> 'at')::timestamptz, v_path,
          p_checkpoint ->> 'keyid', (p_checkpoint ->> 'at')::timestamptz);
  update private.checkpoint_state
  set ended_at = (v_until ->> 'at')::timestamptz, run_id = (v_until ->> 'run_id')::uuid, claimed_until = '-infinity';
  return jsonb_build_object('verdict', 'ok');
exception
  when check_violation or not_null_violation or invalid_text_representation or invalid_datetime_format then
    perform private.fail('ORV02', format('the checkpoint is not valid: %s', sqlerrm), 'See docs/database.md for its fields.');
end;
$$;

-- The facts about published heads, to be compared by who has the checkpoints: p_heads is [[run id, number of the event], ...], at most
-- 1000; answered in their order as [whether the run exists, its last event's number, the hash of the event asked about].
create function public.read_heads(p_heads jsonb)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  if jsonb_typeof(p_heads) is distinct from 'array' or jsonb_array_length(p_heads) > 1000 then
    perform private.fail('ORV02', 'at most 1000 heads are read at once, as an array', 'Cut them into several calls.');
  end if;
  return json_build_object(
    'room', (select room from private.checkpoint_state),
    'last', (select json_build_object('number', number, 'digest', digest) from public.checkpoints order by number desc limit 1),
    'heads', (select coalesce(json_agg(json_build_array(
                exists (select from public.runs where id = (h.value ->> 0)::uuid),
                (select coalesce(max(seq), 0) from public.run_events where run_id = (h.value ->> 0)::uuid),
                (select hash from public.run_events where run_id = (h.value ->> 0)::uuid and seq = (h.value ->> 1)::bigint)) order by h.n), '[]')
              from jsonb_array_elements(p_heads) with ordinality as h (value, n)));
exception
  when invalid_text_representation or numeric_value_out_of_range then
    perform private.fail('ORV02', 'a head is a run id and the number of an event', 'Give [["<run id>", 12], ...].');
end;
$$;

-- For the fleet's reports: the last checkpoint, and since when something waits for the next one. Null while none was ever made.
create function private.checkpoint_status()
returns json
language sql stable
set search_path = ''
as $$
  select json_build_object(
    'number', c.number, 'at', c.created_at,
    'waiting_since', (select r.finished_at from public.runs as r
                      where r.finished_at >= s.ended_at and (r.finished_at > s.ended_at or r.id > s.run_id)
                      order by r.finished_at, r.id limit 1))
  from private.checkpoint_state as s, (select * from public.checkpoints order by number desc limit 1) as c;
$$;

revoke all on function public.claim_checkpoint(double precision, integer), public.put_checkpoint(jsonb), public.read_heads(jsonb),
  private.settled_at(), private.checkpoint_status() from public, anon, authenticated, service_role;
grant execute on function public.claim_checkpoint(double precision, integer), public.put_checkpoint(jsonb) to service_role;
grant execute on function public.read_heads(jsonb) to authenticated;
