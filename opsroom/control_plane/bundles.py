"""Evidence bundles: the signed proof of an ended run, as its worker left it."""

import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from postgrest import AsyncPostgrestClient

from opsroom.control_plane.commands import as_uuid
from opsroom.control_plane.models import Row
from opsroom.control_plane.rest import Rest

BUCKET: Final = "bundles"


class Bundle(Row):
    """A bundle in Storage. `events` is how many of the run's events it proves."""

    run_id: str
    events: int
    chain_head: str
    sha256: str
    size_bytes: int
    object_path: str
    keyid: str
    signed_at: dt.datetime


class Bundles:
    """Queries about bundles; part of `ControlPlane`."""

    _rest: Rest

    async def bundle(self, run_id: str) -> Bundle | None:
        """A run's newest bundle; None while there is none."""
        identifier = as_uuid(run_id, "run")

        async def newest(api: AsyncPostgrestClient) -> list[Any]:
            query = api.from_("bundles").select(",".join(Bundle.model_fields)).eq("run_id", identifier)
            return (await query.order("events", desc=True).limit(1).execute()).data

        rows = await self._rest.send(newest)
        return Bundle.model_validate(rows[0]) if rows else None

    @asynccontextmanager
    async def open_bundle(self, bundle: Bundle) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Its bytes, in chunks. They prove themselves: see `opsroom verify`."""
        async with self._rest.object(BUCKET, bundle.object_path) as response:
            yield response.aiter_bytes(64 * 1024)
