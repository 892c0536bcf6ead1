"""The direct transport: psycopg 3 on the database, with LISTEN for wake-ups.

Works behind a transaction pooler too: no prepared statements, and the role is set for each call's own transaction, in
the same round trip. There LISTEN stays silent, and polling carries the work.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import psycopg
from psycopg import AsyncClientCursor, AsyncConnection, sql
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from opsroom.domain.errors import from_sqlstate
from workers.store.transport import Channel, Refused, Unavailable

log = logging.getLogger(__name__)

CHANNEL: Final = "opsroom_runs"
LISTEN_RETRY_SECONDS: Final = 2.0
CONNECTION: Final[dict[str, Any]] = {
    "autocommit": True,
    "prepare_threshold": None,
    "connect_timeout": 5,
    "application_name": "opsroom-worker",
    # A peer that vanished without a word is noticed within seconds, not hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class PostgresTransport:
    """`size` connections for calls, one for heartbeats, one for LISTEN."""

    name = "postgres"

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._pool = AsyncConnectionPool[AsyncConnection[Any]](
            url, kwargs=CONNECTION, min_size=1, max_size=size, open=False, timeout=5, name="calls"
        )
        self._heartbeat: AsyncConnection[Any] | None = None

    async def open(self) -> None:
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close()
        if self._heartbeat:
            await self._heartbeat.close()

    async def call(self, function: str, params: Mapping[str, Any], channel: Channel) -> Any:
        try:
            if channel == "heartbeat":
                return await self._beat(function, params)
            async with self._pool.connection() as connection:
                return await _call(connection, function, params)
        except PoolTimeout as error:
            raise Unavailable(f"no database connection: {error}") from error
        except psycopg.Error as error:
            raise _translate(error) from error

    async def _beat(self, function: str, params: Mapping[str, Any]) -> Any:
        # Taken out while in use: one that was cancelled in the middle, because it hung, is not used again.
        connection, self._heartbeat = self._heartbeat, None
        if connection is None or connection.closed:
            connection = await AsyncConnection.connect(self._url, **CONNECTION)
        try:
            answer = await _call(connection, function, params)
        except BaseException:
            await connection.close()
            raise
        self._heartbeat = connection
        return answer

    async def hints(self) -> AsyncIterator[str]:
        while True:
            try:
                async with await AsyncConnection.connect(self._url, **CONNECTION) as connection:
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
                    # What was announced while nobody listened is found by looking.
                    yield "queued"
                    async for notice in connection.notifies():
                        yield notice.payload
            except psycopg.Error as error:
                log.warning("listening for wake-ups was interrupted", extra={"error": str(error).strip()})
            await asyncio.sleep(LISTEN_RETRY_SECONDS)


async def _call(connection: AsyncConnection[Any], function: str, params: Mapping[str, Any]) -> Any:
    arguments = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in params
    )
    # Two statements in one message are one transaction, hence `set local`; psycopg then leaves us at the first result.
    query = sql.SQL("set local role service_role; select public.{}({})").format(sql.Identifier(function), arguments)
    values = {name: Jsonb(v) if isinstance(v, (dict, list)) else v for name, v in params.items()}
    async with AsyncClientCursor(connection) as cursor:
        await cursor.execute(query, values)
        cursor.nextset()
        row = await cursor.fetchone()
    return row[0] if row else None


def _translate(error: psycopg.Error) -> Exception:
    said = error.diag
    text = said.message_primary or str(error).strip() or type(error).__name__
    if error.sqlstate:
        if known := from_sqlstate(error.sqlstate, text, detail=said.message_detail, hint=said.message_hint):
            return known
        # 08 connection, 40 rollback, 53 resources, 55 locks, 57 shutdown, 58 system: another try may succeed.
        if error.sqlstate[:2] not in ("08", "40", "53", "55", "57", "58"):
            return Refused(f"the database answered {error.sqlstate}: {text}")
    return Unavailable(text)
