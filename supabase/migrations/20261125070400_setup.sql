-- What the setup page says to a member about the database: which migrations it has, and whether there is anything to work with.

create function public.read_setup()
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_migration text;
begin
  -- The Supabase CLI and the embedded stack keep this table; who applied the files by hand may not have it.
  if to_regclass('supabase_migrations.schema_migrations') is not null then
    execute 'select max(version) from supabase_migrations.schema_migrations' into v_migration;
  end if;
  return json_build_object('migration', v_migration,
    'templates', (select count(*) from public.run_templates where enabled),
    'workers', (select count(*) from public.workers where stopped_at is null and last_seen_at > clock_timestamp() - interval '1 minute'),
    'admins', (select count(*) from public.members where role = 'admin' and disabled_at is null));
end;
$$;

revoke all on function public.read_setup() from public, anon, authenticated, service_role;
grant execute on function public.read_setup() to authenticated;
