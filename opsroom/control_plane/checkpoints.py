"""Checkpoints: where the published ones are, and the facts that they are held against."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from postgrest import AsyncPostgrestClient

from opsroom.control_plane.models import Row
from opsroom.control_plane.rest import Rest

BUCKET: Final = "checkpoints"
PAGE: Final = 1000
"""Rows, or heads, that one call is about."""


class CheckpointRow(Row):
    """A published checkpoint, as the database points to it. `heads` is how many runs it is about."""

    number: int
    digest: str
    heads: int
    ended_until: dt.datetime
    object_path: str
    keyid: str
    at: dt.datetime


class LastCheckpoint(Row):
    number: int
    digest: str


class HeadFacts(Row):
    """What the database knows of some runs now, in the order asked: whether the run exists, the number of its last
    event, and the hash of the event asked about (null when it has none of that number).
    """

    room: str
    last: LastCheckpoint | None = None
    heads: tuple[tuple[bool, int, str | None], ...] = ()


class Checkpoints:
    """Queries about checkpoints; part of `ControlPlane`."""

    _rest: Rest

    async def checkpoints(self, *, after: int = 0) -> tuple[CheckpointRow, ...]:
        """The first thousand numbered above `after`, ascending."""

        async def rows(api: AsyncPostgrestClient) -> list[Any]:
            query = api.from_("checkpoints").select(",".join(CheckpointRow.model_fields)).gt("number", after)
            return (await query.order("number").limit(PAGE).execute()).data

        return tuple(CheckpointRow.model_validate(row) for row in await self._rest.send(rows))

    async def checkpoint_bytes(self, row: CheckpointRow) -> bytes:
        """The published checkpoint. It proves itself: see `opsroom checkpoint verify`."""
        async with self._rest.object(BUCKET, row.object_path) as response:
            return await response.aread()

    async def read_heads(self, heads: Sequence[tuple[str, int]]) -> HeadFacts:
        """The facts about at most a thousand heads, each a run's id and the number of an event."""
        return HeadFacts.model_validate(await self._rest.rpc("read_heads", {"p_heads": [list(h) for h in heads]}))
