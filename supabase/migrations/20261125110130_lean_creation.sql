-- What every creation of a run calls, with plans that are kept: a `language sql` function with a search path of its own is planned anew
-- each time. They do what they did. Locks: none of their own.

create or replace function private.audit(p_action text, p_target_type text, p_target_id text, p_details jsonb default '{}')
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.audit_log (actor, actor_role, action, target_type, target_id, details)
  values (auth.uid(),
          coalesce((select role from public.members where user_id = auth.uid()), case when private.is_service() then 'service' else 'none' end),
          p_action, p_target_type, p_target_id, p_details);
end;
$$;

create or replace function private.concurrency_key(p_spec jsonb, p_params jsonb)
returns text
language plpgsql immutable
set search_path = ''
as $$
begin
  if not p_spec ? 'concurrency_key' then
    return null;
  end if;
  return (p_spec ->> 'slug') || ':' || left(coalesce(
    p_params ->> substring(p_spec ->> 'concurrency_key' from '^\{\{ *params\.([A-Za-z0-9_-]+) *\}\}$'), p_spec ->> 'concurrency_key'), 200);
end;
$$;
