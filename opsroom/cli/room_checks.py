"""What `opsroom doctor` asks the control plane: reachable, signed in, up to date, worked on."""

import datetime as dt
import time
from collections.abc import AsyncGenerator
from typing import Final

from opsroom.cli.checks import Check
from opsroom.cli.room import open_room
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.config import Connection
from opsroom.control_plane.rest import open_http
from opsroom.control_plane.search import RunFilter
from opsroom.domain.errors import OpsRoomError

ALIVE_WITHIN_SECONDS: Final = 30
"""A worker beats every few seconds; one that was silent for this long is gone or cut off."""
SWEEP_WITHIN_SECONDS: Final = 60
"""A lease that ended this long ago should have been swept."""


async def control_plane(connection: Connection) -> AsyncGenerator[Check]:
    """Each thing in turn; what depends on one that failed is left out."""
    reachable = await _reachable(connection)
    yield reachable
    if reachable.verdict == "fail":
        return
    try:
        async with open_room() as room:
            me = await room.whoami()
            enough = me.role in ("operator", "approver", "admin")
            advice = None if enough else "To start runs, ask an admin for the role operator."
            yield Check("you", "ok" if enough else "warn", f"{me.email}, {me.role}", advice)
            yield await _schema(room)
            async for check in _work(room):
                yield check
    except OpsRoomError as error:
        yield Check("you" if error.status in (401, 403) else "control plane", "fail", error.message, error.hint)


async def _reachable(connection: Connection) -> Check:
    import httpx

    started = time.monotonic()
    try:
        async with open_http() as http:
            url = f"{connection.url}/auth/v1/health"
            answer = await http.get(url, headers={"apikey": connection.key}, timeout=5)
    except httpx.HTTPError as error:
        advice = (
            "Start it with `opsroom up`." if connection.source == "embedded" else "Check SUPABASE_URL and the network."
        )
        return Check("API", "fail", f"{connection.url} cannot be reached: {type(error).__name__}", advice)
    if answer.status_code in (401, 403):
        return Check("API", "fail", f"{connection.url} refuses the key", "Check SUPABASE_PUBLISHABLE_KEY.")
    if not answer.is_success:
        return Check(
            "API", "fail", f"{connection.url} answers {answer.status_code}", "Look at the project's status and logs."
        )
    return Check("API", "ok", f"{connection.url} answers in {(time.monotonic() - started) * 1000:.0f} ms")


async def _schema(room: ControlPlane) -> Check:
    try:
        templates = await room.templates()
        await room.list_sessions()
    except OpsRoomError as error:
        return Check("database schema", "fail", error.message, error.hint)
    if not templates:
        return Check("templates", "warn", "there are none", "Load supabase/seed.sql, or `opsroom templates save FILE`.")
    return Check("database schema", "ok", f"answers as this version needs; {len(templates)} templates")


async def _work(room: ControlPlane) -> AsyncGenerator[Check]:
    now = dt.datetime.now(dt.UTC)
    workers = await room.workers()
    alive = [worker for worker in workers if (now - worker.last_seen_at).total_seconds() < ALIVE_WITHIN_SECONDS]
    silent = [worker for worker in workers if worker not in alive]
    start = "Start one: `opsroom worker`, or `python -m workers` where the service key is."
    if alive:
        age = (now - alive[0].last_seen_at).total_seconds()
        slots = sum(worker.capacity for worker in alive if worker.draining_at is None)
        yield Check("workers", "ok", f"{len(alive)} alive with {slots} slots, last heartbeat {max(age, 0):.0f} s ago")
    elif workers:
        age = (now - workers[0].last_seen_at).total_seconds()
        yield Check("workers", "fail", f"none alive; the last heartbeat was {age:.0f} s ago", start)
    else:
        yield Check("workers", "fail", "none is registered", start)
    if alive and silent:
        names = ", ".join(sorted({worker.name for worker in silent})[:5])
        yield Check(
            "silent workers",
            "warn",
            f"{len(silent)} did not stop properly: {names}",
            "Nothing, if they are gone on purpose.",
        )
    live = await room.runs(RunFilter(statuses=("claimed", "running"), limit=1000))
    overdue = [
        run
        for run in live
        if run.lease_expires_at and (now - run.lease_expires_at).total_seconds() > SWEEP_WITHIN_SECONDS
    ]
    if overdue:
        found = f"{len(overdue)} runs have lost their worker and were not swept, first {overdue[0].id[:8]}"
        yield Check("sweep", "fail", found, "Workers sweep: start one. On a project, look at the pg_cron job.")
    else:
        yield Check("sweep", "ok", f"no run is stuck; {len(live)} are live")
