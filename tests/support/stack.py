"""A private embedded stack for tests: its own folder, its own free ports, gone afterwards.

`stack` is session-scoped: the first test that asks for it pays about two seconds.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from opsroom.local.bootstrap import bootstrap
from opsroom.local.migrations import migrate
from opsroom.local.paths import State, free_port
from opsroom.local.postgres import Postgres, Role
from opsroom.local.secrets import Secrets, load_or_create


@dataclass
class Stack:
    """The running stack. `database_url("postgres")` owns the schema; `"worker"`, `"authenticator"` are programs'."""

    state: State
    secrets: Secrets
    postgres: Postgres

    def database_url(self, role: Role = "postgres", database: str = "postgres") -> str:
        return self.postgres.dsn(role, database)


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="opsroom-test-"))
    state = State(folder)
    state.create()
    secrets = load_or_create(state.secrets)
    postgres = Postgres(state, secrets, free_port(), durable=False)
    try:
        await postgres.start()
        await bootstrap(postgres)
        await migrate(postgres.dsn("postgres"))
        yield Stack(state, secrets, postgres)
    finally:
        await postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
