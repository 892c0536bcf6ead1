"""Turns an empty Postgres into the database of a Supabase project: roles, schemas, functions. Once per cluster."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from opsroom.local.postgres import LOGINS, Postgres, Role

SQL_FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))
# All files are one transaction: where this table exists, the whole bootstrap was committed.
_DONE = "select to_regclass('supabase_migrations.schema_migrations') is not null"


async def bootstrap(postgres: Postgres) -> bool:
    """Run the bootstrap files in one transaction unless that was done before. True when they ran now."""
    async with await psycopg.AsyncConnection.connect(postgres.dsn("supabase_admin")) as connection:
        row = await (await connection.execute(_DONE)).fetchone()
        if row is not None and row[0]:
            return False
        for file in SQL_FILES:
            await connection.execute(file.read_bytes())
        role: Role
        for role in ("postgres", "authenticator", "worker"):
            await connection.execute(
                sql.SQL("alter role {} password {}").format(
                    sql.Identifier(LOGINS[role]), sql.Literal(getattr(postgres.secrets, role))
                )
            )
    return True
