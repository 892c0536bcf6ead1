"""The real database, and people, workers and sessions in it to act as."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.stack import Stack, stack

__all__ = ["stack"]

TEMPLATE: dict[str, Any] = {
    "slug": "greet",
    "title": "Greet",
    "params": {
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 20, "pattern": "^[a-z]+$"},
            "times": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2},
        },
        "required": ["name"],
    },
    "steps": [
        {"id": "first", "title": "First", "kind": "shell", "with": {"argv": ["true"]}},
        {"id": "second", "title": "Second", "kind": "shell", "needs": ["first"], "with": {"argv": ["true"]}},
    ],
}


@dataclass
class Person:
    """Somebody signed in. `call` runs a function as PostgREST would: `authenticated` with their claims."""

    room: "Room"
    user_id: uuid.UUID
    email: str

    async def call(self, function: str, **args: Any) -> Any:
        async with self.room.acting("authenticated", self.user_id) as connection:
            return await call(connection, function, **args)


@dataclass
class Worker:
    room: "Room"
    id: uuid.UUID

    async def call(self, function: str, **args: Any) -> Any:
        async with self.room.acting("service_role") as connection:
            return await call(connection, function, **args)

    async def claim(self, limit: int = 1) -> list[dict[str, Any]]:
        return await self.call("claim_runs", p_worker_id=self.id, p_limit=limit, p_request_id=uuid.uuid4())

    async def start(self, claim: dict[str, Any]) -> str:
        (answer,) = await self.call("start_runs", p_runs=[held(claim)])
        return answer["verdict"]

    async def append(self, claim: dict[str, Any], batch: int, *events: dict[str, Any]) -> dict[str, Any]:
        return await self.call(
            "append_events",
            p_run_id=claim["run_id"],
            p_claim_token=claim["claim_token"],
            p_batch=batch,
            p_events=list(events),
        )

    async def finish(
        self, claim: dict[str, Any], status: str, reason: str | None = None, **more: Any
    ) -> dict[str, Any]:
        result = held(claim) | {"status": status, "reason": reason} | more
        (answer,) = await self.call("finish_runs", p_results=[result])
        return {"verdict": answer["verdict"], "status": answer["status"]}

    async def beat(self, *claims: dict[str, Any]) -> list[str]:
        answers = await self.call("heartbeat", p_worker_id=self.id, p_runs=[held(c) for c in claims])
        return [answer["verdict"] for answer in answers]

    async def succeed(self, claim: dict[str, Any]) -> dict[str, Any]:
        await self.start(claim)
        steps = [step["id"] for step in claim["spec"]["steps"]]
        events = [
            event
            for step in steps
            for event in (
                {"type": "step.started", "step": step},
                {"type": "step.finished", "step": step, "data": {"status": "succeeded", "exit_code": 0}},
            )
        ]
        return await self.finish(claim, "succeeded", batch=1, events=events)


def held(claim: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": claim["run_id"], "claim_token": claim["claim_token"]}


async def age_database(owner: psycopg.AsyncConnection[Any]) -> None:
    """Lets the sweep believe that the database runs for long: after a start it leaves leases alone for one lease."""
    await owner.execute(
        "create or replace function private.database_started_at() returns timestamptz language sql stable "
        "set search_path = '' as $$ select pg_catalog.pg_postmaster_start_time() - interval '1 day' $$"
    )


@dataclass
class Room:
    """A database with members of every role and one template. `owner` is the role that owns the schema."""

    stack: Stack
    owner: psycopg.AsyncConnection[Any]

    @asynccontextmanager
    async def acting(self, role: str, user_id: uuid.UUID | None = None) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        dsn = self.stack.database_url("authenticator")
        async with await psycopg.AsyncConnection.connect(dsn) as connection, connection.transaction():
            await connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            claims = {"role": role} | ({"sub": str(user_id)} if user_id else {})
            await connection.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(claims),))
            yield connection

    async def person(self, role: str | None) -> Person:
        """A new person; a member with `role`, or signed in without being one."""
        user_id = uuid.uuid4()
        email = f"{role or 'stranger'}-{user_id.hex[:8]}@example.test"
        await self.owner.execute("insert into auth.users (id, email) values (%s, %s)", (user_id, email))
        if role:
            await self.owner.execute("select public.set_member(%s, %s)", (email, role))
        return Person(self, user_id, email)

    async def worker(self, capacity: int = 4) -> Worker:
        worker = Worker(self, uuid.uuid4())
        await worker.call(
            "register_worker",
            p_worker_id=worker.id,
            p_name=f"worker-{worker.id.hex[:6]}",
            p_host="host",
            p_pid=1,
            p_version="0.1.0",
            p_capacity=capacity,
            p_transport="postgres",
        )
        return worker

    async def store_template(self, spec: dict[str, Any]) -> None:
        """As its newest version, whatever other tests have stored under its slug, and when."""
        await self.owner.execute("select private.store_template(%s::json, null, true)", (json.dumps(spec),))

    async def clear_queue(self) -> None:
        """Ends all live runs, so that a test's worker claims its own only."""
        await self.owner.execute(
            "select private.end_run(r.id, case r.status when 'queued' then 'cancelled' else 'failed' end, 'worker_error', '')"
            " from public.runs as r where finished_at is null"
        )

    async def value(self, query: Any, *args: Any) -> Any:
        row = await (await self.owner.execute(query, args)).fetchone()
        return row[0] if row else None

    async def column(self, query: Any, *args: Any) -> list[Any]:
        return [row[0] for row in await (await self.owner.execute(query, args)).fetchall()]


async def call(connection: psycopg.AsyncConnection[Any], function: str, **args: Any) -> Any:
    names = sql.SQL(", ").join(sql.SQL("{} => {}").format(sql.Identifier(n), sql.Placeholder()) for n in args)
    query = sql.SQL("select public.{}({})").format(sql.Identifier(function), names)
    values = [json.dumps(v) if isinstance(v, dict | list) else v for v in args.values()]
    row = await (await connection.execute(query, values)).fetchone()
    return row[0] if row else None


@pytest.fixture(scope="package")
async def room(stack: Stack) -> AsyncIterator[Room]:
    dsn = stack.database_url("postgres")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as owner:
        await age_database(owner)
        room = Room(stack, owner)
        await room.store_template(TEMPLATE)
        yield room


@pytest.fixture
async def operator(room: Room) -> Person:
    return await room.person("operator")


@pytest.fixture
async def session_id(operator: Person) -> str:
    session = await operator.call("create_session", p_title="Test", p_intent="")
    return session["id"]


@pytest.fixture
async def worker(room: Room) -> Worker:
    await room.clear_queue()
    return await room.worker()
