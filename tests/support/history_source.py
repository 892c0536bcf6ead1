"""Where the history checker gets its facts: the tables, Storage's folder, the witness file and /proc."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.support.history import History, Row, digest, violations
from tests.support.stack import Stack
from tests.support.witness import read

GONE_SECONDS = 3.0
"""How long the kernel and the leashes may take to clear what a killed worker left."""


async def load(stack: Stack, sessions: Collection[str], witness: Path) -> History:
    """Everything about the runs of `sessions`, in one snapshot of the database."""
    async with await psycopg.AsyncConnection.connect(stack.database_url("postgres")) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)

        async def rows(query: Any) -> list[Row]:
            return await (await connection.cursor(row_factory=dict_row).execute(query, (list(sessions),))).fetchall()

        runs = {str(row["id"]): row for row in await rows("select * from runs where session_id = any(%s)")}
        of_these = "where run_id in (select id from runs where session_id = any(%s))"
        events = await rows(f"select * from run_events {of_these} order by run_id, seq")
        steps = await rows(f"select * from run_steps {of_these} order by run_id, position")
        artifacts = await rows(f"select * from artifacts {of_these} order by run_id, name")
        lanes = await rows("select session_id, lane, capacity from lanes where session_id = any(%s)")
        stored = await rows(
            "select name, version, (metadata ->> 'size')::bigint as size from storage.objects"
            " where bucket_id = 'artifacts' and split_part(name, '/', 1) in"
            " (select id::text from runs where session_id = any(%s))"
        )
    history = History(runs, _by_run(events, runs), _by_run(steps), _by_run(artifacts))
    history.capacities = {(str(row["session_id"]), row["lane"]): row["capacity"] for row in lanes}
    history.objects = _objects(stack, stored)
    history.sightings = read(witness)
    return history


async def check(
    stack: Stack, sessions: Collection[str], witness: Path, created: Collection[str], folder: Path, **about: Any
) -> History:
    """Read the history and assert that it holds. `created` are the acknowledged runs, `folder` the workers' work root."""
    history = await load(stack, sessions, witness)
    history.created = set(created)
    for name, value in about.items():
        setattr(history, name, value)
    history.processes = await left(history.runs.keys(), folder)
    broken = violations(history)
    assert not broken, "\n".join([f"the history does not hold ({len(broken)}):", *broken[:20]])
    return history


async def left(runs: Collection[str], folder: Path) -> dict[int, str]:
    """Processes of these runs that do not go away by themselves: by their environment, or by their working directory."""
    deadline = time.monotonic() + GONE_SECONDS
    while (found := processes_of(runs, folder)) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return found


def processes_of(runs: Collection[str], folder: Path) -> dict[int, str]:
    """Every live process with `RUN_ID=` of one of `runs` in its environment, or that works below `folder`."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environ = (entry / "environ").read_bytes()
            where = (entry / "cwd").readlink()
        except OSError:
            continue
        mark = next((part[7:].decode() for part in environ.split(b"\0") if part.startswith(b"RUN_ID=")), "")
        if mark in runs or where.is_relative_to(folder):
            found[int(entry.name)] = mark or str(where)
    return found


def _by_run(rows: list[Row], runs: Collection[str] = ()) -> dict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[str(row["run_id"])].append(row)
    return dict(found) | {run_id: [] for run_id in runs if run_id not in found}


def _objects(stack: Stack, stored: list[Row]) -> dict[str, tuple[str, int]]:
    """What Storage really holds: the bytes on disk, not what its row says of them."""
    found: dict[str, tuple[str, int]] = {}
    for row in stored:
        path = stack.state.storage / str(row["version"])[:2] / str(row["version"])
        if path.exists() and digest(path)[1] == row["size"]:
            found[row["name"]] = digest(path)
    return found
