-- Replays: a run of the same template version with the same params again, of templates that are deterministic, and the verdict about
-- whether it left the same. A worker compares and the verdict is an event of the replay, so that it is in its chain and its bundle.
-- Lock order as before: lane, run, steps, events; private.comparisons after them.

create index runs_by_replay_of on public.runs (replay_of) where replay_of is not null;

-- Ended replays that have no verdict yet.
create table private.comparisons (
  run_id uuid primary key references public.runs (id),
  retry_at timestamptz not null default clock_timestamp(),
  tries integer not null default 0
);
alter table private.comparisons enable row level security;

create function private.want_comparison()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  insert into private.comparisons (run_id) values (new.id) on conflict do nothing;
  perform pg_notify('opsroom_runs', 'compare:' || new.id);
  return null;
end;
$$;
create trigger want_comparison after update on public.runs for each row
  when (new.replay_of is not null and old.finished_at is null and new.finished_at is not null)
  execute function private.want_comparison();

-- Queues p_run in an open session once per idempotency key. A replay answers with the run of the first call.
create or replace function private.queue_run(p_run public.runs)
returns public.runs
language plpgsql
set search_path = ''
as $$
declare
  v_session public.sessions;
  v_run public.runs;
begin
  select * into v_run from public.runs where created_by = p_run.created_by and idempotency_key = p_run.idempotency_key;
  if not found then
    select * into v_session from public.sessions where id = p_run.session_id for share;
    if not found then
      perform private.fail('ORN01', format('there is no session %s', coalesce(p_run.session_id::text, '(none given)')), 'List them with: opsroom sessions');
    elsif v_session.archived_at is not null then
      perform private.fail('ORC01', format('session "%s" is archived', v_session.title), 'Reopen it, or choose another one.');
    end if;
    v_run := private.insert_run(p_run);
    if v_run.id is not null then
      perform private.audit('run.created', 'run', v_run.id::text,
        jsonb_strip_nulls(jsonb_build_object('template', v_run.template_slug, 'lane', v_run.lane, 'session', v_run.session_id, 'replay_of', v_run.replay_of)));
      return v_run;
    end if;
    select * into v_run from public.runs where created_by = p_run.created_by and idempotency_key = p_run.idempotency_key;
  end if;
  if (v_run.session_id, v_run.template_slug, v_run.params, v_run.lane, v_run.priority, v_run.not_before, v_run.rerun_of, v_run.replay_of)
     is distinct from
     (p_run.session_id, p_run.template_slug, p_run.params, p_run.lane, p_run.priority, p_run.not_before, p_run.rerun_of, p_run.replay_of) then
    perform private.fail('ORC03', 'this idempotency key was used for another run', 'Use a new key for a new run.');
  end if;
  return v_run;
end;
$$;

-- The successor of a run, once. One of a replay is a replay of the same run.
create or replace function private.insert_successor(p_run public.runs, p_delay_seconds double precision, p_resume boolean default false)
returns public.runs
language plpgsql
set search_path = ''
as $$
declare
  v_new public.runs;
  v_run public.runs;
begin
  v_new.session_id := p_run.session_id;
  v_new.lane := p_run.lane;
  v_new.template_version_id := p_run.template_version_id;
  v_new.template_slug := p_run.template_slug;
  v_new.template_version := p_run.template_version;
  v_new.template_digest := p_run.template_digest;
  v_new.title := p_run.title;
  v_new.params := p_run.params;
  v_new.priority := p_run.priority;
  v_new.place_at := p_run.place_at;
  v_new.not_before := case when p_delay_seconds > 0 then clock_timestamp() + make_interval(secs => p_delay_seconds) end;
  v_new.attempt := p_run.attempt + 1;
  v_new.retry_of := p_run.id;
  v_new.root_run_id := p_run.root_run_id;
  v_new.replay_of := p_run.replay_of;
  v_new.created_by := p_run.created_by;
  v_run := private.insert_run(v_new);
  if v_run.id is null then
    select * into v_run from public.runs where retry_of = p_run.id;
  elsif p_resume then
    perform private.carry_over(p_run.id, v_run.id);
  end if;
  return v_run;
end;
$$;

-- A new run of the same template version with the same params, to be compared with p_run_id when it has ended. Only of a template that
-- says deterministic, and of a run that came to an end by itself.
create function public.replay_run(p_run_id uuid, p_lane text default null, p_idempotency_key text default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_old public.runs := private.find_run(p_run_id);
  v_run public.runs;
begin
  perform private.newest_version(v_old.template_slug);  -- refuses a template that is disabled
  if v_old.finished_at is null then
    perform private.fail('ORC02', format('run %s is still %s', p_run_id, v_old.status), 'Wait for its end or cancel it first.');
  elsif v_old.status <> 'succeeded' and coalesce(v_old.reason, '') not in ('step_failed', 'proof_failed') then
    perform private.fail('ORC05', format('run %s did not come to its own end: %s', p_run_id, v_old.reason), 'Replay one that succeeded, or whose step failed.');
  elsif exists (select from public.run_events where run_id = p_run_id and expired_at is not null)
     or exists (select from public.artifacts where run_id = p_run_id and expired_at is not null) then
    perform private.fail('ORG05', format('what run %s left is past its retention: nothing can be compared with it', p_run_id), 'Run it again instead.');
  elsif not coalesce((select (spec::jsonb ->> 'deterministic')::boolean from public.template_versions where id = v_old.template_version_id), false) then
    perform private.fail('ORC12', format('%s v%s does not say that it is deterministic', v_old.template_slug, v_old.template_version),
      'Run it again instead, and compare: opsroom compare RUN RUN');
  end if;
  v_run.session_id := v_old.session_id;
  v_run.lane := private.check_lane(coalesce(p_lane, v_old.lane));
  v_run.template_version_id := v_old.template_version_id;
  v_run.template_slug := v_old.template_slug;
  v_run.template_version := v_old.template_version;
  v_run.template_digest := v_old.template_digest;
  v_run.title := v_old.title;
  v_run.params := v_old.params;
  v_run.priority := v_old.priority;
  v_run.replay_of := coalesce(v_old.replay_of, v_old.id);
  v_run.idempotency_key := nullif(private.check_text('idempotency key', p_idempotency_key, 0, 200), '');
  v_run.created_by := v_member.user_id;
  return private.run_json(private.queue_run(v_run));
end;
$$;

-- Ended replays without a verdict, at most p_limit, for this caller for a minute: [{run_id, replay_of}]. One that has a successor gets none.
create function public.claim_comparisons(p_limit integer)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_taken jsonb;
begin
  delete from private.comparisons as c using public.runs as n where n.retry_of = c.run_id;
  delete from private.comparisons where tries >= 20 and retry_at <= clock_timestamp();  -- what it would need has expired, or is damaged
  with picked as materialized (
    select run_id from private.comparisons where retry_at <= clock_timestamp() order by retry_at
    limit least(greatest(coalesce(p_limit, 0), 0), 100) for update skip locked
  ), taken as (
    update private.comparisons as c set retry_at = clock_timestamp() + interval '1 minute' * least(tries + 1, 30), tries = tries + 1
    from picked where c.run_id = picked.run_id returning c.run_id
  )
  select jsonb_agg(jsonb_build_object('run_id', t.run_id, 'replay_of', r.replay_of)) into v_taken
  from taken as t join public.runs as r on r.id = t.run_id;
  return coalesce(v_taken, '[]');
end;
$$;

-- What a verdict is like: opsroom.domain.comparison.Result.
create function private.comparison_schema()
returns jsonb
language sql immutable
set search_path = ''
as $$
  select $json$
  {
    "type": "object",
    "required": ["verdict", "of", "of_head", "compared", "differences", "left_out"],
    "properties": {
      "verdict": {"enum": ["REPRODUCED", "DIVERGED"]},
      "of": {"type": "string"},
      "of_head": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
      "compared": {"type": "object", "additionalProperties": true},
      "differences": {
        "type": "array", "maxItems": 20,
        "items": {
          "type": "object",
          "required": ["what", "place", "message"],
          "properties": {
            "what": {"enum": ["outcome", "step", "output", "proof", "artifact"]},
            "place": {"type": "string", "maxLength": 400},
            "message": {"type": "string", "maxLength": 2000},
            "diff": {"type": "string", "maxLength": 8000}
          }
        }
      },
      "left_out": {"type": "array", "maxItems": 100, "items": {"type": "string"}},
      "more": {"type": "integer", "minimum": 0}
    }
  }
  $json$::jsonb;
$$;

-- Records the verdict about an ended replay, once: the same call again changes nothing. It must be about the run that it replays, as that
-- one ends now, and REPRODUCED only without a difference and with the same outcome.
create function public.record_comparison(p_run_id uuid, p_result jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_run public.runs := private.lock_run(p_run_id);
  v_of public.runs;
  v_errors jsonb := private.validate_json(private.comparison_schema(), p_result);
  v_head text;
begin
  if v_run.replay_of is null or v_run.finished_at is null then
    perform private.fail('ORC05', format('run %s is no replay that has ended', p_run_id), 'Only those get a verdict.');
  elsif exists (select from public.run_events where run_id = p_run_id and type = 'replay.compared') then
    delete from private.comparisons where run_id = p_run_id;
    return jsonb_build_object('verdict', 'ok');
  elsif v_errors <> '[]' or octet_length(p_result::text) > 65536 then
    perform private.fail('ORV02', format('the comparison is not valid: %s', coalesce(v_errors -> 0 ->> 'message', 'too large')), 'See docs/evidence.md.');
  end if;
  v_of := private.find_run(v_run.replay_of);
  select hash into v_head from public.run_events where run_id = v_of.id order by seq desc limit 1;
  if (p_result ->> 'verdict' = 'REPRODUCED') <> (jsonb_array_length(p_result -> 'differences') = 0)
     or p_result ->> 'of' <> v_of.id::text or p_result ->> 'of_head' is distinct from v_head
     or (p_result ->> 'verdict' = 'REPRODUCED' and (v_run.status, v_run.reason) is distinct from (v_of.status, v_of.reason)) then
    perform private.fail('ORV02', format('the comparison does not fit the runs %s and %s', v_of.id, v_run.id), 'Compare them again.');
  end if;
  perform private.record_event(p_run_id, 'replay.compared',
    case p_result ->> 'verdict' when 'REPRODUCED' then format('REPRODUCED: it left the same as run %s', v_of.id)
      else format('DIVERGED: %s: %s', p_result #>> '{differences,0,place}', p_result #>> '{differences,0,message}') end,
    p_result, null, case p_result ->> 'verdict' when 'REPRODUCED' then 'info' else 'warn' end);
  delete from private.comparisons where run_id = p_run_id;
  -- Where bundles are made, its bundle is made again, with the verdict in it: by this worker, or by one that has a key.
  insert into private.bundle_work (run_id) select p_run_id where exists (select from public.bundles)
  on conflict (run_id) do update set retry_at = clock_timestamp();
  perform private.ring('run:' || p_run_id, jsonb_build_object('what', 'replay'));
  return jsonb_build_object('verdict', 'ok');
end;
$$;

-- For the read model: the verdict about a run, and the runs that replay it.
create function private.replay_json(p_run public.runs)
returns json
language sql stable
set search_path = ''
as $$
  select e.data::json from public.run_events as e
  where p_run.replay_of is not null and e.run_id = p_run.id and e.type = 'replay.compared' order by e.seq desc limit 1;
$$;
create function private.replays_json(p_run_id uuid)
returns json
language sql stable
set search_path = ''
as $$
  select coalesce(json_agg(json_build_object('id', r.id, 'status', r.status, 'queued_at', r.queued_at, 'finished_at', r.finished_at,
                                             'verdict', private.replay_json(r) ->> 'verdict') order by r.queued_at desc), '[]')
  from (select * from public.runs where replay_of = p_run_id order by queued_at desc limit 20) as r;
$$;

revoke all on function public.replay_run(uuid, text, text), public.claim_comparisons(integer), public.record_comparison(uuid, jsonb),
  private.want_comparison(), private.comparison_schema(), private.replay_json(public.runs), private.replays_json(uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.replay_run(uuid, text, text) to authenticated;
grant execute on function public.claim_comparisons(integer), public.record_comparison(uuid, jsonb) to service_role;
