-- Doorbells for each statement and session, none for each run: a change of a run's status rings its session, by name. `run:<id>` rings for
-- what is the run's alone, its events and artifacts. Whoever watches a run hears both. The claim of an immediate run, which starts it, rings
-- for nobody: its end comes in the same breath, or a heartbeat, or the sweep.

create or replace function private.ring(p_topic text, p_payload jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform realtime.send(p_payload, 'changed', p_topic, true);
end;
$$;

-- The list of sessions counts queued, active and ended runs: it hears when one of these changes. A ring names at most 100 runs; one without
-- names stands for all. A run that is moved rings for the lane that it left as well.
create or replace function private.ring_runs()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.ring('session:' || c.session_id, jsonb_build_object('what', 'run', 'lanes', c.lanes)
            || case when c.many then '{}' else jsonb_build_object('run_ids', c.ids) end),
          case when c.moved then private.ring('sessions', jsonb_build_object('session_id', c.session_id)) end
  from (
    select n.session_id, count(*) > 100 as many, jsonb_agg(n.id) as ids, bool_or(n.status <> o.status and n.status <> 'running') as moved,
           case when bool_or(n.lane <> o.lane) then (select jsonb_agg(distinct l) from unnest(array_agg(n.lane) || array_agg(o.lane)) as l)
                else jsonb_agg(distinct n.lane) end as lanes
    from changed as n join before as o on o.id = n.id
    where not (o.status = 'queued' and n.status = 'running')
    group by n.session_id) as c;
  return null;
end;
$$;
