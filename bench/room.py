"""A private, durable database with a member, a session and a template: the ground that the benchmarks stand on."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import bcrypt
import psycopg
from psycopg.rows import tuple_row

from opsroom.local.bootstrap import bootstrap
from opsroom.local.migrations import migrate
from opsroom.local.paths import Ports, State, free_port
from opsroom.local.postgres import Postgres
from opsroom.local.secrets import load_or_create

EMAIL = "bench@bench.example"
PASSWORD = "a password for one benchmark"

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

TEMPLATE = {
    "slug": "bench",
    "title": "Benchmark",
    "steps": [{"id": "say", "title": "Say the time", "kind": "shell", "with": {"argv": ["date", "+%s.%N"]}}],
}


@dataclass
class Database:
    """Connections as the three programs make them: each statement its own transaction."""

    postgres: Postgres
    user_id: str

    async def connect(self, who: str = "postgres") -> Connection:
        match who:
            case "worker":
                return await self._open("worker", "set role service_role")
            case "person":
                claims = json.dumps({"sub": self.user_id, "role": "authenticated"})
                connection = await self._open("authenticator", "set role authenticated")
                await connection.execute("select set_config('request.jwt.claims', %s, false)", (claims,))
                return connection
            case _:
                return await self._open("postgres", "select 1")

    async def _open(self, role: Any, first: LiteralString) -> Connection:
        connection = await psycopg.AsyncConnection.connect(
            self.postgres.dsn(role), autocommit=True, row_factory=tuple_row
        )
        await connection.execute(first)
        return connection


async def value(connection: Connection, statement: LiteralString, *args: object) -> Any:
    """The one value that `statement` answers."""
    row = await (await connection.execute(statement, args)).fetchone()
    assert row is not None
    return row[0]


@asynccontextmanager
async def open_database(ports: Ports | None = None) -> AsyncIterator[Database]:
    """Started, migrated and seeded; fsync on, as in production; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="opsroom-bench-"))
    state = State(folder)
    state.create()
    postgres = Postgres(state, load_or_create(state.secrets), ports.database if ports else free_port())
    try:
        await postgres.start()
        await bootstrap(postgres)
        await migrate(postgres.dsn("postgres"))
        yield await _furnish(postgres)
    finally:
        await postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _furnish(postgres: Postgres) -> Database:
    database = Database(postgres, str(uuid.uuid4()))
    owner = await psycopg.AsyncConnection.connect(postgres.dsn("supabase_admin"), autocommit=True)
    async with owner:
        await owner.execute(
            "insert into auth.users (id, email, email_confirmed_at, encrypted_password) values (%s, %s, now(), %s)",
            (database.user_id, EMAIL, bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()),
        )
    console = await database.connect()
    async with console:
        await console.execute("select public.set_member(%s, 'admin')", (EMAIL,))
    person = await database.connect("person")
    async with person:
        await person.execute("select public.save_template(%s)", (json.dumps(TEMPLATE),))
    return database


async def new_session(person: Connection) -> str:
    session = await value(person, "select public.create_session('Benchmark')")
    return str(session["id"])


async def new_worker(worker: Connection) -> str:
    worker_id = str(uuid.uuid4())
    await worker.execute("select public.register_worker(%s, 'bench', 'localhost', 1, '0', 8, 'postgres')", (worker_id,))
    return worker_id
