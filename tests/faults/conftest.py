"""A ward for faults: a database and a gateway of its own, which tests may stop, fill up and cut off."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from opsroom.local import services
from opsroom.local.bootstrap import bootstrap
from opsroom.local.migrations import migrate
from opsroom.local.paths import Ports, State, free_port
from opsroom.local.postgres import Postgres
from opsroom.local.secrets import load_or_create
from tests.faults.ward import Ward
from tests.support.stack import Stack
from tests.support.wire import Wire
from tests.worker.conftest import person

__all__ = ["person"]


@asynccontextmanager
async def private_stack(root: Path | None = None) -> AsyncIterator[Stack]:
    """Postgres and the gateway in a folder of their own; no Edge Functions, no UI."""
    async with AsyncExitStack() as cleanup:
        folder = root or Path(tempfile.mkdtemp(prefix="opsroom-faults-"))
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


@pytest.fixture(scope="package")
async def stack() -> AsyncIterator[Stack]:
    """Replaces everybody's stack for the tests of this folder: theirs must not be broken."""
    async with private_stack() as stack:
        yield stack


@pytest.fixture
async def ward(stack: Stack, person: str, tmp_path: Path) -> AsyncIterator[Ward]:
    ward = await Ward.open(stack, tmp_path, person)
    yield ward
    await ward.clear()


@pytest.fixture
async def wire(stack: Stack) -> AsyncIterator[Wire]:
    async with Wire(stack) as wire:
        yield wire
