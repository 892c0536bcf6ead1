-- JSON: canonical text (RFC 8785) for digests, and validation against the closed subset of JSON Schema 2020-12 that params use.
-- opsroom.domain.params knows the same subset; tests/database compares the two on one table of cases.

-- Hex of the UTF-16 code units of a text: the order RFC 8785 asks of keys.
create function private.utf16_hex(p_text text)
returns text
language sql immutable strict parallel safe
set search_path = ''
as $$
  select coalesce(string_agg(
    case when c < 65536 then lpad(to_hex(c), 4, '0')
         else to_hex(55296 + ((c - 65536) >> 10)) || to_hex(56320 + ((c - 65536) & 1023)) end, '' order by n), '')
  from (select ascii(ch) as c, n from regexp_split_to_table(p_text, '') with ordinality as t (ch, n)) as units;
$$;

create function private.canonical_json(p_value jsonb)
returns text
language plpgsql immutable strict parallel safe
set search_path = ''
as $$
declare
  v_number numeric;
  v_text text;
begin
  case jsonb_typeof(p_value)
    when 'object' then
      if p_value = '{}' then
        return '{}';
      elsif exists (select from jsonb_object_keys(p_value) as k (key) where key ~ '[\U00010000-\U0010ffff]') then
        return (select '{' || string_agg(to_json(key)::text || ':' || private.canonical_json(value), ','
                                         order by private.utf16_hex(key) collate "C") || '}' from jsonb_each(p_value));
      end if;
      return (select '{' || string_agg(to_json(key)::text || ':' || private.canonical_json(value), ','
                                       order by key collate "C") || '}' from jsonb_each(p_value));
    when 'array' then
      return (select '[' || coalesce(string_agg(private.canonical_json(value), ',' order by n), '') || ']'
              from jsonb_array_elements(p_value) with ordinality as t (value, n));
    when 'string' then
      return to_json(p_value #>> '{}')::text;
    when 'number' then
      v_number := (p_value #>> '{}')::numeric;
      if abs(v_number) > 9007199254740991 then
        perform private.fail('ORV02', 'a number is larger than JSON carries exactly (2^53 - 1)', 'Send it as a string.');
      elsif v_number = trunc(v_number) then
        return trunc(v_number)::text;
      end if;
      -- Doubles as ECMAScript prints them: Postgres has the same shortest digits and another rule for exponents.
      v_text := v_number::double precision::text;
      return case when abs(v_number) >= 1e-6 then trim_scale(v_text::numeric)::text
                  else regexp_replace(v_text, 'e([+-])0*', 'e\1') end;
    else
      return p_value::text;
  end case;
end;
$$;

create function private.json_digest(p_value jsonb)
returns text
language sql immutable strict parallel safe
set search_path = ''
as $$
  select encode(sha256(convert_to(private.canonical_json(p_value), 'UTF8')), 'hex');
$$;

create function private.pointer(p_path text, p_token text)
returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select p_path || '/' || replace(replace(p_token, '~', '~0'), '/', '~1');
$$;

create function private.matches_format(p_format text, p_value text)
returns boolean
language plpgsql stable
set search_path = ''
as $$
begin
  case p_format
    when 'date-time' then
      if p_value !~ '^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)$' then return false; end if;
      perform p_value::timestamptz;
      return true;
    when 'date' then
      if p_value !~ '^\d{4}-\d\d-\d\d$' then return false; end if;
      perform p_value::date;
      return true;
    when 'email' then return p_value ~ '^[^@\s]+@[^@\s]+\.[^@\s]+$';
    when 'uri' then return p_value ~ '^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$';
    when 'uuid' then return p_value ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';
    when 'secret-ref' then return p_value ~ '^[A-Z][A-Z0-9_]{0,62}$';
    else return true;
  end case;
exception
  when datetime_field_overflow or invalid_datetime_format or invalid_parameter_value then return false;
end;
$$;

create function private.matches_type(p_type text, p_value jsonb)
returns boolean
language sql immutable
set search_path = ''
as $$
  select case p_type
    when 'integer' then jsonb_typeof(p_value) = 'number' and (p_value #>> '{}')::numeric % 1 = 0
    else jsonb_typeof(p_value) = p_type end;
$$;

-- All that is wrong with a value: a JSON array of field errors, empty when it is valid. Objects are closed unless the schema says
-- additionalProperties: true, which only the schema of templates themselves does.
create function private.validate_json(p_schema jsonb, p_value jsonb, p_path text default '')
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_errors jsonb := '[]';
  v_number numeric;
  v_text text;
  v_size integer;
  v_item record;
  v_types jsonb := case jsonb_typeof(p_schema -> 'type') when 'array' then p_schema -> 'type'
                                                           else jsonb_build_array(p_schema -> 'type') end;
begin
  if p_schema ? 'type' and not exists (
    select from jsonb_array_elements_text(v_types) as t (name) where private.matches_type(t.name, p_value)) then
    return jsonb_build_array(private.field_error(p_path, 'type', 'must be of type '
      || (select string_agg(name, ' or ') from jsonb_array_elements_text(v_types) as t (name))));
  end if;
  if p_schema ? 'enum' and not (p_schema -> 'enum') @> jsonb_build_array(p_value) then
    v_errors := v_errors || private.field_error(p_path, 'enum', 'must be one of '
      || (select string_agg(name, ', ') from jsonb_array_elements_text(p_schema -> 'enum') as t (name)));
  end if;
  if p_schema ? 'const' and p_schema -> 'const' <> p_value then
    v_errors := v_errors || private.field_error(p_path, 'const', 'must be ' || (p_schema ->> 'const'));
  end if;

  case jsonb_typeof(p_value)
    when 'string' then
      v_text := p_value #>> '{}';
      if char_length(v_text) < (p_schema ->> 'minLength')::numeric then
        v_errors := v_errors || private.field_error(p_path, 'minLength', format('must have at least %s character(s)', p_schema ->> 'minLength'));
      end if;
      if char_length(v_text) > (p_schema ->> 'maxLength')::numeric then
        v_errors := v_errors || private.field_error(p_path, 'maxLength', format('must have at most %s character(s)', p_schema ->> 'maxLength'));
      end if;
      if v_text !~ (p_schema ->> 'pattern') then
        v_errors := v_errors || private.field_error(p_path, 'pattern', 'must match ' || (p_schema ->> 'pattern'));
      end if;
      if p_schema ? 'format' and not private.matches_format(p_schema ->> 'format', v_text) then
        v_errors := v_errors || private.field_error(p_path, 'format', 'must be a valid ' || (p_schema ->> 'format'));
      end if;
    when 'number' then
      v_number := (p_value #>> '{}')::numeric;
      if abs(v_number) > 9007199254740991 then
        return v_errors || private.field_error(p_path, 'too_large', 'must be within 2^53 - 1; send a larger number as a string');
      end if;
      if v_number < (p_schema ->> 'minimum')::numeric then
        v_errors := v_errors || private.field_error(p_path, 'minimum', 'must be at least ' || (p_schema ->> 'minimum'));
      end if;
      if v_number > (p_schema ->> 'maximum')::numeric then
        v_errors := v_errors || private.field_error(p_path, 'maximum', 'must be at most ' || (p_schema ->> 'maximum'));
      end if;
      if v_number <= (p_schema ->> 'exclusiveMinimum')::numeric then
        v_errors := v_errors || private.field_error(p_path, 'exclusiveMinimum', 'must be more than ' || (p_schema ->> 'exclusiveMinimum'));
      end if;
      if v_number >= (p_schema ->> 'exclusiveMaximum')::numeric then
        v_errors := v_errors || private.field_error(p_path, 'exclusiveMaximum', 'must be less than ' || (p_schema ->> 'exclusiveMaximum'));
      end if;
      if v_number % (p_schema ->> 'multipleOf')::numeric <> 0 then
        v_errors := v_errors || private.field_error(p_path, 'multipleOf', 'must be a multiple of ' || (p_schema ->> 'multipleOf'));
      end if;
    when 'array' then
      v_size := jsonb_array_length(p_value);
      if v_size < (p_schema ->> 'minItems')::numeric then
        v_errors := v_errors || private.field_error(p_path, 'minItems', format('must have at least %s item(s)', p_schema ->> 'minItems'));
      end if;
      if v_size > (p_schema ->> 'maxItems')::numeric then
        v_errors := v_errors || private.field_error(p_path, 'maxItems', format('must have at most %s item(s)', p_schema ->> 'maxItems'));
      end if;
      if (p_schema ->> 'uniqueItems')::boolean
         and v_size > (select count(distinct value) from jsonb_array_elements(p_value)) then
        v_errors := v_errors || private.field_error(p_path, 'uniqueItems', 'must not repeat an item');
      end if;
      if p_schema ? 'items' then
        for v_item in select value, n from jsonb_array_elements(p_value) with ordinality as t (value, n) loop
          v_errors := v_errors || private.validate_json(p_schema -> 'items', v_item.value, p_path || '/' || (v_item.n - 1));
        end loop;
      end if;
    when 'object' then
      for v_item in
        select r.name from jsonb_array_elements_text(coalesce(p_schema -> 'required', '[]')) as r (name) where not p_value ? r.name
      loop
        v_errors := v_errors || private.field_error(private.pointer(p_path, v_item.name), 'required', 'is required');
      end loop;
      for v_item in select e.key, e.value, p_schema -> 'properties' -> e.key as sub from jsonb_each(p_value) as e loop
        if v_item.sub is not null then
          v_errors := v_errors || private.validate_json(v_item.sub, v_item.value, private.pointer(p_path, v_item.key));
        elsif coalesce(p_schema -> 'additionalProperties', 'false') <> 'true' then
          v_errors := v_errors || private.field_error(private.pointer(p_path, left(v_item.key, 100)), 'additional',
            'is not known here; known: ' || coalesce(
              (select string_agg(key, ', ') from jsonb_object_keys(coalesce(p_schema -> 'properties', '{}')) as k (key)), 'none'));
        end if;
      end loop;
    else null;
  end case;
  return v_errors;
end;
$$;
