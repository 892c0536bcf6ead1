"""Eight workers, five hundred runs, four sessions with four lanes each: every promise about claims, with real processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

from tests.worker.room import Room, eventually

WORKERS, RUNS, SESSIONS, LANES = 8, 500, 4, "ABCD"


async def test_every_run_is_claimed_once_started_once_and_lanes_never_exceed_their_capacity(room: Room) -> None:
    witness = room.folder / "witness"
    # The children themselves tell, outside of the database: O_APPEND of a short line is atomic.
    slug = await room.template(
        [
            {
                "with": {
                    "script": f'echo "begin $RUN_ID $RUN_ATTEMPT $PARAM_SLOT" >> {witness}; echo "end $RUN_ID - $PARAM_SLOT" >> {witness}'
                }
            }
        ],
        params={"properties": {"slot": {"type": "string"}}},
    )
    sessions = [await room.new_session() for _ in range(SESSIONS)]
    places = [(session, lane) for session in sessions for lane in LANES]
    # The first session's lanes take two runs at once.
    await room.sql("update lanes set capacity = 2 where session_id = %s", sessions[0])
    limits = {f"{session}{lane}": 2 if session == sessions[0] else 1 for session, lane in places}

    slots = [places[number % len(places)] for number in range(RUNS)]
    launched: list[str] = await room.call(
        "select json_agg(create_run(s, %s, json_build_object('slot', s || l), l) ->> 'id')"
        " from unnest(%s::uuid[], %s::text[]) as t (s, l)",
        *(slug, [session for session, _ in slots], [lane for _, lane in slots]),
    )

    async def left() -> bool:
        rows = await room.sql(
            "select count(*) as n from runs where session_id = any(%s) and finished_at is null", sessions
        )
        return rows[0]["n"] == 0

    async with AsyncExitStack() as stack:
        workers = await asyncio.gather(
            *(stack.enter_async_context(room.worker(OPSROOM_WORKER_NAME=f"w{n}")) for n in range(WORKERS))
        )
        await eventually(left, "all runs to end", 100)
        said = "".join(worker.said for worker in workers)

    runs = await room.sql("select id, status, claimed_by, attempt from runs where session_id = any(%s)", sessions)
    assert {str(run["id"]) for run in runs} == set(launched), "nothing was lost, nothing was made up"
    assert Counter(run["status"] for run in runs) == {"succeeded": RUNS}
    # How evenly is nobody's promise: a worker that starts late may find the queue empty.
    assert len({run["claimed_by"] for run in runs}) > WORKERS // 2, "the work was shared"

    lines = [line.split() for line in witness.read_text().splitlines()]
    begun = Counter(line[1] for line in lines if line[0] == "begin")
    assert begun == Counter(launched), "every run's process was started exactly once"
    busy: Counter[str] = Counter()
    for kind, _, _, slot in lines:
        busy[slot] += 1 if kind == "begin" else -1
        assert busy[slot] <= limits[slot], f"lane {slot} ran {busy[slot]} at once"

    claims = await room.sql(
        "select type, count(*) as n, count(distinct run_id) as runs from run_events e join runs r on r.id = e.run_id"
        " where r.session_id = any(%s) and type in ('run.claimed', 'run.started', 'run.succeeded') group by type",
        sessions,
    )
    assert {(row["type"], row["n"], row["runs"]) for row in claims} == {
        (kind, RUNS, RUNS) for kind in ("run.claimed", "run.started", "run.succeeded")
    }
    overlaps = await room.sql(
        "select count(*) as n from runs a join runs b on a.session_id = b.session_id and a.lane = b.lane and a.id < b.id"
        " and a.claimed_at < b.finished_at and b.claimed_at < a.finished_at where a.session_id = any(%s)",
        sessions[1:],
    )
    assert overlaps[0]["n"] == 0, "by the database's own times, no lane held two runs at once"
    assert "Traceback" not in said
