"""Templates that differ in how they are scheduled, and runs of them that wait."""

from typing import Any

from tests.database.conftest import TEMPLATE, Person, Room

SPEC = TEMPLATE | {"params": {"properties": {"database": {"type": "string", "default": "odoo"}}}}


async def seed(room: Room, slug: str, **more: Any) -> str:
    await room.store_template(SPEC | {"slug": slug} | more)
    return slug


async def queue(operator: Person, session_id: str, template: str, lane: str = "A", **params: Any) -> str:
    run = await operator.call("create_run", p_session_id=session_id, p_template=template, p_params=params, p_lane=lane)
    return run["id"]
