"""Runs in a worker's hands, and what makes them stuck."""

from typing import Any

from tests.database.conftest import Person, Room, Worker


async def expire(room: Room, run_id: str) -> None:
    await room.owner.execute(
        "update public.runs set lease_expires_at = clock_timestamp() - interval '1 s' where id = %s", (run_id,)
    )


async def claimed(operator: Person, session_id: str, worker: Worker, template: str = "greet") -> dict[str, Any]:
    await operator.call("create_run", p_session_id=session_id, p_template=template, p_params={"name": "ada"})
    (claim,) = await worker.claim()
    return claim


async def row(room: Room, run_id: str) -> dict[str, Any]:
    return await room.value("select to_json(r) from public.runs as r where id = %s", run_id)
