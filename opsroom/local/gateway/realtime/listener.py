"""One connection that listens to the database: broadcasts to deliver, and changes of the schema."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import psycopg
from psycopg import AsyncConnection

from opsroom.local.gateway.database import Database, one
from opsroom.local.gateway.realtime.hub import Hub
from opsroom.local.gateway.rest.catalog import Catalog

_LOG = logging.getLogger("opsroom.gateway.realtime")
_PURGE_SECONDS = 600.0
# Hosted keeps messages for three days; here they are only needed until they are delivered.
_PURGE = "delete from realtime.messages where inserted_at < (now() at time zone 'utc') - interval '1 hour'"


class Listener:
    def __init__(self, dsn: str, database: Database, hub: Hub, catalog: Catalog) -> None:
        self._dsn = dsn
        self._database = database
        self._hub = hub
        self._catalog = catalog

    async def run(self) -> None:
        """Until cancelled. After a lost connection all sockets are closed, so that clients read what they missed."""
        first = True
        while True:
            try:
                connection = await AsyncConnection.connect(
                    self._dsn, autocommit=True, application_name="gateway-listen", connect_timeout=5
                )
                async with connection:
                    await connection.execute("listen realtime_broadcast")
                    await connection.execute("listen pgrst")
                    self._catalog.mark_stale()
                    if not first:
                        await self._hub.disconnect_everybody("the database connection was renewed")
                    first = False
                    while True:
                        await self._deliver(connection)
                        async with self._database.as_admin() as admin:
                            await admin.execute(_PURGE)
            except psycopg.Error as error:
                _LOG.warning("lost the connection to the database, trying again: %s", error)
                await asyncio.sleep(0.5)

    async def _deliver(self, connection: AsyncConnection) -> None:
        async for notice in connection.notifies(timeout=_PURGE_SECONDS):
            if notice.channel == "pgrst":
                self._catalog.mark_stale()
                continue
            message: dict[str, Any] | None = json.loads(notice.payload)
            if message is not None and "topic" not in message:
                message = await self._read(message["id"])
            if message is not None:
                self._hub.broadcast(
                    message["topic"],
                    bool(message["private"]),
                    message["event"] or "",
                    message["payload"],
                    message_id=message["id"],
                )

    async def _read(self, message_id: str) -> dict[str, Any] | None:
        """A message too long for a notification. The listening connection is busy: another one reads it."""
        async with self._database.as_admin() as admin:
            return await one(
                admin,
                "select id::text, topic, event, private, payload from realtime.messages where id = $1::uuid",
                (message_id,),
            )
