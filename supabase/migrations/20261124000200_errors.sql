-- Raising a domain error. Each has one SQLSTATE; docs/errors.md lists them and opsroom.domain.errors maps them.

create function private.fail(p_sqlstate text, p_message text, p_hint text default null, p_fields jsonb default null)
returns void
language plpgsql
set search_path = ''
as $$
begin
  raise exception using
    errcode = p_sqlstate,
    message = p_message,
    hint = coalesce(p_hint, ''),
    detail = coalesce(p_fields::text, '');
end;
$$;

create function private.field_error(p_path text, p_code text, p_message text)
returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_build_object('path', p_path, 'code', p_code, 'message', p_message);
$$;

-- A person's text: trimmed, without control characters other than line breaks and tabs.
create function private.check_text(p_name text, p_value text, p_min integer, p_max integer)
returns text
language plpgsql immutable
set search_path = ''
as $$
declare
  v_value text := btrim(coalesce(p_value, ''), E' \t\r\n');
begin
  if char_length(v_value) < p_min then
    perform private.fail('ORV02', format('%s is empty', p_name), format('Give a %s of %s to %s characters.', p_name, p_min, p_max));
  elsif char_length(v_value) > p_max then
    perform private.fail('ORV02', format('%s has %s characters', p_name, char_length(v_value)),
                         format('Give a %s of at most %s characters.', p_name, p_max));
  elsif v_value ~ '[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f]' then
    perform private.fail('ORV02', format('%s contains a control character', p_name), 'Remove it.');
  end if;
  return v_value;
end;
$$;
