-- Every worker sweeps; where the project has pg_cron, the database does so as well, even with no worker alive.
do $$
begin
  if exists (select from pg_catalog.pg_available_extensions where name = 'pg_cron') then
    create extension if not exists pg_cron;
    perform cron.schedule('opsroom-sweep', '10 seconds', 'select public.sweep_runs(100)');
  end if;
end;
$$;
