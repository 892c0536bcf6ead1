"""The project under test: the embedded stack, or the one that the environment names. People in it are made and removed."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
from supabase import AsyncClient, AsyncClientOptions, acreate_client

FIXTURES = Path(__file__).with_name("fixtures.sql")
PASSWORD = "correct horse battery staple"
BUCKET = "contract-private"


@dataclass
class Person:
    """Somebody with an account, and a client that is signed in as them."""

    id: str
    email: str
    token: str
    client: AsyncClient


@dataclass(frozen=True)
class Address:
    url: str
    anon_key: str
    service_role_key: str
    database_url: str | None


@dataclass
class Project:
    address: Address
    http: httpx.AsyncClient
    people: list[str] = field(default_factory=list)
    _clients: list[AsyncClient] = field(default_factory=list)

    async def client(self, key: str | None = None) -> AsyncClient:
        options = AsyncClientOptions(auto_refresh_token=False, persist_session=False)
        client = await acreate_client(self.address.url, key or self.address.anon_key, options)
        self._clients.append(client)
        return client

    async def service(self) -> AsyncClient:
        return await self.client(self.address.service_role_key)

    async def person(self) -> Person:
        email = f"contract-{uuid.uuid4()}@example.org"
        service = await self.service()
        made = await service.auth.admin.create_user({"email": email, "password": PASSWORD, "email_confirm": True})
        self.people.append(made.user.id)
        client = await self.client()
        signed_in = await client.auth.sign_in_with_password({"email": email, "password": PASSWORD})
        assert signed_in.session is not None
        await client.realtime.set_auth(signed_in.session.access_token)
        return Person(made.user.id, email, signed_in.session.access_token, client)

    def headers(self, token: str | None = None, **more: str) -> dict[str, str]:
        """Headers of a raw request: the public key, and a bearer token."""
        return {"apikey": self.address.anon_key, "Authorization": f"Bearer {token or self.address.anon_key}"} | more

    async def prepare(self) -> None:
        if self.address.database_url is not None:
            async with await psycopg.AsyncConnection.connect(self.address.database_url, autocommit=True) as connection:
                await connection.execute(FIXTURES.read_bytes())
        service = await self.service()
        if BUCKET not in {bucket.id for bucket in await service.storage.list_buckets()}:
            await service.storage.create_bucket(BUCKET, options={"public": False, "file_size_limit": 5_000_000})

    async def clean_up(self) -> None:
        for client in self._clients:
            await client.realtime.close()
        service = await self.service()
        await service.storage.empty_bucket(BUCKET)
        for user_id in self.people:
            await service.auth.admin.delete_user(user_id)


def named_by_environment() -> Address | None:
    """A real project, when its address and both keys are given; `SUPABASE_DB_URL` lets the suite make its tables."""
    url, anon_key, service_role_key = (
        os.environ.get(name, "") for name in ("SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY")
    )
    if not (url and anon_key and service_role_key):
        return None
    return Address(url.rstrip("/"), anon_key, service_role_key, os.environ.get("SUPABASE_DB_URL"))
