"""The two databases of a snapshot: the source, and the scratch one for the trial restore."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo

from workers.programs.postgres_snapshot.tools import SnapshotFailed, say

SCRATCH_PREFIX: Final = "opsroom_scratch_"

# Tables and materialized views with rows of their own: not those of the system, of temporary schemas or of extensions.
_TABLES: Final = """
  select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_'
    and (%s::text is null or n.nspname = %s)
    and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  order by 1, 2"""


async def connect(url: str, database: str | None = None) -> AsyncConnection[Any]:
    """An autocommitting connection. Raises SnapshotFailed."""
    overrides = {"dbname": database} if database else {}
    try:
        return await AsyncConnection[Any].connect(
            make_conninfo(url, connect_timeout=10, application_name="opsroom-snapshot", **overrides), autocommit=True
        )
    except psycopg.Error as error:
        raise SnapshotFailed(f"the database can not be reached: {str(error).strip()}") from error


async def server_version(connection: AsyncConnection[Any]) -> tuple[int, str]:
    """The server's major version, and its version as it says it."""
    cursor = await connection.execute("select current_setting('server_version_num'), current_setting('server_version')")
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0]) // 10000, row[1]


async def count_rows(connection: AsyncConnection[Any], schema: str | None) -> dict[str, int]:
    """Rows of every table, as `schema.table`."""
    counts: dict[str, int] = {}
    for namespace, name in await (await connection.execute(_TABLES, (schema, schema))).fetchall():
        query = sql.SQL("select count(*) from only {}").format(sql.Identifier(namespace, name))
        row = await (await connection.execute(query)).fetchone()
        counts[f"{namespace}.{name}"] = row[0] if row else 0
    return counts


@asynccontextmanager
async def scratch_database(url: str, name: str) -> AsyncGenerator[str]:
    """A database of the same encoding and locale as the one of `url`, dropped whatever happens."""
    async with await connect(url) as connection:
        # A worker that was killed in the middle left one behind: nobody uses it any more.
        await _drop_abandoned(connection)
        await connection.execute(await _create_statement(connection, name))
        say(f"created scratch database {name}")
    try:
        yield name
    finally:
        async with await connect(url) as connection:
            await connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
            say(f"dropped scratch database {name}")


async def drop_schema(connection: AsyncConnection[Any], name: str) -> None:
    """Drop a schema of the scratch database, if it is there."""
    await connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(name)))


async def _create_statement(connection: AsyncConnection[Any], name: str) -> sql.Composed:
    cursor = await connection.execute(
        "select pg_encoding_to_char(encoding), datcollate, datctype, to_jsonb(d) ->> 'datlocprovider',"
        " coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')"
        " from pg_database d where datname = current_database()"
    )
    row = await cursor.fetchone()
    assert row is not None
    encoding, collate, ctype, provider, locale = row
    options = [sql.SQL("encoding {} lc_collate {} lc_ctype {}").format(*map(sql.Literal, (encoding, collate, ctype)))]
    if provider == "i":
        options.append(sql.SQL("locale_provider icu icu_locale {}").format(sql.Literal(locale)))
    elif provider == "b":
        options.append(sql.SQL("locale_provider builtin builtin_locale {}").format(sql.Literal(locale)))
    return sql.SQL("create database {} template template0 {}").format(sql.Identifier(name), sql.SQL(" ").join(options))


async def _drop_abandoned(connection: AsyncConnection[Any]) -> None:
    cursor = await connection.execute(
        "select datname from pg_database d where starts_with(datname, %s) and pg_has_role(datdba, 'usage')"
        " and not exists (select from pg_stat_activity a where a.datid = d.oid)"
        # The name says when it was made, in seconds.
        " and substring(datname from '_([0-9]+)_')::bigint < extract(epoch from now()) - 3600",
        (SCRATCH_PREFIX,),
    )
    for (name,) in await cursor.fetchall():
        await connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name)))
        say(f"dropped abandoned scratch database {name}")
