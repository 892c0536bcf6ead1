"""A control room with one member per role, driven through the executor only (set-up excepted)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import httpx
import psycopg

EXECUTOR: Final = "/functions/v1/ops-executor/v1"
PASSWORD: Final = "correct horse battery staple"

Member = Literal["viewer", "operator", "approver", "admin"]
Caller = Literal["anonymous", "outsider", "viewer", "operator", "approver", "admin", "service"]
MEMBERS: Final[tuple[Member, ...]] = ("viewer", "operator", "approver", "admin")

TEMPLATE: Final[dict[str, Any]] = {
    "slug": "echo",
    "title": "Echo",
    "params": {
        "type": "object",
        "properties": {"text": {"type": "string", "maxLength": 100}, "times": {"type": "integer", "minimum": 1}},
        "required": ["text"],
        "additionalProperties": False,
    },
    "steps": [{"id": "say", "title": "Say it", "kind": "shell", "with": {"argv": ["echo", "{{ params.text }}"]}}],
}

# Everything a request could leave behind.
TABLES: Final = (
    "sessions",
    "runs",
    "run_steps",
    "run_events",
    "artifacts",
    "audit_log",
    "workers",
    "template_versions",
)


@dataclass
class Room:
    http: httpx.AsyncClient
    anon_key: str
    service_key: str
    database_url: str
    tokens: dict[str, str]
    session_id: str = ""

    def headers(self, caller: Caller) -> dict[str, str]:
        if caller == "service":
            return {"apikey": self.service_key}
        if caller == "anonymous":
            return {"apikey": self.anon_key}
        return {"apikey": self.anon_key, "authorization": f"Bearer {self.tokens[caller]}"}

    async def call(self, operation: str, body: Mapping[str, Any], caller: Caller) -> httpx.Response:
        return await self.http.post(f"{EXECUTOR}/{operation}", json=body, headers=self.headers(caller))

    async def answer(self, operation: str, body: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        response = await self.call(operation, body, caller)
        assert response.status_code == 200, response.text
        return response.json()

    async def rpc(self, function: str, args: Mapping[str, Any], caller: Caller) -> Any:
        """Set-up that the executor has no operation for."""
        response = await self.http.post(f"/rest/v1/rpc/{function}", json=args, headers=self.headers(caller))
        assert response.is_success, f"{function}: {response.text}"
        return response.json()

    async def new_session(self) -> str:
        session = await self.rpc("create_session", {"p_title": "Contract"}, "operator")
        return str(session["id"])

    async def new_run(self, **changes: Any) -> dict[str, Any]:
        body = {"session_id": self.session_id, "template": "echo", "params": {"text": "hello"}} | changes
        return await self.answer("runs.create", body, "operator")

    async def new_worker(self) -> str:
        worker_id = str(uuid.uuid4())
        args = {"name": "contract", "host": "localhost", "pid": 1, "version": "0", "capacity": 8, "transport": "https"}
        named = {f"p_{key}": value for key, value in args.items()} | {"p_worker_id": worker_id}
        await self.rpc("register_worker", named, "service")
        return worker_id

    async def claimed(self, worker_id: str, **changes: Any) -> dict[str, Any]:
        """A run of its own session, so that no other test's queue stands before it; `run_id` and `claim_token`."""
        run = await self.new_run(session_id=await self.new_session(), priority=100, **changes)
        body = {"worker_id": worker_id, "limit": 1, "request_id": str(uuid.uuid4())}
        claimed = (await self.answer("runs.claim", body, "service"))["runs"]
        assert [claim["run_id"] for claim in claimed] == [run["id"]]
        return {key: claimed[0][key] for key in ("run_id", "claim_token")}

    async def counts(self) -> dict[str, int]:
        async with await psycopg.AsyncConnection.connect(self.database_url) as connection:
            return {table: await _count(connection, table) for table in TABLES}

    @asynccontextmanager
    async def nothing_stored(self) -> AsyncIterator[None]:
        before = await self.counts()
        yield
        assert await self.counts() == before


async def _count(connection: psycopg.AsyncConnection[Any], table: str) -> int:
    cursor = await connection.execute(f"select count(*) from public.{table}".encode())
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def open_room(http: httpx.AsyncClient, anon_key: str, service_key: str, database_url: str) -> Room:
    room = Room(http, anon_key, service_key, database_url, tokens={})
    for name in (*MEMBERS, "outsider"):
        email = f"{name}@contract.example"
        user = {"email": email, "password": PASSWORD, "email_confirm": True}
        made = await http.post(
            "/auth/v1/admin/users",
            json=user,
            headers={"apikey": service_key, "authorization": f"Bearer {service_key}"},
        )
        assert made.is_success, made.text
        if name != "outsider":
            await room.rpc("set_member", {"p_email": email, "p_role": name}, "service")
        signed_in = await http.post(
            "/auth/v1/token",
            params={"grant_type": "password"},
            json={"email": email, "password": PASSWORD},
            headers={"apikey": anon_key},
        )
        assert signed_in.is_success, signed_in.text
        room.tokens[name] = signed_in.json()["access_token"]
    await room.rpc("save_template", {"p_spec": TEMPLATE}, "admin")
    room.session_id = await room.new_session()
    return room
