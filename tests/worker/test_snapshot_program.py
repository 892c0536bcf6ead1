"""The snapshot program finds what is wrong: an old pg_dump, rows that differ, a dump that is damaged."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.support.stack import Stack
from workers.programs.postgres_snapshot import tools
from workers.programs.postgres_snapshot.__main__ import Snapshot
from workers.programs.postgres_snapshot.tools import SnapshotFailed


async def test_a_pg_dump_older_than_the_server_is_refused(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.18'\n")
    old.chmod(0o755)
    monkeypatch.setattr("workers.programs.postgres_snapshot.__main__.find", lambda _name: str(old))
    with pytest.raises(
        SnapshotFailed, match="pg_dump 15 can not dump a Postgres 17 server: install pg_dump 17 or newer"
    ):
        await Snapshot(stack.database_url("postgres"), None, tmp_path).check()


async def test_a_table_with_other_rows_after_the_restore_fails_the_snapshot(stack: Stack, tmp_path: Path) -> None:
    snapshot = Snapshot(stack.database_url("postgres"), None, tmp_path)
    await snapshot.check()
    await snapshot.dump()
    await snapshot.read_back()
    state_path = tmp_path / ".snapshot.json"
    state = json.loads(state_path.read_text())
    restored = dict(state["rows"])
    restored["public.members"] = restored["public.members"] + 1
    del restored["public.runs"]
    state_path.write_text(json.dumps({**state, "restored_rows": restored, "restore_seconds": 1}))
    with pytest.raises(SnapshotFailed, match=r"2 of .* tables differ"):
        await Snapshot(stack.database_url("postgres"), None, tmp_path).compare()
    assert json.loads((tmp_path / "manifest.json").read_text())["trial_restore"]["equal"] is False


async def test_a_damaged_archive_does_not_pass_and_leaves_no_scratch_database(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_ID", "00000000-0000-4000-8000-000000000000")
    snapshot = Snapshot(stack.database_url("postgres"), None, tmp_path)
    await snapshot.check()
    await snapshot.dump()
    await snapshot.read_back()
    dump = tmp_path / "snapshot.dump"
    data = bytearray(await asyncio.to_thread(dump.read_bytes))
    # The table of contents stays whole, the data behind it does not.
    data[-3000:] = os.urandom(3000)
    dump.write_bytes(data)
    with pytest.raises(SnapshotFailed, match="the trial restore failed"):
        await snapshot.restore()
    listing = await tools.capture(
        "psql",
        ["-Atc", "select 1 from pg_database where datname like 'opsroom_scratch%'", stack.database_url("postgres")],
    )
    assert listing == ""
