-- A room always has an admin: the last one can not be taken away, not even by service_role, and not by two admins who take each other's
-- role at the same moment. Locks: the rows of all admins, in the order of their ids; then the member's own.

create or replace function public.set_member(p_email text, p_role text)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_email text := lower(private.check_text('email', p_email, 3, 320));
  v_user_id uuid;
  v_row public.members;
begin
  if not private.is_service() then
    perform private.require_role('admin');
  end if;
  if p_role is not null and private.role_rank(p_role) is null then
    perform private.fail('ORV02', format('there is no role %s', left(p_role, 40)), 'Choose viewer, operator, approver or admin.');
  end if;
  select id into v_user_id from auth.users where lower(email) = v_email order by created_at limit 1;
  if not found then
    perform private.fail('ORN05', format('nobody has signed up as %s', v_email), 'Let them sign up first, then set their role.');
  end if;
  if v_user_id = auth.uid() and p_role is distinct from 'admin' then
    perform private.fail('ORV02', 'an admin can not take away their own role', 'Ask another admin.');
  end if;
  perform from public.members where role = 'admin' and disabled_at is null order by user_id for update;
  if not private.is_service() then
    perform private.require_role('admin');  -- again: while this waited, the other admin may have taken the caller's role
  end if;
  if p_role is distinct from 'admin'
    and exists (select from public.members where user_id = v_user_id and role = 'admin' and disabled_at is null)
    and not exists (select from public.members where user_id <> v_user_id and role = 'admin' and disabled_at is null) then
    perform private.fail('ORC11', format('%s is the last admin of this room', v_email), 'Make somebody else an admin first.');
  end if;
  insert into public.members (user_id, email, display_name, role, disabled_at)
  values (v_user_id, v_email, split_part(v_email, '@', 1), coalesce(p_role, 'viewer'), case when p_role is null then clock_timestamp() end)
  on conflict (user_id) do update
  set email = excluded.email, role = coalesce(p_role, members.role), disabled_at = excluded.disabled_at
  returning * into v_row;
  perform private.audit('member.set', 'member', v_user_id::text, jsonb_build_object('email', v_email, 'role', p_role));
  return to_json(v_row);
end;
$$;
