-- Orphans: objects in Storage that nothing names and never will. They are looked for in the order of their names, a part at a time.
-- Lock: the caller holds opsroom.collect.

-- How old an object must be that nothing names: an upload comes before its row.
create function private.orphan_grace()
returns interval
language sql immutable
set search_path = ''
as $$
  select interval '1 day';
$$;

-- Whether an object is one of ours that nothing names any more and never will: its run has ended, or never was.
create function private.is_orphan(p_bucket text, p_name text, p_created_at timestamptz)
returns boolean
language plpgsql stable
set search_path = ''
as $$
declare
  v_run_id uuid;
begin
  if p_name !~ ('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/[0-9a-f]{64}' || (case p_bucket when 'bundles' then '\.zip' else '' end) || '$')
     or p_created_at > clock_timestamp() - private.orphan_grace() then
    return false;
  end if;
  v_run_id := split_part(p_name, '/', 1)::uuid;
  return not private.is_held(v_run_id)
    and not exists (select from public.runs where id = v_run_id and (finished_at is null or finished_at > clock_timestamp() - private.orphan_grace()))
    and not exists (select from public.artifacts where p_bucket = 'artifacts' and object_path = p_name)
    and not exists (select from public.bundles where p_bucket = 'bundles' and run_id = v_run_id and object_path = p_name);
end;
$$;

create function private.orphans(p_bucket text, p_name text, p_limit integer)
returns table (bucket_id text, name text, size_bytes bigint, created_at timestamptz, is_orphan boolean)
language sql stable
set search_path = ''
as $$
  select o.bucket_id, o.name, (o.metadata ->> 'size')::bigint, o.created_at, private.is_orphan(o.bucket_id, o.name, o.created_at)
  from storage.objects as o
  where o.bucket_id in ('artifacts', 'bundles') and (o.bucket_id, o.name) > (p_bucket, p_name)
  order by o.bucket_id, o.name limit p_limit;
$$;

-- Looks at the next p_limit objects; how many of them nothing names. A search through all of them begins once a day, or when p_now.
create function private.find_orphans(p_limit integer, p_now boolean)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_state private.collection_state;
  v_object record;
  v_last record;
  v_seen integer := 0;
  v_found integer := 0;
begin
  update private.collection_state set last_collection_at = clock_timestamp() returning * into v_state;
  if v_state.name = '' and v_state.searched_at > clock_timestamp() - interval '1 day' and not p_now then
    return 0;
  end if;
  for v_object in select * from private.orphans(v_state.bucket_id, v_state.name, p_limit) loop
    v_seen := v_seen + 1;
    v_last := v_object;
    if v_object.is_orphan then
      insert into private.doomed_objects (bucket_id, name, run_id)
      values (v_object.bucket_id, v_object.name, split_part(v_object.name, '/', 1)::uuid) on conflict do nothing;
      if found then
        v_found := v_found + 1;
        perform private.audit('orphan.collected', 'run', split_part(v_object.name, '/', 1),
          jsonb_build_object('bucket', v_object.bucket_id, 'name', v_object.name, 'size_bytes', v_object.size_bytes));
      end if;
    end if;
  end loop;
  if v_seen < p_limit then
    update private.collection_state set searched_at = clock_timestamp(), bucket_id = '', name = '';
  else
    update private.collection_state set bucket_id = v_last.bucket_id, name = v_last.name;
  end if;
  return v_found;
end;
$$;

revoke all on function private.orphan_grace(), private.is_orphan(text, text, timestamptz), private.orphans(text, text, integer),
  private.find_orphans(integer, boolean) from public, anon, authenticated, service_role;
