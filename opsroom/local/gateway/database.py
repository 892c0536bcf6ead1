"""The gateway's two connection pools, and the transaction in which a caller's request runs.

REST and Storage connect as `authenticator`, which can do nothing but become one of the three API roles; a query that
managed to `reset role` would land there. Auth and Realtime use a separate privileged pool with fixed statements only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from opsroom.local.gateway.identity import Caller
from opsroom.local.gateway.settings import Settings

Row = dict[str, Any]

_SET_CALLER = (
    "select set_config('search_path', 'public, extensions', true), set_config('role', $1, true), "
    "set_config('request.jwt.claims', $2, true), set_config('request.method', $3, true), "
    "set_config('request.path', $4, true), set_config('request.headers', $5, true)"
)


@dataclass(frozen=True)
class RequestContext:
    """What a function may read of its request through `current_setting('request.*')`."""

    method: str = ""
    path: str = ""
    headers_json: str = "{}"


class Database:
    def __init__(self, settings: Settings) -> None:
        options = {"autocommit": True, "cursor_factory": AsyncRawCursor, "row_factory": dict_row}
        self._api: AsyncConnectionPool[AsyncConnection[Row]] = _pool(settings.api_dsn, "rest", 1, 20, options)
        self._admin: AsyncConnectionPool[AsyncConnection[Row]] = _pool(settings.admin_dsn, "admin", 1, 8, options)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for pool in (self._api, self._admin):
                await pool.open(wait=True, timeout=30)
                stack.push_async_callback(pool.close)
            yield

    @asynccontextmanager
    async def as_caller(
        self, caller: Caller, context: RequestContext | None = None, *, read_only: bool = False
    ) -> AsyncIterator[AsyncConnection[Row]]:
        """A transaction under the caller's role and claims. The first two commands travel together (pipeline)."""
        context = context or RequestContext()
        async with self._api.connection() as connection, connection.pipeline(), connection.transaction():
            if read_only:
                await connection.execute("set transaction read only")
            await connection.execute(
                _SET_CALLER,
                (caller.role, caller.claims_json, context.method, context.path, context.headers_json),
            )
            yield connection

    @asynccontextmanager
    async def as_admin(self) -> AsyncIterator[AsyncConnection[Row]]:
        """A privileged transaction, for Auth's tables and for checking Realtime policies. Fixed statements only."""
        async with self._admin.connection() as connection, connection.transaction():
            yield connection


def _pool(dsn: str, name: str, smallest: int, largest: int, options: Mapping[str, Any]) -> AsyncConnectionPool[Any]:
    return AsyncConnectionPool(
        dsn,
        name=name,
        min_size=smallest,
        max_size=largest,
        timeout=10,
        open=False,
        kwargs={**options, "application_name": f"gateway-{name}"},
        check=AsyncConnectionPool.check_connection,
    )


async def one(connection: AsyncConnection[Row], query: str, parameters: tuple[Any, ...] = ()) -> Row | None:
    return await (await connection.execute(query.encode(), parameters)).fetchone()


async def many(connection: AsyncConnection[Row], query: str, parameters: tuple[Any, ...] = ()) -> list[Row]:
    return await (await connection.execute(query.encode(), parameters)).fetchall()


__all__ = ["Database", "RequestContext", "Row", "many", "one", "psycopg"]
