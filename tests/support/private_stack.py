"""A stack that may be broken: a database and a gateway in a folder of their own, for tests that stop, fill or cut them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from opsroom.local import services
from opsroom.local.bootstrap import bootstrap
from opsroom.local.migrations import migrate
from opsroom.local.paths import Ports, State, free_port
from opsroom.local.postgres import Postgres
from opsroom.local.secrets import load_or_create
from tests.support.stack import Stack


@asynccontextmanager
async def private_stack() -> AsyncIterator[Stack]:
    """Postgres and the gateway in a folder of their own; no Edge Functions, no UI."""
    async with AsyncExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix="opsroom-faults-"))
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
        gateway = services.gateway(state, ports)
        cleanup.push_async_callback(gateway.stop)
        await gateway.start()
        await gateway.wait_until_ready()
        yield Stack(state, ports, secrets, postgres, gateway, gateway)
