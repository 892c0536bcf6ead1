-- Editing templates in the room: a check without saving, the history of a template, a save that refuses to overwrite what somebody else saved
-- meanwhile, and in the list how much each template was used. Locks: run_templates (in store_template); the reads lock nothing.

-- What save_template would say and do, without doing it. p_spec is checked exactly as a save checks it.
create function public.validate_template(p_spec json)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_errors jsonb;
  v_slug text;
  v_digest text;
  v_newest public.template_versions;
begin
  if p_spec is null then
    v_errors := jsonb_build_array(private.field_error('', 'type', 'must be an object'));
  elsif p_spec::text ~ '\\u0000' then
    v_errors := jsonb_build_array(private.field_error('', 'format', 'contains a NUL character'));
  elsif octet_length(p_spec::text) > 1048576 then
    v_errors := jsonb_build_array(private.field_error('', 'too_large', 'must have at most 1 MiB'));
  else
    v_errors := private.template_errors(p_spec::jsonb);
  end if;
  if v_errors = '[]' then
    v_slug := p_spec ->> 'slug';
    v_digest := private.json_digest(p_spec::jsonb);
    select * into v_newest from public.template_versions where slug = v_slug order by version desc limit 1;
  end if;
  return json_build_object('valid', v_errors = '[]', 'errors', v_errors, 'slug', v_slug, 'digest', v_digest,
    'newest', v_newest.version, 'unchanged', coalesce(v_digest = v_newest.digest, false));
end;
$$;

-- p_base_version: the version that was edited, 0 for a template that is new. A save on top of another version than the newest is refused,
-- so that two people who edit at once lose nothing; null saves whatever is there, as a script that holds the whole truth does. The answer
-- to a replay is the version that was made. store_template holds the template's row until the end, so nobody comes in between.
drop function public.save_template(json);
create function public.save_template(p_spec json, p_base_version integer default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('admin');
  v_row public.template_versions := private.store_template(p_spec, v_member.user_id, true);
  v_newest public.template_versions;
begin
  if v_row.version not between p_base_version and p_base_version + 1 then
    select * into v_newest from public.template_versions
    where slug = v_row.slug and version < v_row.version order by version desc limit 1;
    perform private.fail('ORC10',
      format('template %s is at version %s, saved by %s; this was made from %s', v_row.slug, v_newest.version,
             coalesce((select m.email from public.members as m where m.user_id = v_newest.created_by), 'the seed'),
             case when p_base_version = 0 then 'nothing' else 'version ' || p_base_version end),
      'Read the newest version, bring both changes together, and save on top of it.');
  end if;
  perform private.audit('template.saved', 'template', v_row.slug, jsonb_build_object('version', v_row.version, 'digest', v_row.digest));
  return to_json(v_row);
end;
$$;

-- All versions of one template, newest first, with who saved each; created_by_name is null for a seeded one.
create function public.list_template_versions(p_slug text)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_enabled boolean;
begin
  select enabled into v_enabled from public.run_templates where slug = p_slug;
  if not found then
    perform private.fail('ORN03', format('there is no template %s', left(coalesce(p_slug, '(none given)'), 64)), 'List them with: opsroom templates');
  end if;
  return (
    select json_agg(json_build_object('slug', v.slug, 'version', v.version, 'digest', v.digest, 'spec', v.spec, 'created_at', v.created_at,
      'enabled', v_enabled, 'created_by_name', (select coalesce(nullif(m.display_name, ''), m.email) from public.members as m where m.user_id = v.created_by)
    ) order by v.version desc)
    from (select * from public.template_versions where slug = p_slug order by version desc limit 500) as v);
end;
$$;

-- Newest version of each template, by title, with its use: runs that ended in the last 30 days (counted ahead by the sweep, and what ended
-- since, up to 10,000), how many of them failed, and when one was last claimed.
create or replace function public.list_templates()
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  return coalesce((
    with uncounted as (
      select r.template_slug, r.status from public.runs as r, private.run_counts_state as s
      where r.finished_at >= greatest(s.ended_at, clock_timestamp() - interval '30 days')
        and (r.finished_at > s.ended_at or r.id > s.run_id)
      order by r.finished_at, r.id limit 10000
    ), ended as (
      select template_slug, status, 1 as n from uncounted
      union all
      select template_slug, measure, n from private.run_counts
      where grain = '1 day' and at >= clock_timestamp() - interval '30 days' and measure in ('succeeded', 'failed', 'cancelled', 'timed_out')
    ), used as (
      select template_slug, sum(n) as runs, coalesce(sum(n) filter (where status in ('failed', 'timed_out')), 0) as failed
      from ended group by template_slug
    )
    select json_agg(t order by t.title, t.slug) from (
      select distinct on (v.slug) v.slug, v.version, v.digest, v.spec, v.created_at, r.enabled,
        v.spec ->> 'title' as title, coalesce(v.spec ->> 'description', '') as description, coalesce(v.spec ->> 'risk', 'info') as risk,
        coalesce(u.runs, 0) as runs_30d, coalesce(u.failed, 0) as failed_30d,
        (select max(q.claimed_at) from public.runs as q where q.template_slug = v.slug and q.claimed_at is not null) as last_used_at
      from public.template_versions as v join public.run_templates as r using (slug) left join used as u on u.template_slug = v.slug
      order by v.slug, v.version desc) as t), '[]');
end;
$$;

revoke all on function public.validate_template(json), public.save_template(json, integer), public.list_template_versions(text)
  from public, anon, authenticated, service_role;
grant execute on function public.validate_template(json), public.save_template(json, integer), public.list_template_versions(text)
  to authenticated;
