-- The roles, schemas and default privileges of a hosted Supabase project. Runs once per cluster, as supabase_admin.
-- `postgres` is what migrations run as: as on a hosted project it is not a superuser.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
create role opsroom_worker login noinherit;
create role postgres login createrole createdb replication bypassrls;
create role supabase_auth_admin nologin noinherit createrole;
create role supabase_storage_admin nologin noinherit;
create role supabase_realtime_admin nologin noinherit;

grant anon, authenticated, service_role to authenticator;
grant service_role to opsroom_worker;
grant anon, authenticated, service_role, authenticator to postgres with admin option;
-- Hosted lets `postgres` create policies on storage.objects and realtime.messages; plain Postgres asks for the owner.
grant supabase_storage_admin, supabase_realtime_admin to postgres;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;

alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role authenticator set idle_in_transaction_session_timeout = '60s';
alter role postgres set search_path = "$user", public, extensions;
alter role opsroom_worker set search_path = public, extensions;
alter database postgres owner to postgres;
revoke connect, temporary on database postgres from public;
grant connect on database postgres to authenticator, opsroom_worker;
grant temporary on database postgres to postgres;

-- Nothing here needs a superuser to be restored, so that `postgres` can restore a dump of this database into another.
create schema extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role;
create extension pgcrypto with schema extensions;

-- Schema public belongs to `postgres`, and everything it makes there is granted to the API roles: the default of hosted
-- projects for years. Migrations must revoke what they do not want to give, exactly as on a real project.
alter schema public owner to postgres;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on sequences to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on functions to anon, authenticated, service_role;

create publication supabase_realtime;
alter publication supabase_realtime owner to postgres;

create schema supabase_migrations authorization postgres;
create table supabase_migrations.schema_migrations (
  version text primary key,
  statements text[],
  name text
);
create table supabase_migrations.seed_files (
  path text primary key,
  hash text not null
);
alter table supabase_migrations.schema_migrations owner to postgres;
alter table supabase_migrations.seed_files owner to postgres;
