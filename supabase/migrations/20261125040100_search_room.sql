-- Finds sessions and runs by what a person types into the command bar. Reads only; takes no locks.
-- Bounded whatever the number of runs: an id is found by its first digits on the primary key, a title among the newest
-- 2,000 runs (index runs_by_age) and the newest 1,000 sessions. Without a text: the latest of both.

create function public.search_room(p_text text, p_limit integer default 8)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_text text := lower(private.check_text('text', p_text, 0, 200));
  v_words text[] := array_remove(regexp_split_to_array(v_text, '\s+'), '');
  v_hex text := replace(v_text, '-', '');
  v_limit integer := least(greatest(coalesce(p_limit, 8), 1), 50);
  v_low uuid;
  v_high uuid;
begin
  if v_hex ~ '^[0-9a-f]{6,32}$' then
    v_low := rpad(v_hex, 32, '0')::uuid;
    v_high := rpad(v_hex, 32, 'f')::uuid;
  end if;
  return json_build_object(
    'sessions', (
      select coalesce(json_agg(json_build_object('id', s.id, 'title', s.title, 'archived_at', s.archived_at) order by s.created_at desc, s.id), '[]')
      from (select * from (select * from public.sessions order by created_at desc, id limit 1000) as newest
            where not exists (select from unnest(v_words) as w where position(w in lower(newest.title)) = 0) or newest.id between v_low and v_high
            order by newest.created_at desc, newest.id limit v_limit) as s),
    'runs', (
      select coalesce(json_agg(json_build_object('run', private.run_json(r), 'session_title', s.title) order by r.queued_at desc, r.id), '[]')
      from (select id from (
              select id, queued_at from (select * from public.runs order by queued_at desc, id limit 2000) as newest
              where not exists (select from unnest(v_words) as w where position(w in lower(newest.title || ' ' || newest.template_slug)) = 0)
              union
              select id, queued_at from public.runs where id between v_low and v_high
            ) as found order by queued_at desc, id limit v_limit) as f
      join public.runs as r on r.id = f.id
      join public.sessions as s on s.id = r.session_id));
end;
$$;

-- What a person launched and how it ended, the latest first: for telling them. Written once for a run, when it ends.
create index runs_ended_by_person on public.runs (created_by, finished_at desc) where finished_at is not null;

revoke all on function public.search_room(text, integer) from public, anon, authenticated, service_role;
grant execute on function public.search_room(text, integer) to authenticated;
