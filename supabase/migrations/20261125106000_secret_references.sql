-- A param of format secret-ref holds the name of a secret and never its value: also where the schema itself proposes one, and whatever type
-- it would have. Locks nothing.

create or replace function private.params_schema_errors(p_schema jsonb, p_path text)
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
    $json$, p_schema, p_path) || private.secret_reference_errors(p_schema, p_path);
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

create function private.secret_reference_errors(p_schema jsonb, p_path text)
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(problem), '[]') from (
    select private.field_error(p_path || '/type', 'const', 'must be string: a param of format secret-ref holds the name of a secret')
    where p_schema ->> 'type' is distinct from 'string'
    union all
    select private.field_error(private.pointer(p_path, key), 'format', 'must be the name of a secret, never its value')
    from jsonb_each(p_schema) as k (key, proposed)
    where key in ('default', 'const', 'enum', 'examples') and exists (
      select from jsonb_array_elements(case jsonb_typeof(proposed) when 'array' then proposed else jsonb_build_array(proposed) end) as e (value)
      where jsonb_typeof(value) <> 'string' or not private.matches_format('secret-ref', value #>> '{}'))
  ) as problems (problem)
  where p_schema ->> 'format' = 'secret-ref';
$$;

revoke all on function private.secret_reference_errors(jsonb, text) from public, anon, authenticated, service_role;
