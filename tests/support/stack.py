"""A private embedded stack for tests: Postgres, gateway and Edge Functions in a folder of their own, on free ports.

`stack` is session-scoped: the first test that asks for it pays about two seconds. Everything is gone afterwards.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from opsroom.local import services
from opsroom.local.bootstrap import bootstrap
from opsroom.local.functions import Functions
from opsroom.local.migrations import migrate
from opsroom.local.paths import LOOPBACK, REPOSITORY, Ports, State, free_port
from opsroom.local.postgres import Postgres, Role
from opsroom.local.secrets import Secrets, load_or_create

# Downloads are shared with `opsroom up`: a cache, not state.
DENO_CACHE = REPOSITORY / ".opsroom" / "deno"


@dataclass
class Stack:
    """The running stack. `database_url("postgres")` owns the schema; `"worker"`, `"authenticator"` are programs'."""

    state: State
    ports: Ports
    secrets: Secrets
    postgres: Postgres
    gateway: services.Service
    functions: services.Service

    @property
    def api_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.api}"

    @property
    def anon_key(self) -> str:
        return self.secrets.anon_key

    @property
    def service_role_key(self) -> str:
        return self.secrets.service_role_key

    def database_url(self, role: Role = "postgres", database: str = "postgres") -> str:
        return self.postgres.dsn(role, database)


@pytest.fixture(scope="package")
async def stack() -> AsyncIterator[Stack]:
    async with AsyncExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix="opsroom-test-"))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        state = State(folder)
        state.create()
        secrets = load_or_create(state.secrets)
        ports = Ports(*(free_port() for _ in range(5)))
        postgres = Postgres(state, secrets, ports.database, durable=False)
        cleanup.push_async_callback(postgres.stop)
        await postgres.start()
        await bootstrap(postgres)
        await migrate(postgres.dsn("postgres"))
        edge = Functions(folder, DENO_CACHE)
        if not edge.is_cached():
            await edge.fetch()
        url = f"http://{LOOPBACK}:{ports.api}"
        functions = services.functions(
            state,
            ports,
            edge.command(ports.functions),
            edge.environment(url, secrets.anon_key, secrets.service_role_key),
        )
        gateway = services.gateway(state, ports)
        for service in (gateway, functions):
            cleanup.push_async_callback(service.stop)
            await service.start()
        for service in (gateway, functions):
            await service.wait_until_ready()
        yield Stack(state, ports, secrets, postgres, gateway, functions)
