-- EXECUTE on the helpers of the migrations before: taken from everybody. What members and workers may call is granted where it is made.

revoke all on all functions in schema private from public, anon, authenticated, service_role;
grant execute on function private.is_member(text) to authenticated;
