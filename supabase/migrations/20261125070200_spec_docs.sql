-- Spec Kit bundles kept in the control plane: the ones that were generated in the room, and those pushed from a repository. Every save is a
-- new version of the whole bundle. Locks: an advisory lock of the slug, then rows of spec_docs.

create table public.spec_docs (
  slug text not null check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and char_length(slug) <= 64),
  version integer not null check (version >= 1),
  file text not null check (file in ('constitution.md', 'prd.md', 'plan.md', 'tasks.md')),
  content text not null check (octet_length(content) <= 262144),
  created_by uuid not null references public.members (user_id),
  created_at timestamptz not null default clock_timestamp(),
  primary key (slug, version, file)
);
comment on table public.spec_docs is 'Immutable. The four files of a version are written together, so a version is whole or not there.';

alter table public.spec_docs enable row level security;
revoke all on public.spec_docs from public, anon, authenticated, service_role;
grant select on public.spec_docs to authenticated, service_role;
create policy spec_docs_read on public.spec_docs for select to authenticated using ((select private.is_member('viewer')));
create trigger refuse_change before update or delete on public.spec_docs for each row execute function private.refuse_change();
create trigger refuse_truncate before truncate on public.spec_docs for each statement execute function private.refuse_change();

-- One version of a bundle as a JSON object; p_version null: the newest.
create function private.spec_json(p_slug text, p_version integer)
returns json
language sql stable
set search_path = ''
as $$
  select json_build_object('slug', d.slug, 'version', d.version, 'created_at', max(d.created_at),
    'created_by_name', (select coalesce(nullif(m.display_name, ''), m.email) from public.members as m where m.user_id = d.created_by),
    'newest', (select max(n.version) from public.spec_docs as n where n.slug = d.slug),
    'files', json_object_agg(d.file, d.content))
  from public.spec_docs as d
  where d.slug = p_slug and d.version = coalesce(p_version, (select max(n.version) from public.spec_docs as n where n.slug = p_slug))
  group by d.slug, d.version, d.created_by;
$$;

create function public.read_spec(p_slug text, p_version integer default null)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_spec json := private.spec_json(p_slug, p_version);
begin
  if v_spec is null then
    perform private.fail('ORN06', format('the control plane keeps no bundle %s%s', left(coalesce(p_slug, '(none given)'), 64), ' in version ' || p_version),
                         'List them with: opsroom spec list');
  end if;
  return v_spec;
end;
$$;

-- The newest version of each bundle, without its text, latest change first.
create function public.list_specs()
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
begin
  return coalesce((
    select json_agg(s order by s.created_at desc, s.slug) from (
      select distinct on (d.slug) d.slug, d.version, d.version as newest, d.created_at,
        (select coalesce(nullif(m.display_name, ''), m.email) from public.members as m where m.user_id = d.created_by) as created_by_name,
        (select sum(octet_length(f.content)) from public.spec_docs as f where f.slug = d.slug and f.version = d.version) as size_bytes
      from public.spec_docs as d order by d.slug, d.version desc limit 1000) as s), '[]');
end;
$$;

-- Keeps the four files as the next version; the newest one again when nothing differs. p_base_version as in save_template.
create function public.save_spec(p_slug text, p_files json, p_base_version integer default null)
returns json
language plpgsql security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('operator');
  v_names constant text[] := array['constitution.md', 'plan.md', 'prd.md', 'tasks.md'];
  v_newest integer;
  v_same boolean;
  v_bad text;
begin
  if coalesce(p_slug, '') !~ '^[a-z0-9]+(-[a-z0-9]+)*$' or char_length(p_slug) > 64 then
    perform private.fail('ORV02', 'the slug has the wrong form', 'Use lower-case letters, digits and single hyphens, at most 64 characters.');
  elsif p_files::text ~ '\\u0000' then
    perform private.fail('ORV02', 'a file contains a NUL character', 'Remove it.');
  elsif coalesce(json_typeof(p_files), 'null') <> 'object'
    or array(select key from json_each(p_files) order by key) is distinct from v_names then
    perform private.fail('ORV02', 'a bundle has exactly the files constitution.md, prd.md, plan.md and tasks.md', 'Send all four.');
  end if;
  select key into v_bad from json_each(p_files) where json_typeof(value) <> 'string' or octet_length(value #>> '{}') > 262144 limit 1;
  if v_bad is not null then
    perform private.fail('ORV02', format('%s is no text of at most 256 KiB', v_bad), 'Split the spec into several slugs.');
  end if;
  perform pg_advisory_xact_lock(hashtextextended('opsroom.spec.' || p_slug, 0));
  select max(version) into v_newest from public.spec_docs where slug = p_slug;
  select count(*) = 4 into v_same from public.spec_docs as d
  where d.slug = p_slug and d.version = v_newest and d.content = p_files ->> d.file;
  if not v_same then
    if p_base_version is distinct from coalesce(v_newest, 0) and p_base_version is not null then
      perform private.fail('ORC10', format('bundle %s is at version %s; this was made from %s', p_slug, coalesce(v_newest, 0),
        case when p_base_version = 0 then 'nothing' else 'version ' || p_base_version end),
        'Read the newest version, bring both changes together, and save on top of it.');
    end if;
    insert into public.spec_docs (slug, version, file, content, created_by)
    select p_slug, coalesce(v_newest, 0) + 1, key, value #>> '{}', v_member.user_id from json_each(p_files);
    perform private.audit('spec.saved', 'spec', p_slug, jsonb_build_object('version', coalesce(v_newest, 0) + 1));
  end if;
  return private.spec_json(p_slug, null);
end;
$$;

revoke all on function private.spec_json(text, integer), public.read_spec(text, integer), public.list_specs(), public.save_spec(text, json, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.read_spec(text, integer), public.list_specs(), public.save_spec(text, json, integer) to authenticated;
