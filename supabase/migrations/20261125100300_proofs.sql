-- Proofs, and what success needs. A proof is an event; the view shows them as rows, so the two can not disagree.

create view public.proofs with (security_invoker = true) as
  select run_id, seq, at, step, data ->> 'phase' as phase, data ->> 'name' as name, data ->> 'kind' as kind,
    (data ->> 'required')::boolean as required, (data ->> 'passed')::boolean as passed, data -> 'expected' as expected, data -> 'seen' as seen, message
  from public.run_events where type = 'proof.recorded';
comment on view public.proofs is 'What each verifier and precondition expected and saw. phase: before or after its step.';
create index run_events_proofs on public.run_events (run_id, seq) where type = 'proof.recorded';
revoke all on public.proofs from public, anon, authenticated, service_role;
grant select on public.proofs to authenticated, service_role;

-- What the data of a proof.recorded event is like.
create function private.proof_schema()
returns jsonb
language sql immutable
set search_path = ''
as $$
  select $json$
  {
    "type": "object",
    "required": ["step", "name", "kind", "phase", "required", "passed"],
    "additionalProperties": true,
    "properties": {
      "step": {"type": "string"},
      "name": {"type": "string", "minLength": 1, "maxLength": 80},
      "kind": {"enum": ["http", "shell", "sql", "json_schema", "checksum", "file", "ci"]},
      "phase": {"enum": ["before", "after"]},
      "required": {"type": "boolean"},
      "passed": {"type": "boolean"}
    }
  }
  $json$::jsonb;
$$;

-- A glob of an artifact rule as a regular expression: ** crosses folders, * and ? do not.
create function private.glob_pattern(p_glob text)
returns text
language sql immutable strict
set search_path = ''
as $$
  select '^' || replace(replace(replace(replace(replace(replace(replace(
    regexp_replace(p_glob, '([.^$+(){}|\\])', '\\\1', 'g'), '[!', '[^'), '**/', E'\x01'), '**', E'\x02'), '*', '[^/]*'), '?', '[^/]'),
    E'\x01', '(.*/)?'), E'\x02', '.*') || '$';
$$;

-- What of its evidence a run lacks, in words; null when it is whole. Only steps that succeeded are asked: a step that must succeed is
-- checked by finish_runs.
create function private.missing_evidence(p_run public.runs)
returns text
language sql stable
set search_path = ''
as $$
  with steps as (
    select step, step ->> 'id' as id
    from public.template_versions as v, jsonb_array_elements(v.spec::jsonb -> 'steps') as t (step)
    join public.run_steps as s on s.run_id = p_run.id and s.step_id = step ->> 'id' and s.status = 'succeeded' and s.carried_from is null
    where v.id = p_run.template_version_id
  ), missing as (
    select format('the %s %s of step %s has no proof that passed', case k when 'verifiers' then 'verifier' else 'precondition' end, c ->> 'name', id) as what
    from steps, unnest(array['preconditions', 'verifiers']) as k, jsonb_array_elements(coalesce(step -> k, '[]')) as c
    where coalesce((c ->> 'required')::boolean, true)
      and (select p.passed from public.proofs as p where p.run_id = p_run.id and p.step = id and p.name = c ->> 'name' order by p.seq desc limit 1)
          is not true
    union all
    select format('step %s left no artifact %s', id, c ->> 'path')
    from steps, jsonb_array_elements(coalesce(step -> 'artifacts', '[]')) as c
    where coalesce((c ->> 'required')::boolean, true) and not exists (
      select from public.artifacts as a where a.run_id = p_run.id
        and a.name ~ private.glob_pattern(c ->> 'path'))
    union all
    select format('artifact %s is not in Storage', a.name)
    from public.artifacts as a
    where a.run_id = p_run.id and a.object_path is not null
      and not exists (select from storage.objects as o where o.bucket_id = 'artifacts' and o.name = a.object_path)
    union all
    select 'it was not approved'
    from public.gates as g where g.run_id = p_run.id and g.step_id = '' and g.status <> 'approved'
    union all
    select format('its events do not follow from each other at %s', e.seq)
    from (select seq, prev_hash, lag(hash, 1, repeat('0', 64)) over (order by seq) as before, row_number() over (order by seq) as n
          from public.run_events where run_id = p_run.id) as e
    where e.prev_hash <> e.before or e.seq <> e.n
  )
  select what from missing limit 1;
$$;

create function private.check_evidence()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  v_missing text := private.missing_evidence(new);
begin
  if v_missing is not null then
    perform private.fail('ORG04', format('run %s can not succeed: %s', new.id, v_missing), 'Finish it as failed, or record what is missing.');
  end if;
  return new;
end;
$$;

create trigger check_evidence before update on public.runs for each row
  when (new.needs_evidence and new.status = 'succeeded' and old.status <> 'succeeded') execute function private.check_evidence();

-- Whether a template asks for anything that success is checked against.
create function private.needs_evidence(p_spec jsonb)
returns boolean
language plpgsql immutable
set search_path = ''
as $$
begin
  return private.needed_approval(p_spec) is not null or exists (
    select from jsonb_array_elements(p_spec -> 'steps') as s (step)
    where step ->> 'kind' = 'gate' or step ?| array['verifiers', 'preconditions', 'artifacts']);
end;
$$;
