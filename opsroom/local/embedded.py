"""`opsroom up` with the embedded stack: what starts after what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from opsroom.local import operator, services, signing
from opsroom.local.bootstrap import bootstrap
from opsroom.local.environment import LOCAL_EMAIL, api_url, embedded_worker
from opsroom.local.functions import Functions
from opsroom.local.migrations import migrate
from opsroom.local.paths import Ports, State, port_variable, require_free
from opsroom.local.postgres import Postgres
from opsroom.local.progress import Report
from opsroom.local.secrets import load_or_create
from opsroom.local.supervisor import Supervisor
from opsroom.local.ui import Ui, require_board

_USED_BY = {
    "database": "Postgres",
    "api": "the gateway",
    "functions": "the Edge Functions",
    "worker": "the worker",
    "ui": "the board",
}


@dataclass(frozen=True)
class Embedded:
    """One embedded stack: Postgres, gateway, Edge Functions, worker, UI."""

    state: State
    ports: Ports
    report: Report
    with_ui: bool = True
    with_worker: bool = True

    async def _check_ports(self) -> None:
        unused = {"ui"} if not self.with_ui else set[str]()
        unused |= {"worker"} if not self.with_worker else set[str]()
        for field, what in _USED_BY.items():
            if field not in unused:
                await require_free(getattr(self.ports, field), what, port_variable(field))

    async def start(self, supervisor: Supervisor) -> dict[str, str]:
        """Start everything; gives the public facts for `run.json`. Independent things happen at the same time."""
        secrets = load_or_create(self.state.secrets)
        signing.ensure(self.state)
        postgres = Postgres(self.state, secrets, self.ports.database)
        await postgres.settle()
        await self._check_ports()
        functions, ui = Functions(self.state.root, self.state.deno), Ui(self.state, self.ports)
        url = api_url(self.ports)
        api_ready = asyncio.Event()

        async def database_and_gateway() -> None:
            async with self.report.step("Postgres" if postgres.exists() else "Postgres, with a new database"):
                await supervisor.start("database", postgres)
                await bootstrap(postgres)
            async with self.report.step("Migrations and templates"):
                await migrate(postgres.dsn("postgres"))
            async with self.report.step("Gateway and local operator"):
                await supervisor.start("gateway", services.gateway(self.state, self.ports))
                await operator.ensure(secrets, self.ports)
            api_ready.set()
            if self.with_worker:
                async with self.report.step("Worker"):
                    worker = services.worker(self.state, self.ports, embedded_worker(secrets, self.ports))
                    await supervisor.start("worker", worker)

        async def edge_functions() -> None:
            if not functions.is_cached():
                async with self.report.step("Packages of the Edge Functions"):
                    await functions.fetch()
            async with self.report.step("Edge Functions"):
                environment = functions.environment(url, secrets.anon_key, secrets.service_role_key)
                command = functions.command(self.ports.functions)
                await supervisor.start(
                    "Edge Function runtime", services.functions(self.state, self.ports, command, environment)
                )

        async def board() -> None:
            if not ui.is_built():
                async with self.report.step("Building the frontend"):
                    await ui.build()
            async with self.report.step("Board"):
                variables = {
                    "SUPABASE_URL": url,
                    "SUPABASE_ANON_KEY": secrets.anon_key,
                    "OPSROOM_LOCAL_EMAIL": LOCAL_EMAIL,
                    "OPSROOM_LOCAL_PASSWORD": secrets.operator,
                }
                await supervisor.start("UI", ui.service(variables))
                await api_ready.wait()
                await require_board(self.ports)

        async with asyncio.TaskGroup() as together:
            together.create_task(database_and_gateway())
            together.create_task(edge_functions())
            if self.with_ui:
                together.create_task(board())
        facts = {"backend": "embedded", "api_url": url, "anon_key": secrets.anon_key, "local_email": LOCAL_EMAIL}
        return {**facts, "ui_url": f"http://localhost:{self.ports.ui}"} if self.with_ui else facts
