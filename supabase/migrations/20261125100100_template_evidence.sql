-- Templates that ask for evidence: approvals and gates, verifiers and preconditions, rollbacks.

create or replace function private.template_schema()
returns jsonb
language sql immutable
set search_path = ''
as $$
  select $json$
  {
    "type": "object",
    "required": ["slug", "title", "steps"],
    "properties": {
      "slug": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 64},
      "title": {"type": "string", "minLength": 1, "maxLength": 120},
      "description": {"type": "string", "maxLength": 4000},
      "risk": {"enum": ["info", "warn", "block"]},
      "params": {"type": "object", "additionalProperties": true},
      "timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 604800},
      "lease_seconds": {"type": "integer", "minimum": 5, "maximum": 3600},
      "queue_timeout_seconds": {"type": ["integer", "null"], "minimum": 1, "maximum": 604800},
      "retry": {
        "type": "object",
        "properties": {
          "attempts": {"type": "integer", "minimum": 1, "maximum": 20},
          "on": {"type": "array", "items": {"enum": ["failed", "lost", "timed_out"]}, "uniqueItems": true},
          "backoff_seconds": {"type": "integer", "minimum": 0, "maximum": 3600},
          "max_backoff_seconds": {"type": "integer", "minimum": 0, "maximum": 86400}
        }
      },
      "concurrency_key": {"type": "string", "minLength": 1, "maxLength": 200},
      "rate_limit": {
        "type": "object",
        "required": ["runs", "per_seconds"],
        "properties": {
          "runs": {"type": "integer", "minimum": 1, "maximum": 10000},
          "per_seconds": {"type": "integer", "minimum": 1, "maximum": 86400}
        }
      },
      "deterministic": {"type": "boolean"},
      "compare": {
        "type": "object",
        "properties": {
          "output": {"type": "boolean"},
          "artifacts": {"type": "array", "maxItems": 50, "items": {"type": "string", "minLength": 1, "maxLength": 256}},
          "ignore": {"type": "array", "maxItems": 50, "items": {"type": "string", "pattern": "^/", "maxLength": 500}},
          "normalise": {
            "type": "array", "maxItems": 20,
            "items": {
              "type": "object",
              "required": ["pattern"],
              "properties": {
                "pattern": {"type": "string", "minLength": 1, "maxLength": 500},
                "replace": {"type": "string", "maxLength": 200}
              }
            }
          }
        }
      },
      "approval": {"type": "object", "additionalProperties": true},
      "retention": {
        "type": "object",
        "properties": {
          "logs_days": {"type": ["integer", "null"], "minimum": 1, "maximum": 36500},
          "artifacts_days": {"type": ["integer", "null"], "minimum": 1, "maximum": 36500},
          "large_artifact_bytes": {"type": "integer", "minimum": 0, "maximum": 1099511627776}
        }
      },
      "secrets": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,62}$"}},
      "steps": {
        "type": "array", "minItems": 1, "maxItems": 100,
        "items": {
          "type": "object",
          "required": ["id", "title", "kind"],
          "properties": {
            "id": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$"},
            "title": {"type": "string", "minLength": 1, "maxLength": 120},
            "kind": {"enum": ["noop", "shell", "http", "sql", "spec_kit", "gate"]},
            "needs": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
            "timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 604800},
            "with": {"type": "object", "additionalProperties": true},
            "artifacts": {
              "type": "array",
              "items": {
                "type": "object",
                "required": ["path"],
                "properties": {
                  "path": {"type": "string", "minLength": 1, "maxLength": 256},
                  "kind": {"enum": ["file", "markdown", "json", "link", "diff", "image", "html", "archive", null]},
                  "required": {"type": "boolean"}
                }
              }
            },
            "required": {"type": "boolean"},
            "preconditions": {"type": "array", "maxItems": 20, "items": {"type": "object", "additionalProperties": true}},
            "verifiers": {"type": "array", "maxItems": 20, "items": {"type": "object", "additionalProperties": true}},
            "rollback": {
              "type": "object",
              "required": ["title", "kind"],
              "properties": {
                "title": {"type": "string", "minLength": 1, "maxLength": 120},
                "kind": {"enum": ["shell", "http", "sql"]},
                "timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 604800},
                "with": {"type": "object", "additionalProperties": true}
              }
            }
          }
        }
      }
    }
  }
  $json$::jsonb;
$$;

-- Whose approval a run or a gate waits for.
create function private.approval_schema()
returns jsonb
language sql immutable
set search_path = ''
as $$
  select $json$
  {
    "type": "object",
    "properties": {
      "approvers": {"type": "integer", "minimum": 1, "maximum": 5},
      "role": {"enum": ["approver", "admin"]},
      "self_approval": {"type": "boolean"},
      "expires_seconds": {"type": "integer", "minimum": 60, "maximum": 2592000},
      "instructions": {"type": "string", "maxLength": 2000}
    }
  }
  $json$::jsonb;
$$;

create function private.verifier_schema()
returns jsonb
language sql immutable
set search_path = ''
as $$
  select $json$
  {
    "type": "object",
    "required": ["name", "kind"],
    "properties": {
      "name": {"type": "string", "minLength": 1, "maxLength": 80},
      "kind": {"enum": ["http", "shell", "sql", "json_schema", "checksum", "file", "ci"]},
      "required": {"type": "boolean"},
      "timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 3600},
      "with": {"type": "object", "additionalProperties": true}
    }
  }
  $json$::jsonb;
$$;

-- What is wrong with the checks and gates of steps: each check's form and name, and that a gate does nothing but wait.
create function private.step_evidence_errors(p_steps jsonb)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_errors jsonb := '[]';
  v_step record;
  v_check record;
begin
  for v_step in select value, '/steps/' || n - 1 as path from jsonb_array_elements(p_steps) with ordinality as t (value, n) loop
    for v_check in
      select c.value, v_step.path || '/' || k || '/' || c.n - 1 as path
      from unnest(array['preconditions', 'verifiers']) as k,
           jsonb_array_elements(coalesce(v_step.value -> k, '[]')) with ordinality as c (value, n)
    loop
      v_errors := v_errors || private.validate_json(private.verifier_schema(), v_check.value, v_check.path);
    end loop;
    if exists (
      select from jsonb_array_elements(coalesce(v_step.value -> 'preconditions', '[]') || coalesce(v_step.value -> 'verifiers', '[]')) as c
      group by c ->> 'name' having count(*) > 1) then
      v_errors := v_errors || private.field_error(v_step.path || '/verifiers', 'uniqueItems', 'checks of a step must have names of their own');
    end if;
    if v_step.value ->> 'kind' = 'gate' then
      v_errors := v_errors || private.validate_json(private.approval_schema(), coalesce(v_step.value -> 'with', '{}'), v_step.path || '/with');
      if coalesce(v_step.value ->> 'required', 'true') = 'false' or v_step.value ? 'rollback'
         or jsonb_array_length(coalesce(v_step.value -> 'artifacts', '[]') || coalesce(v_step.value -> 'preconditions', '[]')
                               || coalesce(v_step.value -> 'verifiers', '[]')) > 0 then
        v_errors := v_errors || private.field_error(v_step.path, 'gate', 'a gate waits for a person and does nothing else');
      end if;
    end if;
  end loop;
  return v_errors;
end;
$$;

create or replace function private.template_errors(p_spec jsonb)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_errors jsonb := private.validate_json(private.template_schema(), p_spec);
begin
  if v_errors <> '[]' then
    return v_errors;
  end if;
  if coalesce(p_spec -> 'params' ->> 'type', 'object') <> 'object' then
    v_errors := v_errors || private.field_error('/params/type', 'const', 'must be object');
  end if;
  if p_spec ? 'compare' and not coalesce((p_spec ->> 'deterministic')::boolean, false) then
    v_errors := v_errors || private.field_error('/compare', 'const', 'says how replays are compared, and only deterministic templates are replayed');
  end if;
  return v_errors || private.params_schema_errors(coalesce(p_spec -> 'params', '{}'), '/params')
                  || private.validate_json(private.approval_schema(), coalesce(p_spec -> 'approval', '{}'), '/approval')
                  || private.step_graph_errors(p_spec -> 'steps')
                  || private.step_evidence_errors(p_spec -> 'steps');
end;
$$;

-- The approval that a run of a template waits for before its first step; null when it needs none. Risk block always needs one.
create function private.needed_approval(p_spec jsonb)
returns jsonb
language plpgsql immutable
set search_path = ''
as $$
begin
  return case when p_spec ? 'approval' or p_spec ->> 'risk' = 'block' then coalesce(p_spec -> 'approval', '{}') end;
end;
$$;
