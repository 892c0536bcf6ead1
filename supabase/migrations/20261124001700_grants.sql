-- EXECUTE: taken from everybody, then given by name. A later migration that adds a function does the same for it.

revoke all on all functions in schema public, private from public, anon, authenticated, service_role;
alter default privileges in schema private revoke execute on functions from public;

grant usage on schema private to authenticated;
grant execute on function private.is_member(text) to authenticated;

grant execute on function
  public.whoami(),
  public.list_sessions(boolean),
  public.read_board(uuid),
  public.read_run(uuid),
  public.read_events(uuid, bigint, integer),
  public.list_templates(),
  public.list_runs(uuid, text, text, text, text, integer),
  public.create_session(text, text, text),
  public.archive_session(uuid),
  public.reopen_session(uuid),
  public.create_run(uuid, text, json, text, integer, timestamptz, text, text),
  public.read_fleet(),
  public.set_lane(uuid, text, integer, boolean),
  public.set_session_paused(uuid, boolean),
  public.move_run(uuid, text, integer),
  public.cancel_run(uuid, text, boolean),
  public.retry_run(uuid, boolean),
  public.rerun(uuid, json, text, text),
  public.save_template(json),
  public.set_template_enabled(text, boolean)
to authenticated;

grant execute on function
  public.register_worker(uuid, text, text, integer, text, integer, text, integer),
  public.attach_worker(uuid),
  public.drain_worker(uuid),
  public.stop_worker(uuid),
  public.claim_runs(uuid, integer, uuid),
  public.start_runs(jsonb),
  public.start_run(uuid, uuid),
  public.heartbeat(uuid, jsonb),
  public.append_events(uuid, uuid, bigint, jsonb),
  public.put_artifact(uuid, uuid, jsonb),
  public.finish_runs(jsonb),
  public.finish_run(uuid, uuid, text, text, text, integer),
  public.release_runs(jsonb),
  public.sweep_runs(integer)
to service_role;

grant execute on function public.set_member(text, text) to authenticated, service_role;
