-- What a template must look like. The first check is a JSON Schema of templates, the second what a schema can not say.

create function private.template_schema()
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
      "secrets": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,62}$"}},
      "steps": {
        "type": "array", "minItems": 1, "maxItems": 100,
        "items": {
          "type": "object",
          "required": ["id", "title", "kind"],
          "properties": {
            "id": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$"},
            "title": {"type": "string", "minLength": 1, "maxLength": 120},
            "kind": {"enum": ["noop", "shell", "http", "sql", "spec_kit"]},
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
            "required": {"type": "boolean"}
          }
        }
      }
    }
  }
  $json$::jsonb;
$$;

-- What is wrong with a params schema: only the keywords and formats that validate_json knows.
create function private.params_schema_errors(p_schema jsonb, p_path text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_errors jsonb := '[]';
  v_item record;
begin
  if jsonb_typeof(p_schema) <> 'object' then
    return jsonb_build_array(private.field_error(p_path, 'type', 'must be an object'));
  end if;
  for v_item in
    select key from jsonb_object_keys(p_schema) as k (key)
    where key not in ('type', 'title', 'description', 'default', 'examples', 'enum', 'const', 'pattern', 'minLength', 'maxLength',
      'format', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'items', 'minItems', 'maxItems',
      'uniqueItems', 'properties', 'required', 'additionalProperties')
  loop
    v_errors := v_errors || private.field_error(private.pointer(p_path, v_item.key), 'additional', 'is not a keyword that params may use');
  end loop;
  v_errors := v_errors || private.validate_json($json$
    {"additionalProperties": true, "properties": {
      "type": {"enum": ["string", "integer", "number", "boolean", "array", "object"]},
      "format": {"enum": ["date-time", "date", "email", "uri", "uuid", "secret-ref", "multiline"]},
      "enum": {"type": "array", "minItems": 1}, "required": {"type": "array", "items": {"type": "string"}},
      "title": {"type": "string"}, "description": {"type": "string"}, "pattern": {"type": "string"},
      "minLength": {"type": "integer", "minimum": 0}, "maxLength": {"type": "integer", "minimum": 0},
      "minItems": {"type": "integer", "minimum": 0}, "maxItems": {"type": "integer", "minimum": 0},
      "minimum": {"type": "number"}, "maximum": {"type": "number"}, "exclusiveMinimum": {"type": "number"},
      "exclusiveMaximum": {"type": "number"}, "multipleOf": {"type": "number", "exclusiveMinimum": 0},
      "uniqueItems": {"type": "boolean"}, "additionalProperties": {"const": false},
      "properties": {"type": "object", "additionalProperties": true}, "items": {"type": "object", "additionalProperties": true}}}
    $json$, p_schema, p_path);
  if jsonb_typeof(p_schema -> 'pattern') = 'string' then
    begin
      perform '' ~ (p_schema ->> 'pattern');
    exception when invalid_regular_expression then
      v_errors := v_errors || private.field_error(p_path || '/pattern', 'pattern', 'is not a regular expression');
    end;
  end if;
  if jsonb_typeof(p_schema -> 'properties') = 'object' then
    for v_item in select key, value from jsonb_each(p_schema -> 'properties') loop
      v_errors := v_errors || private.params_schema_errors(v_item.value, private.pointer(p_path || '/properties', v_item.key));
    end loop;
  end if;
  if jsonb_typeof(p_schema -> 'items') = 'object' then
    v_errors := v_errors || private.params_schema_errors(p_schema -> 'items', p_path || '/items');
  end if;
  return v_errors;
end;
$$;

-- What is wrong with the graph of steps: repeated ids, unknown needs, circles.
create function private.step_graph_errors(p_steps jsonb)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_ids text[] := array(select value ->> 'id' from jsonb_array_elements(p_steps));
  v_done text[] := '{}';
  v_ready text[];
  v_bad text;
begin
  select string_agg(distinct id, ', ') into v_bad from unnest(v_ids) as t (id)
  where (select count(*) from unnest(v_ids) as u (id) where u.id = t.id) > 1;
  if v_bad is not null then
    return jsonb_build_array(private.field_error('/steps', 'uniqueItems', 'step ids must be unique; repeated: ' || v_bad));
  end if;
  select string_agg(distinct need, ', ') into v_bad
  from jsonb_array_elements(p_steps) as s (step), jsonb_array_elements_text(coalesce(step -> 'needs', '[]')) as n (need)
  where need <> all (v_ids);
  if v_bad is not null then
    return jsonb_build_array(private.field_error('/steps', 'enum', 'a step needs one that does not exist: ' || v_bad));
  end if;
  loop
    v_ready := array(
      select step ->> 'id' from jsonb_array_elements(p_steps) as s (step)
      where step ->> 'id' <> all (v_done)
        and not exists (select from jsonb_array_elements_text(coalesce(step -> 'needs', '[]')) as n (need) where need <> all (v_done)));
    exit when v_ready = '{}';
    v_done := v_done || v_ready;
  end loop;
  select string_agg(id, ', ') into v_bad from unnest(v_ids) as t (id) where id <> all (v_done);
  return case when v_bad is null then '[]'
              else jsonb_build_array(private.field_error('/steps', 'cycle', 'steps wait for each other in a circle: ' || v_bad)) end;
end;
$$;

create function private.template_errors(p_spec jsonb)
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
  return v_errors || private.params_schema_errors(coalesce(p_spec -> 'params', '{}'), '/params')
                  || private.step_graph_errors(p_spec -> 'steps');
end;
$$;

-- Stores a version, or answers with the stored one when this definition is known already. p_newest_only: compare with the newest
-- version only, so that a person can go back to an older definition; a seed compares with all, so that it never overrides a person.
-- Locks: run_templates.
create function private.store_template(p_spec json, p_actor uuid, p_newest_only boolean)
returns public.template_versions
language plpgsql
set search_path = ''
as $$
declare
  v_spec jsonb;
  v_errors jsonb;
  v_slug text;
  v_digest text;
  v_newest integer;
  v_row public.template_versions;
begin
  if p_spec::text ~ '\\u0000' then
    perform private.fail('ORV03', 'the template contains a NUL character', 'Remove it.');
  elsif octet_length(p_spec::text) > 1048576 then
    perform private.fail('ORV03', format('the template has %s bytes', octet_length(p_spec::text)), 'Keep it under 1 MiB.');
  end if;
  v_spec := p_spec::jsonb;
  v_errors := private.template_errors(v_spec);
  if v_errors <> '[]' then
    perform private.fail('ORV03', format('the template is not valid: %s: %s', coalesce(nullif(v_errors -> 0 ->> 'path', ''), '/'),
                         v_errors -> 0 ->> 'message'), 'See docs/templates.md for every key.', v_errors);
  end if;
  v_slug := v_spec ->> 'slug';
  v_digest := private.json_digest(v_spec);
  insert into public.run_templates (slug) values (v_slug) on conflict do nothing;
  perform from public.run_templates where slug = v_slug for update;
  select max(version) into v_newest from public.template_versions where slug = v_slug;
  select * into v_row from public.template_versions
  where slug = v_slug and digest = v_digest and (not p_newest_only or version = v_newest)
  order by version desc limit 1;
  if not found then
    insert into public.template_versions (slug, version, digest, spec, created_by)
    values (v_slug, coalesce(v_newest, 0) + 1, v_digest, p_spec, p_actor) returning * into v_row;
  end if;
  return v_row;
end;
$$;

create function private.seed_template(p_spec json)
returns void
language sql
set search_path = ''
as $$
  select private.store_template(p_spec, null, false);
$$;
