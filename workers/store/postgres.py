"""The direct transport: psycopg 3 on the database, with LISTEN for wake-ups.

Works behind a transaction pooler too: no prepared statements, and the role is set for each call's own transaction, in
the same round trip. There LISTEN stays silent: polling carries the work, and losses are noticed by the lease.
"""

import asyncio
import functools
import logging
import random
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import psycopg
from psycopg import AsyncClientCursor, AsyncConnection, pq, sql
from psycopg.types.json import Jsonb

from opsroom.domain.errors import from_sqlstate
from workers.store.transport import Channel, Losses, Refused, Unavailable

log = logging.getLogger(__name__)

CHANNEL: Final = "opsroom_runs"
PROBE_SECONDS: Final = 2.0
FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
"""Between tries to listen again: a worker whose connection is missing for a second is taken for dead."""
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
    """At most `size` connections for calls, one for heartbeats, one for LISTEN: the last is the worker's own."""

    name = "postgres"

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._slots = asyncio.Semaphore(size)
        self._idle: dict[Channel, list[AsyncConnection[Any]]] = {"calls": [], "heartbeat": []}
        self.losses: Losses = "lease"

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        for channel in self._idle:
            await self._forget(channel)

    async def call(self, function: str, params: Mapping[str, Any], channel: Channel) -> Any:
        try:
            if channel == "heartbeat":
                return await self._call(function, params, channel)
            async with self._slots:
                return await self._call(function, params, channel)
        except psycopg.Error as error:
            raise _translate(error) from error

    async def _call(self, function: str, params: Mapping[str, Any], channel: Channel) -> Any:
        # Taken out while in use: one that was cancelled in the middle, because it hung, is not used again. The one used
        # last is used next, because its plans are warm: a queue of connections would keep a quiet worker's all cold.
        idle = self._idle[channel]
        connection = idle.pop() if idle else await AsyncConnection.connect(self._url, **CONNECTION)
        try:
            return await _call(connection, function, params)
        finally:
            if connection.info.transaction_status == pq.TransactionStatus.IDLE:
                idle.append(connection)
            else:
                # What cut this one off has most likely cut off all.
                await connection.close()
                await self._forget(channel)

    async def _forget(self, channel: Channel) -> None:
        while self._idle[channel]:
            await self._idle[channel].pop().close()

    async def hints(self, worker_id: str) -> AsyncIterator[str]:
        pause = FIRST_PAUSE
        while True:
            try:
                async with await AsyncConnection.connect(self._url, **CONNECTION) as connection:
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
                    # What was announced while nobody listened is found by looking.
                    yield "queued"
                    async for hint in self._attached(connection, worker_id):
                        pause = FIRST_PAUSE
                        yield hint
            except psycopg.Error as error:
                log.warning("the worker's own connection was lost", extra={"error": str(error).strip()})
            self.losses = "lease"
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  jitter, not a secret
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _attached(self, connection: AsyncConnection[Any], worker_id: str) -> AsyncIterator[str]:
        """Notifications on a connection that the database knows as the worker's own, once it is known to be direct."""
        probe = f"opsroom_probe_{secrets.token_hex(8)}"
        await connection.execute(sql.SQL("listen {}").format(sql.Identifier(probe)))
        async with await AsyncConnection.connect(self._url, **CONNECTION) as other:
            await other.execute("select pg_notify(%s, '')", (probe,))
        heard = [notice async for notice in connection.notifies(timeout=PROBE_SECONDS, stop_after=1)]
        if not heard:
            # As behind a transaction pooler. New runs are found by polling.
            log.warning("notifications do not arrive: losses are noticed by the lease")
            heard = [notice async for notice in connection.notifies(stop_after=1)]
        # Only a server process that is this worker's alone passes a notification on: so its end is the worker's end.
        await _call(connection, "attach_worker", {"p_worker_id": worker_id})
        self.losses = "connection"
        log.info("attached: losses are noticed by the connection", extra={"worker": worker_id})
        for notice in heard:
            if notice.channel == CHANNEL:
                yield notice.payload
        async for notice in connection.notifies():
            if notice.channel == CHANNEL:
                yield notice.payload


@functools.cache
def _query(function: str, names: tuple[str, ...]) -> bytes:
    arguments = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in names
    )
    # Two statements in one message are one transaction, hence `set local`; psycopg then leaves us at the first result.
    call = sql.SQL("set local role service_role; select public.{}({})").format(sql.Identifier(function), arguments)
    return call.as_bytes(None)


async def _call(connection: AsyncConnection[Any], function: str, params: Mapping[str, Any]) -> Any:
    values = {name: Jsonb(v) if isinstance(v, (dict, list)) else v for name, v in params.items()}
    async with AsyncClientCursor(connection) as cursor:
        await cursor.execute(_query(function, tuple(params)), values)
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
