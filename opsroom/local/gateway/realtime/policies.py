"""May this caller read or write this private topic? Row level security on realtime.messages says.

As in Supabase Realtime: rows are tried in a transaction that is always rolled back.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import psycopg

from opsroom.local.gateway.database import Database, one
from opsroom.local.gateway.identity import Caller


@dataclass(frozen=True)
class Permissions:
    read: bool
    write: bool


class Asked(Exception):
    """Rolls the trial back."""


async def permissions(database: Database, caller: Caller, topic: str) -> Permissions:
    """What the policies give `caller` on `topic`. A policy that fails gives nothing."""
    read = write = False
    probe = str(uuid.uuid4())
    try:
        async with database.as_admin() as connection:
            await connection.execute(
                "insert into realtime.messages (id, topic, extension, private, payload, event) "
                "values ($1, $2, 'broadcast', true, '{}', 'authorize')",
                (probe, topic),
            )
            await connection.execute(
                "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true), "
                "set_config('realtime.topic', $3, true), set_config('search_path', 'public, extensions', true), "
                "set_config('statement_timeout', '5s', true)",
                (caller.role, caller.claims_json, topic),
            )
            read = await one(connection, "select 1 as yes from realtime.messages where id = $1", (probe,)) is not None
            try:
                async with connection.transaction():
                    await connection.execute(
                        "insert into realtime.messages (topic, extension, private, payload, event) "
                        "values ($1, 'broadcast', true, '{}', 'authorize')",
                        (topic,),
                    )
                    write = True
            except psycopg.errors.InsufficientPrivilege:
                write = False
            raise Asked
    except Asked:
        return Permissions(read, write)
    except psycopg.Error as error:
        if error.sqlstate is None:  # no database: nobody can say, so the client must come back
            raise
        return Permissions(False, False)
