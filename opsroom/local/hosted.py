"""`opsroom up --backend hosted`: the worker and the UI on this machine, the control plane in a Supabase project."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

import httpx

from opsroom.local import services
from opsroom.local.errors import BackendNotReady
from opsroom.local.paths import Ports, State, port_variable, require_free
from opsroom.local.progress import Report
from opsroom.local.supervisor import Supervisor
from opsroom.local.ui import Ui, require_board


@dataclass(frozen=True)
class Project:
    """The project that the environment names. Keys are opaque: of the legacy kind or the new one."""

    url: str
    public_key: str
    secret_key: str | None


def project_from_environment(*, with_worker: bool) -> Project:
    url = os.environ.get("SUPABASE_URL", "").strip().rstrip("/")
    public = os.environ.get("SUPABASE_PUBLISHABLE_KEY") or os.environ.get("SUPABASE_ANON_KEY")
    secret = os.environ.get("SUPABASE_SECRET_KEY") or os.environ.get("SUPABASE_SERVICE_ROLE_KEY")
    if not url.startswith(("http://", "https://")):
        raise BackendNotReady("--backend hosted needs SUPABASE_URL: set it to the project's address, https://….")
    if not public:
        raise BackendNotReady("--backend hosted needs the project's SUPABASE_PUBLISHABLE_KEY (or SUPABASE_ANON_KEY).")
    if with_worker and not secret:
        raise BackendNotReady(
            "The worker needs the project's SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY): set it, or start with "
            "--no-worker."
        )
    return Project(url, public, secret if with_worker else None)


@dataclass(frozen=True)
class Hosted:
    state: State
    ports: Ports
    report: Report
    project: Project
    with_ui: bool = True

    async def start(self, supervisor: Supervisor) -> dict[str, str]:
        """Check the project, then start the UI and the worker; gives the public facts for `run.json`."""
        if self.with_ui:
            await require_free(self.ports.ui, "the board", port_variable("ui"))
        if self.project.secret_key:
            await require_free(self.ports.worker, "the worker", port_variable("worker"))
        async with self.report.step(f"Checking {self.project.url}"):
            await _require_schema(self.project)

        async def worker() -> None:
            assert self.project.secret_key is not None
            variables = {"SUPABASE_URL": self.project.url, "SUPABASE_SERVICE_ROLE_KEY": self.project.secret_key}
            async with self.report.step("Worker"):
                await supervisor.start("worker", services.worker(self.state, self.ports, variables))

        async def board() -> None:
            ui = Ui(self.state, self.ports)
            if not ui.is_built():
                async with self.report.step("Building the frontend"):
                    await ui.build()
            async with self.report.step("Board"):
                variables = {"SUPABASE_URL": self.project.url, "SUPABASE_ANON_KEY": self.project.public_key}
                await supervisor.start("UI", ui.service(variables))
                await require_board(self.ports)

        async with asyncio.TaskGroup() as together:
            if self.project.secret_key:
                together.create_task(worker())
            if self.with_ui:
                together.create_task(board())
        facts = {"backend": "hosted", "api_url": self.project.url, "anon_key": self.project.public_key}
        return {**facts, "ui_url": f"http://localhost:{self.ports.ui}"} if self.with_ui else facts


async def _require_schema(project: Project) -> None:
    """The project must answer, take the keys, and have this repository's migrations."""
    key = project.secret_key or project.public_key
    try:
        async with httpx.AsyncClient(base_url=project.url, timeout=20) as client:
            answer = await client.get("/rest/v1/run_templates?select=slug&limit=1", headers={"apikey": key})
    except httpx.HTTPError as error:
        raise BackendNotReady(
            f"{project.url} cannot be reached ({type(error).__name__}): check SUPABASE_URL and the network."
        ) from error
    code = _code(answer)
    if answer.status_code == 404 and code in ("PGRST205", "42P01"):
        raise BackendNotReady(
            f"{project.url} has no Ops Control Room database yet: run `supabase link` and "
            "`supabase db push --include-seed`, then start again."
        )
    if answer.status_code in (401, 403) and code != "42501":  # a member's table: the public key alone may not read it
        raise BackendNotReady(f"{project.url} refuses the key: check the project's keys in the environment.")
    if answer.status_code >= 500:
        raise BackendNotReady(f"{project.url} answers {answer.status_code}: see the project's status and logs.")


def _code(answer: httpx.Response) -> str | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body.get("code") if isinstance(body, dict) else None
