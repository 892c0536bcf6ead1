"""The room as it runs, for a browser: database, gateway and the built UI. No worker: benchmarks make the changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bench.room import EMAIL, PASSWORD, Database, open_database
from opsroom.local import services
from opsroom.local.environment import api_url
from opsroom.local.paths import LOOPBACK, Ports, State, free_port, state_from_environment
from opsroom.local.ui import Ui


@dataclass
class Stack:
    database: Database
    ui_url: str


@asynccontextmanager
async def open_stack() -> AsyncIterator[Stack]:
    ports = Ports(*(free_port() for _ in range(5)))
    async with AsyncExitStack() as cleanup:
        database = await cleanup.enter_async_context(open_database(ports))
        state, secrets = database.postgres.state, database.postgres.secrets
        ui = await _built_ui(state, ports)
        room = ui.service(
            {
                "SUPABASE_URL": api_url(ports),
                "SUPABASE_ANON_KEY": secrets.anon_key,
                "OPSROOM_LOCAL_EMAIL": EMAIL,
                "OPSROOM_LOCAL_PASSWORD": PASSWORD,
            }
        )
        for service in (services.gateway(state, ports), room):
            cleanup.push_async_callback(service.stop)
            await service.start()
            await service.wait_until_ready()
        yield Stack(database, f"http://{LOOPBACK}:{ports.ui}")


async def _built_ui(state: State, ports: Ports) -> Ui:
    """The frontend that `opsroom up` built, or builds the next time: it holds no state, so that it can be shared."""
    shared = state_from_environment()
    shared.create()
    built = Ui(shared, ports)
    if not built.is_built():
        await built.build()
    state.ui.rmdir()
    state.ui.symlink_to(shared.ui)
    return Ui(state, ports)
