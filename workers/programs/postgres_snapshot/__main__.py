"""The steps of a snapshot; see the package for what they do."""

import asyncio
import datetime as dt
import hashlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import psycopg

from workers.programs.postgres_snapshot import database
from workers.programs.postgres_snapshot.tools import (
    SnapshotFailed,
    capture,
    connection_environment,
    find,
    major_version,
    run,
    say,
)

DUMP: Final = "snapshot.dump"
MANIFEST: Final = "manifest.json"
STATE: Final = ".snapshot.json"

# What only a superuser or the source's own place in the world can restore; a scratch database does without.
NOT_RESTORED: Final = re.compile(
    r"^\d+; \d+ \d+ (EVENT TRIGGER|PUBLICATION|PUBLICATION TABLE|PUBLICATION TABLES IN SCHEMA|SUBSCRIPTION|"
    r"COMMENT - EXTENSION|COMMENT - EVENT TRIGGER|COMMENT - PUBLICATION) "
)


class Snapshot:
    """One step at a time; what a step learned is in a file for the next ones."""

    def __init__(self, url: str, schema: str | None, workdir: Path) -> None:
        self._url = url
        self._schema = schema
        self._dump = workdir / DUMP
        self._manifest = workdir / MANIFEST
        self._state_path = workdir / STATE
        self._state: dict[str, Any] = {}
        if self._state_path.exists():
            self._state = json.loads(self._state_path.read_text(encoding="utf-8"))

    def _remember(self, **facts: Any) -> None:
        self._state |= facts
        self._state_path.write_text(json.dumps(self._state), encoding="utf-8")

    async def check(self) -> None:
        async with await database.connect(self._url) as connection:
            server, version = await database.server_version(connection)
            row = await (await connection.execute("select current_database()")).fetchone()
            if self._schema:
                query = "select exists (select from pg_namespace where nspname = %s)"
                found = await (await connection.execute(query, (self._schema,))).fetchone()
                if not (found and found[0]):
                    raise SnapshotFailed(f"the database has no schema {self._schema}: choose another one or none")
        tool = await major_version(find("pg_dump"))
        if tool < server:
            raise SnapshotFailed(
                f"pg_dump {tool} can not dump a Postgres {server} server: install pg_dump {server} or newer here"
            )
        self._remember(database=row[0] if row else "", server_version=version, pg_dump_version=tool)
        say(f"Postgres {version}, pg_dump {tool}")

    async def dump(self) -> None:
        arguments = ["--format=custom", "--no-owner", "--no-privileges", f"--file={self._dump}"]
        if self._schema:
            # Quoted: pg_dump takes a pattern here.
            arguments.append(f'--schema="{self._schema}"')
        async with await database.connect(self._url) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            async with connection.transaction():
                row = await (await connection.execute("select pg_export_snapshot()")).fetchone()
                began, taken_at = time.monotonic(), dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                arguments.append(f"--snapshot={row[0] if row else ''}")
                if code := await run("pg_dump", arguments, connection_environment(self._url)):
                    raise SnapshotFailed(f"pg_dump failed with exit code {code}; its words are above")
                rows = await database.count_rows(connection, self._schema)
        self._remember(rows=rows, taken_at=taken_at, dump_seconds=round(time.monotonic() - began, 2))
        say(f"dumped {len(rows)} tables, {sum(rows.values())} rows, {self._dump.stat().st_size} bytes")

    async def read_back(self) -> None:
        entries = [line for line in (await capture("pg_restore", ["--list", str(self._dump)])).splitlines() if line]
        entries = [line for line in entries if not line.startswith(";")]
        if not entries:
            raise SnapshotFailed("the archive's table of contents is empty")
        digest = hashlib.sha256()
        with self._dump.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        left_out = [line for line in entries if NOT_RESTORED.match(line)]
        self._remember(entries=len(entries), sha256=digest.hexdigest(), not_restored=left_out)
        self._dump.with_suffix(".list").write_text(
            "\n".join(line for line in entries if line not in left_out) + "\n", encoding="utf-8"
        )
        say(f"the archive has {len(entries)} entries, sha256 {digest.hexdigest()}")

    async def restore(self) -> None:
        name = f"{database.SCRATCH_PREFIX}{int(time.time())}_{os.environ['RUN_ID'].replace('-', '')[:12]}"
        began = time.monotonic()
        async with database.scratch_database(self._url, name):
            environment = connection_environment(self._url, name)
            arguments = ["--no-owner", "--no-privileges", f"--dbname={name}"]
            if self._schema:
                async with await database.connect(self._url, name) as connection:
                    # A new database has a schema public; the archive brings its own.
                    await database.drop_schema(connection, self._schema)
                await self._restore_surroundings(arguments, environment)
                # Foreign keys into other schemas find no rows here: indexes and constraints are left out.
                arguments += ["--section=pre-data", "--section=data"]
            listed = f"--use-list={self._dump.with_suffix('.list')}"
            code = await run("pg_restore", ["--exit-on-error", *arguments, listed, str(self._dump)], environment)
            if code:
                raise SnapshotFailed(f"the trial restore failed: pg_restore exit code {code}; its words are above")
            async with await database.connect(self._url, name) as connection:
                rows = await database.count_rows(connection, self._schema)
        self._remember(restored_rows=rows, restore_seconds=round(time.monotonic() - began, 2))
        say(f"restored {len(rows)} tables, {sum(rows.values())} rows")

    async def _restore_surroundings(self, arguments: list[str], environment: dict[str, str]) -> None:
        """The other schemas' definitions, without rows: types and functions that the chosen schema may need."""
        skeleton = self._dump.with_suffix(".skeleton")
        others = ["--format=custom", "--schema-only", f'--exclude-schema="{self._schema}"', f"--file={skeleton}"]
        if await run("pg_dump", others, connection_environment(self._url)):
            raise SnapshotFailed("pg_dump failed on the definitions of the other schemas; its words are above")
        contents = (await capture("pg_restore", ["--list", str(skeleton)])).splitlines()
        listed = skeleton.with_suffix(".skeleton-list")
        listed.write_text("\n".join(line for line in contents if not NOT_RESTORED.match(line)) + "\n", encoding="utf-8")
        # What refers back to the chosen schema can not be made yet: that is no fault of the dump, and no news either.
        section = ["--section=pre-data", f"--use-list={listed}"]
        await run("pg_restore", [*arguments, *section, str(skeleton)], environment, quiet=True)
        say("restored the definitions of the other schemas, as far as they do not need this one")

    async def compare(self) -> None:
        expected: dict[str, int] = self._state["rows"]
        restored: dict[str, int] = self._state["restored_rows"]
        tables = [
            {"table": name, "rows": expected.get(name), "restored_rows": restored.get(name)}
            for name in sorted({*expected, *restored})
        ]
        different = [table for table in tables if table["rows"] != table["restored_rows"]]
        manifest = {
            "database": self._state["database"],
            "schema": self._schema,
            "server_version": self._state["server_version"],
            "pg_dump_version": self._state["pg_dump_version"],
            "taken_at": self._state["taken_at"],
            "dump": {"name": DUMP, "bytes": self._dump.stat().st_size, "sha256": self._state["sha256"],
                     "entries": self._state["entries"], "seconds": self._state["dump_seconds"]},
            "trial_restore": {"equal": not different, "seconds": self._state["restore_seconds"],
                              "sections": "pre-data, data" if self._schema else "all",
                              "entries_left_out": self._state["not_restored"]},
            "tables": tables,
        }  # fmt: skip
        self._manifest.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        for table in different:
            say(f"{table['table']}: {table['rows']} rows in the snapshot, {table['restored_rows']} restored")
        if different:
            raise SnapshotFailed(f"{len(different)} of {len(tables)} tables differ after the trial restore")
        say(f"all {len(tables)} tables have the same number of rows: {sum(expected.values())} in all")


async def main(step: str) -> int:
    """Exit code 1 when the step fails; TERM lets it clean up first."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    snapshot = Snapshot(
        os.environ["SNAPSHOT_CONNECTION"], os.environ.get("PARAM_SCHEMA") or None, Path(os.environ["WORKDIR"])
    )
    steps: dict[str, Callable[[], Awaitable[None]]] = {
        "check": snapshot.check,
        "dump": snapshot.dump,
        "list": snapshot.read_back,
        "restore": snapshot.restore,
        "compare": snapshot.compare,
    }
    try:
        await steps[step]()
    except (SnapshotFailed, psycopg.Error) as error:
        say(f"error: {error}")
        return 1
    except asyncio.CancelledError:
        say("stopped")
        return 143
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
