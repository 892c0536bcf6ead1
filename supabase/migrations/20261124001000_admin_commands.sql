-- Commands of admins: templates and members.

create function public.save_template(p_spec json)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('admin');
  v_row public.template_versions := private.store_template(p_spec, v_member.user_id, true);
begin
  perform private.audit('template.saved', 'template', v_row.slug, jsonb_build_object('version', v_row.version, 'digest', v_row.digest));
  return to_json(v_row);
end;
$$;

create function public.set_template_enabled(p_slug text, p_enabled boolean)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('admin');
  v_row public.run_templates;
begin
  update public.run_templates set enabled = p_enabled where slug = p_slug returning * into v_row;
  if not found then
    perform private.fail('ORN03', format('there is no template %s', left(coalesce(p_slug, '(none given)'), 64)), 'List them with: opsroom templates');
  end if;
  perform private.audit(case when p_enabled then 'template.enabled' else 'template.disabled' end, 'template', p_slug);
  return to_json(v_row);
end;
$$;

-- Gives somebody who has an account a role, or takes it away (p_role null). For admins, and for service_role to make the first one.
create function public.set_member(p_email text, p_role text)
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
  insert into public.members (user_id, email, display_name, role, disabled_at)
  values (v_user_id, v_email, split_part(v_email, '@', 1), coalesce(p_role, 'viewer'), case when p_role is null then clock_timestamp() end)
  on conflict (user_id) do update
  set email = excluded.email, role = coalesce(p_role, members.role), disabled_at = excluded.disabled_at
  returning * into v_row;
  perform private.audit('member.set', 'member', v_user_id::text, jsonb_build_object('email', v_email, 'role', p_role));
  return to_json(v_row);
end;
$$;
