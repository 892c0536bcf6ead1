-- The audit log as a file: read page by page, oldest first, by admins; that somebody took it is in the log as well. Locks nothing.

-- Entries from p_from until before p_to, after entry p_after of the page before. `next` is what to give then; null at the end.
create function public.export_audit(
  p_from timestamptz default null, p_to timestamptz default null, p_after bigint default null, p_limit integer default 1000)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('admin');
  v_limit integer := least(greatest(coalesce(p_limit, 1000), 1), 5000);
  v_to timestamptz := coalesce(p_to, clock_timestamp());
  v_after timestamptz := '-infinity';
  v_entries json;
begin
  if p_from > v_to then
    perform private.fail('ORV02', 'the export would end before it begins', 'Give a --from that is before --to.');
  elsif p_after is null then
    perform private.audit('audit.exported', 'audit_log', '', jsonb_build_object('from', p_from, 'to', v_to));
  else
    select at into v_after from public.audit_log where id = p_after;
    if not found then
      perform private.fail('ORV02', format('there is no entry %s to go on from', p_after), 'Give the `next` of the page before.');
    end if;
  end if;
  select json_agg(e order by e.at, e.id) into v_entries from (
    select a.id, private.utc_text(a.at) as at, a.actor, m.email as actor_email, nullif(m.display_name, '') as actor_name, a.actor_role, a.action,
      a.target_type, a.target_id, case a.target_type
        when 'run' then (select title from public.runs where id = a.target_id::uuid)
        when 'session' then (select title from public.sessions where id = a.target_id::uuid)
        when 'member' then (select email from public.members where user_id = a.target_id::uuid)
        else a.target_id end as target_name, a.details
    from public.audit_log as a left join public.members as m on m.user_id = a.actor
    where a.at >= coalesce(p_from, '-infinity') and a.at < v_to and (a.at, a.id) > (v_after, coalesce(p_after, 0))
    order by a.at, a.id limit v_limit) as e;
  return json_build_object('entries', coalesce(v_entries, '[]'), 'to', private.utc_text(v_to),
    'next', case when json_array_length(v_entries) = v_limit then v_entries -> -1 -> 'id' end);
end;
$$;

revoke all on function public.export_audit(timestamptz, timestamptz, bigint, integer) from public, anon, authenticated, service_role;
grant execute on function public.export_audit(timestamptz, timestamptz, bigint, integer) to authenticated;
