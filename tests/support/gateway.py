"""The gateway of the test stack with people of every role, and gateways of one's own that can be stopped."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from opsroom.control_plane.auth import Auth, Credentials
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.config import Connection
from opsroom.control_plane.rest import open_http
from opsroom.domain.lifecycle import Role
from opsroom.local.paths import free_port
from tests.support.stack import Stack

START_SECONDS = 30


@dataclass(frozen=True)
class Person:
    """An account of the test stack."""

    user_id: str
    email: str
    password: str


@dataclass
class Gateway:
    """A gateway. One with a port of its own can be started and stopped; the port stays the same, as an operator's would."""

    stack: Stack
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def connection(self) -> Connection:
        return Connection(self.url, self.stack.secrets.anon_key)

    async def start(self) -> None:
        """Start it and wait until it answers."""
        environment = os.environ | {
            "OPSROOM_STATE_DIR": str(self.stack.state.root),
            "OPSROOM_API_PORT": str(self.port),
            "OPSROOM_DB_PORT": str(self.stack.postgres.port),
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "opsroom.local.gateway", env=environment
        )
        async with httpx.AsyncClient() as http, asyncio.timeout(START_SECONDS):
            while True:
                assert self.process.returncode is None, "the gateway ended while it was starting"
                try:
                    if (await http.get(f"{self.url}/health")).is_success:
                        return
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)

    def pause(self) -> None:
        """Let it answer nothing until `resume`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """End it at once, as a crash would: open connections break."""
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def person(self, role: Role | None) -> Person:
        """A new account, and with a role a member."""
        email, password = f"{role or 'stranger'}-{uuid.uuid4().hex[:8]}@example.org", secrets.token_urlsafe(12)
        key = self.stack.secrets.service_role_key
        async with httpx.AsyncClient(
            base_url=self.url, headers={"apikey": key, "Authorization": f"Bearer {key}"}
        ) as http:
            body = {"email": email, "password": password, "email_confirm": True}
            made = await http.post("/auth/v1/admin/users", json=body)
            assert made.is_success, made.text
            if role:
                answer = await http.post("/rest/v1/rpc/set_member", json={"p_email": email, "p_role": role})
                assert answer.is_success, answer.text
        return Person(made.json()["id"], email, password)

    @asynccontextmanager
    async def room(self, person: Person) -> AsyncIterator[ControlPlane]:
        """The control plane as `person`."""
        async with open_http() as http:
            auth = Auth(self.connection, http)
            tokens = await auth.sign_in(person.email, person.password)
            yield ControlPlane(self.connection, Credentials(auth, tokens), http)

    def environment(self, home: Path) -> dict[str, str]:
        """What the command line needs to use this gateway as a hosted project, with its own configuration folder."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "SUPABASE_URL": self.url,
            "SUPABASE_PUBLISHABLE_KEY": self.stack.secrets.anon_key,
            "XDG_CONFIG_HOME": str(home),
            "OPSROOM_STATE_DIR": str(self.stack.state.root),
            "COLUMNS": "200",
        }


@pytest.fixture(scope="package")
async def gateway(stack: Stack) -> Gateway:
    """The stack's own gateway, which all tests share."""
    return Gateway(stack, stack.ports.api)
