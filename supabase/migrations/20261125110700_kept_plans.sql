-- The worker functions keep one plan for any number of runs. Without this Postgres plans most of their statements anew in each call,
-- because it takes the length of an array that it was given for something worth planning for; that cost more than the statements.

do $$
declare
  v_function text;
begin
  foreach v_function in array array[
    'claim_batch(uuid, integer, uuid)', 'claim_runs(uuid, integer, uuid)', 'start_runs(jsonb)', 'finish_runs(jsonb)', 'finish_alike(jsonb, jsonb)', 'release_runs(jsonb)',
    'append_events(uuid, uuid, bigint, jsonb)', 'put_artifact(uuid, uuid, jsonb)', 'heartbeat(uuid, jsonb)', 'sweep_runs(integer)'] loop
    execute format('alter function public.%s set plan_cache_mode = force_generic_plan', v_function);
  end loop;
end;
$$;
