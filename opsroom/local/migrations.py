"""Applies `supabase/migrations/*.sql` and `supabase/seed.sql`, recorded the way the Supabase CLI records them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import psycopg

from opsroom.local.errors import MigrationRefused
from opsroom.local.paths import REPOSITORY

SUPABASE_FOLDER = REPOSITORY / "supabase"
_FILE_NAME = re.compile(r"^([0-9]+)_(.*)\.sql$")


@dataclass(frozen=True)
class Migration:
    version: str
    name: str
    path: Path
    text: str


@dataclass(frozen=True)
class Applied:
    """What one call did."""

    migrations: tuple[str, ...]
    seeded: bool


def read_migrations(folder: Path) -> list[Migration]:
    """The migration files in order of their version; other files are ignored, as the Supabase CLI does."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        if match := _FILE_NAME.match(path.name):
            found.append(Migration(match[1], match[2], path, path.read_text(encoding="utf-8")))
    return found


async def migrate(dsn: str, folder: Path = SUPABASE_FOLDER) -> Applied:
    """Bring the database behind `dsn` (role `postgres`) up to the files; each file is one transaction.

    Raises `MigrationRefused` when an applied file was edited or removed, or when a file fails; what was applied before
    that stays, and the next call goes on from there.
    """
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        rows = await (
            await connection.execute("select version, statements from supabase_migrations.schema_migrations")
        ).fetchall()
        recorded = {str(version): "".join(statements or ()) for version, statements in rows}
        files = read_migrations(folder / "migrations")
        _refuse_changed(files, recorded)
        done: list[str] = []
        for file in files:
            if file.version not in recorded:
                await _apply(connection, file)
                done.append(file.path.name)
        return Applied(tuple(done), await _seed(connection, folder / "seed.sql"))


def _refuse_changed(files: list[Migration], recorded: dict[str, str]) -> None:
    by_version = {file.version: file for file in files}
    if missing := sorted(set(recorded) - set(by_version)):
        raise MigrationRefused(
            f"The database has migration {missing[0]}, which is not in supabase/migrations: check out the version that "
            "made it, or run `opsroom reset` to start with an empty database."
        )
    for version, text in recorded.items():
        if by_version[version].text != text:
            raise MigrationRefused(
                f"{by_version[version].path.name} was edited after it had been applied: undo the edit and put the "
                "change into a new migration, or run `opsroom reset` to start with an empty database."
            )
    newest = max(recorded, default="")
    for file in files:
        if file.version not in recorded and file.version < newest:
            raise MigrationRefused(
                f"{file.path.name} is older than the applied migration {newest}: give it a newer version number."
            )


async def _apply(connection: psycopg.AsyncConnection, file: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(file.text.encode())
            await connection.execute("reset all")
            await connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)",
                (file.version, file.name, [file.text]),
            )
    except psycopg.Error as error:
        raise MigrationRefused(f"{file.path.name} failed and was rolled back: {_describe(error, file.text)}") from error


async def _seed(connection: psycopg.AsyncConnection, path: Path) -> bool:
    if not path.exists():
        return False
    text = path.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    key = f"supabase/{path.name}"
    known = await (
        await connection.execute("select hash from supabase_migrations.seed_files where path = %s", (key,))
    ).fetchone()
    if known is not None and known[0] == digest:
        return False
    try:
        async with connection.transaction():
            await connection.execute(text.encode())
            await connection.execute(
                "insert into supabase_migrations.seed_files (path, hash) values (%s, %s) "
                "on conflict (path) do update set hash = excluded.hash",
                (key, digest),
            )
    except psycopg.Error as error:
        raise MigrationRefused(f"{key} failed and was rolled back: {_describe(error, text)}") from error
    return True


def _describe(error: psycopg.Error, text: str) -> str:
    position = error.diag.statement_position
    line = f" (line {text.count(chr(10), 0, int(position)) + 1})" if position else ""
    return f"{error.diag.message_primary or error}{line}"
