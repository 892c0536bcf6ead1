-- Searching all runs, a page at a time. A call looks at a bounded number of rows and then answers with what it found and a cursor to
-- go on from, so that a page of a million runs costs the same at any depth and for any filter. Reads only, no locks.
-- See docs/decisions/0008-a-search-looks-at-a-window.md.

-- Failures are what people look for, and are few: each run enters at most once, when it ends.
create index runs_unsuccessful on public.runs (queued_at desc, id) where status in ('failed', 'timed_out', 'cancelled');

-- How many runs one call looks at. To compare texts of titles and params costs several times as much as the rest, and so does to fetch
-- runs that lie far apart.
create function private.search_window(p_text boolean, p_scattered boolean)
returns integer
language sql immutable
set search_path = ''
as $$
  select case when p_scattered then 20000 when p_text then 40000 else 120000 end;
$$;

-- Up to this many runs of one session or person are sorted as a whole; with more of them, the walk by age meets enough.
create function private.sort_limit()
returns integer
language sql immutable
set search_path = ''
as $$
  select 20000;
$$;

create function private.refuse_filter(p_key text, p_value jsonb, p_hint text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.fail('ORV02', format('the filter %s can not be %s', left(p_key, 40), left(p_value::text, 80)), p_hint);
end;
$$;

-- The condition of a filter on runs as r, made of checked values only. Keys: status (list), lane, template, session, person, since,
-- until, text, dead_letters, id (its first hexadecimal digits).
create function private.runs_where(p_filter jsonb)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_where text := 'true';
  v_key text;
  v_value jsonb;
  v_text text;
  v_like text;
begin
  if jsonb_typeof(p_filter) is distinct from 'object' then
    perform private.refuse_filter('as a whole', p_filter, 'Send a JSON object.');
  end if;
  for v_key, v_value in select key, value from jsonb_each(p_filter) where value <> 'null' loop
    v_text := v_value #>> '{}';
    if v_key not in ('status', 'dead_letters') and (jsonb_typeof(v_value) <> 'string' or char_length(v_text) > 200) then
      perform private.refuse_filter(v_key, v_value, 'Send a text of at most 200 characters.');
    end if;
    case v_key
      when 'status' then
        if jsonb_typeof(v_value) <> 'array' or v_value = '[]'
           or not v_value <@ '["queued", "claimed", "running", "succeeded", "failed", "cancelled", "timed_out"]' then
          perform private.refuse_filter(v_key, v_value, 'Send a list of statuses.');
        end if;
        v_where := v_where || format(' and r.status in (%s)',
          (select string_agg(distinct quote_literal(s), ', ') from jsonb_array_elements_text(v_value) as t (s)));
      when 'lane' then
        v_where := v_where || format(' and r.lane = %L', private.check_lane(v_text));
      when 'template' then
        v_where := v_where || format(' and r.template_slug = %L', v_text);
      when 'session' then
        v_where := v_where || format(' and r.session_id = %L', v_text::uuid);
      when 'person' then
        v_where := v_where || format(' and r.created_by = %L', v_text::uuid);
      when 'since' then
        v_where := v_where || format(' and r.queued_at >= %L', v_text::timestamptz);
      when 'until' then
        v_where := v_where || format(' and r.queued_at < %L', v_text::timestamptz);
      when 'id' then
        v_text := lower(replace(v_text, '-', ''));
        if v_text !~ '^[0-9a-f]{6,32}$' then
          perform private.refuse_filter(v_key, v_value, 'Send the first 6 or more hexadecimal digits.');
        end if;
        v_where := v_where || format(' and r.id between %L and %L', rpad(v_text, 32, '0')::uuid, rpad(v_text, 32, 'f')::uuid);
      when 'text' then
        -- As JSON writes the text inside the params; % _ and \ stand for themselves.
        v_like := replace(replace(replace(v_text, '\', '\\'), '%', '\%'), '_', '\_');
        v_text := to_json(v_text)::text;
        v_text := replace(replace(replace(substr(v_text, 2, char_length(v_text) - 2), '\', '\\'), '%', '\%'), '_', '\_');
        v_where := v_where || format(' and (r.title ilike %L or r.params::text ilike %L)', '%' || v_like || '%', '%' || v_text || '%');
      when 'dead_letters' then
        if jsonb_typeof(v_value) <> 'boolean' then
          perform private.refuse_filter(v_key, v_value, 'Send true or false.');
        elsif v_value = 'true' then
          v_where := v_where || ' and r.status in (''failed'', ''timed_out'') and r.attempt > 1'
            || ' and not exists (select from public.runs as s where s.retry_of = r.id)';
        end if;
      else
        perform private.refuse_filter(v_key, v_value,
          'Known: status, lane, template, session, person, since, until, text, dead_letters, id.');
    end case;
  end loop;
  return v_where;
exception
  when invalid_datetime_format or invalid_text_representation or datetime_field_overflow or invalid_parameter_value then
    perform private.refuse_filter(v_key, v_value, case when v_key in ('since', 'until') then 'Send a time in ISO 8601.' else 'Send a UUID.' end);
end;
$$;

-- A cursor is "queued_at,id" of a run.
create function private.run_cursor(p_run public.runs)
returns text
language sql immutable
set search_path = ''
as $$
  select to_char(p_run.queued_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ',' || p_run.id;
$$;

-- The condition that a run comes after a cursor (is older), or before it. The bound on queued_at alone is what an index can use.
create function private.beyond(p_cursor text, p_older boolean)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_at timestamptz;
  v_id uuid;
begin
  v_at := split_part(p_cursor, ',', 1)::timestamptz;
  v_id := split_part(p_cursor, ',', 2)::uuid;
  return case
    when p_cursor is null then 'true'
    when p_older then format('r.queued_at <= %L and (r.queued_at < %L or r.id > %L)', v_at, v_at, v_id)
    else format('r.queued_at >= %L and (r.queued_at > %L or r.id < %L)', v_at, v_at, v_id) end;
exception
  when invalid_datetime_format or invalid_text_representation or datetime_field_overflow then
    perform private.fail('ORV02', format('the cursor %s is not valid', left(p_cursor, 80)), 'Use the one from the page before.');
end;
$$;

-- Where a search looks: a query of runs that has every run of the filter; whether it is sorted as a whole, or walked by age as far as a
-- window goes; and whether its rows lie far apart.
--  * live runs, those that a retry did not save, and the runs of a session or person who has few: read by their own indexes, then
--    sorted; `offset 0` keeps it so
--  * failures: their own index by age; all others: the index by age
create function private.search_source(p_filter jsonb, p_where text, out source text, out whole boolean, out scattered boolean)
language plpgsql stable
set search_path = ''
as $$
declare
  v_status jsonb := coalesce(p_filter -> 'status', '[]');
  v_parts text;
  v_few boolean := false;
begin
  if p_filter ? 'id' then
    v_parts := format('select * from public.runs as r where %s offset 0', p_where);
  elsif p_filter ? 'session' then
    v_parts := format('(select * from public.runs as r where r.session_id = %L and r.status in (''succeeded'', ''failed'', ''cancelled'', ''timed_out'') offset 0)'
      ' union all (select * from public.runs as r where r.session_id = %1$L and r.status = ''queued'' offset 0)'
      ' union all (select * from public.runs as r where r.session_id = %1$L and r.status in (''claimed'', ''running'') offset 0)', p_filter ->> 'session');
  elsif p_filter ? 'person' then
    v_parts := format('select * from public.runs as r where r.created_by = %L offset 0', p_filter ->> 'person');
  elsif p_filter -> 'dead_letters' = 'true' then
    v_parts := 'select * from public.runs as r where r.status in (''failed'', ''timed_out'') and r.attempt > 1 offset 0';
  elsif v_status <> '[]' and v_status <@ '["queued", "claimed", "running"]' then
    v_parts := '(select * from public.runs as r where r.status = ''queued'' offset 0) union all '
            || '(select * from public.runs as r where r.status in (''claimed'', ''running'') offset 0)';
  end if;
  if v_parts is not null then
    execute format('select count(*) <= %s from (select from (%s) as r limit %1$s + 1) as r', private.sort_limit(), replace(v_parts, 'select *', 'select'))
    into v_few;
  end if;
  whole := v_few;
  scattered := not v_few and (p_filter -> 'dead_letters' = 'true' or (v_status <> '[]' and v_status <@ '["failed", "timed_out", "cancelled"]'));
  source := case when v_few then v_parts else 'select * from public.runs as r where '
    || case when scattered then 'r.status in (''failed'', ''timed_out'', ''cancelled'')' else 'true' end
    || case when p_filter ? 'since' then format(' and r.queued_at >= %L', (p_filter ->> 'since')::timestamptz) else '' end
    || case when p_filter ? 'until' then format(' and r.queued_at < %L', (p_filter ->> 'until')::timestamptz) else '' end end;
end;
$$;

-- Runs of a query that walks an index and stops early, which the planner does not foresee: it would sort everything first.
create function private.walk_runs(p_query text)
returns public.runs[]
language plpgsql stable
set search_path = ''
set enable_sort = off
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_runs public.runs[];
begin
  execute format('select array_agg(r) from (%s) as r', p_query) into v_runs;
  return v_runs;
end;
$$;

-- Newest first. `next` is the cursor to what is older, null when there is nothing; a page that is not full and has a `next` means that the
-- search looked at as many runs as one call may: `searched_to` says back to when. `sessions` has the titles of the runs' sessions. An empty
-- filter is all runs.
create function public.search_runs(p_filter jsonb default '{}', p_before text default null, p_limit integer default 50)
returns json
language plpgsql stable security definer
set search_path = ''
set jit = off
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_where text := private.runs_where(coalesce(p_filter, '{}'));
  v_filter jsonb := jsonb_strip_nulls(coalesce(p_filter, '{}'));
  v_limit integer := least(greatest(coalesce(p_limit, 50), 1), 500);
  v_older text := private.beyond(p_before, true);
  v_source record;
  v_window integer;
  v_runs public.runs[];
  v_last public.runs;
  v_searched_to timestamptz;
begin
  select * into v_source from private.search_source(v_filter, v_where);
  if v_source.whole then
    execute format('select array_agg(r order by r.queued_at desc, r.id) from (select * from (%s) as r where %s and %s '
                   'order by r.queued_at desc, r.id limit %s) as r', v_source.source, v_older, v_where, v_limit + 1)
    into v_runs;
  else
    v_window := private.search_window(v_filter ? 'text', v_source.scattered);
    v_runs := private.walk_runs(format('select * from (%s and %s order by r.queued_at desc, r.id limit %s) as r where %s limit %s',
                                       v_source.source, v_older, v_window, v_where, v_limit + 1));
    if coalesce(cardinality(v_runs), 0) <= v_limit then
      v_last := (private.walk_runs(format('%s and %s order by r.queued_at desc, r.id offset %s limit 1',
                                          v_source.source, v_older, v_window - 1)))[1];
      v_searched_to := v_last.queued_at;
    end if;
  end if;
  if cardinality(v_runs) > v_limit then
    v_runs := v_runs[1:v_limit];
    v_last := v_runs[v_limit];
  end if;
  return json_build_object(
    'runs', (select coalesce(json_agg(c.card order by r.queued_at desc, r.id), '[]')
             from private.run_cards(v_runs) as c join unnest(v_runs) as r on r.id = c.run_id),
    'sessions', (select coalesce(json_object_agg(s.id, s.title), '{}') from public.sessions as s
                 where s.id in (select r.session_id from unnest(v_runs) as r)),
    'next', case when v_last.id is not null then private.run_cursor(v_last) end,
    'searched_to', v_searched_to,
    'read_at', clock_timestamp());
end;
$$;

-- What a page of runs shows, again: its runs as they are now, whether or not they still match, and how many matching ones are newer than
-- the cursor, counted up to 100.
create function public.refresh_runs(p_run_ids uuid[], p_filter jsonb default '{}', p_after text default null)
returns json
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_member public.members := private.require_role('viewer');
  v_where text := private.runs_where(coalesce(p_filter, '{}'));
  v_newer integer;
begin
  if cardinality(p_run_ids) > 500 then
    perform private.fail('ORV02', format('%s runs are too many', cardinality(p_run_ids)), 'Name at most 500 runs.');
  end if;
  v_newer := coalesce(cardinality(private.walk_runs(format(
    'select * from (select * from public.runs as r where %s order by r.queued_at desc, r.id limit %s) as r where %s limit 100',
    private.beyond(p_after, false), private.sort_limit(), v_where))), 0);
  return json_build_object(
    'runs', (select coalesce(json_agg(c.card order by r.queued_at desc, r.id), '[]')
             from private.run_cards((select array_agg(r) from public.runs as r where r.id = any (p_run_ids))) as c
             join public.runs as r on r.id = c.run_id),
    'newer', v_newer,
    'read_at', clock_timestamp());
end;
$$;

revoke all on function private.search_window(boolean, boolean), private.sort_limit(), private.refuse_filter(text, jsonb, text),
  private.runs_where(jsonb), private.run_cursor(public.runs), private.beyond(text, boolean), private.search_source(jsonb, text), private.walk_runs(text),
  public.search_runs(jsonb, text, integer), public.refresh_runs(uuid[], jsonb, text) from public, anon, authenticated, service_role;
grant execute on function public.search_runs(jsonb, text, integer), public.refresh_runs(uuid[], jsonb, text) to authenticated;
