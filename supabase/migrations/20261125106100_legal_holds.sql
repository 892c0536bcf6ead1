-- Legal holds: what is on hold is never collected, whatever its age. A hold is placed and released by people, with a reason, and stays on
-- record. Lock: opsroom.collect, an advisory one that the collection holds too, so that a hold never passes a collection unseen.

create table public.legal_holds (
  id uuid primary key default gen_random_uuid(),
  run_id uuid references public.runs (id),
  session_id uuid references public.sessions (id),
  reason text not null check (char_length(reason) between 1 and 1000),
  placed_by uuid not null references public.members (user_id),
  placed_at timestamptz not null default clock_timestamp(),
  released_by uuid references public.members (user_id),
  released_at timestamptz,
  release_reason text check (char_length(release_reason) between 1 and 1000),
  constraint legal_holds_of_one check (num_nonnulls(run_id, session_id) = 1),
  constraint legal_holds_released check (num_nonnulls(released_by, released_at, release_reason) in (0, 3))
);
comment on table public.legal_holds is 'On a run, or on a session and so on all its runs, those to come included. Several may be on one thing: each is released by itself.';
create index legal_holds_on_runs on public.legal_holds (run_id) where released_at is null;
create index legal_holds_on_sessions on public.legal_holds (session_id) where released_at is null;

create function private.check_release()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if old.released_at is not null or new.released_at is null
     or (old.id, old.run_id, old.session_id, old.reason, old.placed_by, old.placed_at)
        is distinct from (new.id, new.run_id, new.session_id, new.reason, new.placed_by, new.placed_at) then
    perform private.fail('ORC08', 'a hold is released once, and nothing else of it changes', 'Place another one instead.');
  end if;
  return new;
end;
$$;

alter table public.legal_holds enable row level security;
revoke all on public.legal_holds from public, anon, authenticated, service_role;
grant select on public.legal_holds to authenticated, service_role;
create policy legal_holds_read on public.legal_holds for select to authenticated using ((select private.is_member('viewer')));
create trigger check_release before update on public.legal_holds for each row execute function private.check_release();
create trigger refuse_delete before delete on public.legal_holds for each row execute function private.refuse_change();
create trigger refuse_truncate before truncate on public.legal_holds for each statement execute function private.refuse_change();

create function private.is_held(p_run_id uuid)
returns boolean
language plpgsql stable
set search_path = ''
as $$
begin
  return exists (select from public.legal_holds where released_at is null and run_id = p_run_id)
      or exists (select from public.legal_holds as h join public.runs as r on r.session_id = h.session_id where h.released_at is null and r.id = p_run_id);
end;
$$;

create function private.hold_json(p_hold public.legal_holds)
returns jsonb
language sql stable
set search_path = ''
as $$
  select to_jsonb(p_hold) || jsonb_build_object(
    'title', coalesce((select title from public.runs where id = p_hold.run_id), (select title from public.sessions where id = p_hold.session_id)),
    'placed_by_name', private.name_of(p_hold.placed_by), 'released_by_name', private.name_of(p_hold.released_by));
$$;

-- The holds that a run is under, its session's included.
create function private.holds_json(p_run public.runs)
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(private.hold_json(h) order by h.placed_at), '[]') from public.legal_holds as h
  where h.released_at is null and (h.run_id = p_run.id or h.session_id = p_run.session_id);
$$;

-- Puts a run or a session on hold (operator). The same person's same hold again is the one that exists.
create function public.place_hold(p_run_id uuid default null, p_session_id uuid default null, p_reason text default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_reason text := private.check_text('reason', p_reason, 1, 1000);
  v_hold public.legal_holds;
begin
  if num_nonnulls(p_run_id, p_session_id) <> 1 then
    perform private.fail('ORV02', 'a hold is on a run or on a session', 'Name one of the two.');
  elsif p_run_id is not null then
    perform private.find_run(p_run_id);
  elsif not exists (select from public.sessions where id = p_session_id) then
    perform private.fail('ORN01', format('there is no session %s', p_session_id), 'List them with: opsroom sessions');
  end if;
  perform pg_advisory_xact_lock(hashtextextended('opsroom.collect', 0));
  select * into v_hold from public.legal_holds
  where released_at is null and run_id is not distinct from p_run_id and session_id is not distinct from p_session_id
    and placed_by = v_member.user_id and reason = v_reason;
  if not found then
    insert into public.legal_holds (run_id, session_id, reason, placed_by)
    values (p_run_id, p_session_id, v_reason, v_member.user_id) returning * into v_hold;
    perform private.audit('hold.placed', case when p_run_id is null then 'session' else 'run' end, coalesce(p_run_id, p_session_id)::text,
      jsonb_build_object('hold', v_hold.id, 'reason', v_reason));
    if p_run_id is not null then
      perform private.ring('run:' || p_run_id, jsonb_build_object('what', 'run'));
    end if;
  end if;
  return private.hold_json(v_hold);
end;
$$;

-- Releases a hold (admin). What is past its time goes with the next collection.
create function public.release_hold(p_hold_id uuid, p_reason text)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('admin');
  v_reason text := private.check_text('reason', p_reason, 1, 1000);
  v_hold public.legal_holds;
begin
  select * into v_hold from public.legal_holds where id = p_hold_id for update;
  if not found then
    perform private.fail('ORN07', format('there is no hold %s', coalesce(p_hold_id::text, '(none given)')), 'List them with: opsroom holds');
  elsif v_hold.released_at is null then
    update public.legal_holds set released_by = v_member.user_id, released_at = clock_timestamp(), release_reason = v_reason
    where id = p_hold_id returning * into v_hold;
    perform private.audit('hold.released', case when v_hold.run_id is null then 'session' else 'run' end,
      coalesce(v_hold.run_id, v_hold.session_id)::text, jsonb_build_object('hold', v_hold.id, 'reason', v_reason));
    if v_hold.run_id is not null then
      perform private.ring('run:' || v_hold.run_id, jsonb_build_object('what', 'run'));
    end if;
  end if;
  return private.hold_json(v_hold);
end;
$$;

-- The holds that stand, the latest first; with p_released, the latest thousand of all.
create function public.list_holds(p_released boolean default false)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  return coalesce((select json_agg(private.hold_json(h) order by h.placed_at desc) from (
    select * from public.legal_holds where released_at is null or p_released order by placed_at desc limit 1000) as h), '[]');
end;
$$;

revoke all on function private.check_release(), private.is_held(uuid), private.hold_json(public.legal_holds), private.holds_json(public.runs),
  public.place_hold(uuid, uuid, text), public.release_hold(uuid, text), public.list_holds(boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.place_hold(uuid, uuid, text), public.release_hold(uuid, text), public.list_holds(boolean) to authenticated;
