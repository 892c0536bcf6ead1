"""Shells of people who are signed in, a worker, and templates small enough to test with."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from opsroom.domain.lifecycle import Role
from tests.cli.command import Shell
from tests.support.gateway import Gateway, gateway
from tests.support.stack import stack

__all__ = ["gateway", "stack"]

STEPS = {
    "t-hello": "echo hello; echo oops >&2; printf '# Report\\n' > report.md",
    "t-fail": "echo before the failure; exit 3",
    "t-wait": 'echo started; until [ -e "$PARAM_FLAG" ]; do sleep 0.1; done; echo done',
    "t-slow": "echo started; sleep 60",
}


@pytest.fixture(scope="package")
async def admin(gateway: Gateway) -> AsyncIterator[ControlPlane]:
    async with gateway.room(await gateway.person("admin")) as room:
        yield room


@pytest.fixture(scope="package")
async def templates(admin: ControlPlane) -> None:
    """Templates that say hello, fail, wait for a file, and time out."""
    for slug, script in STEPS.items():
        step = {"id": "work", "title": "Work", "kind": "shell", "with": {"script": script}}
        spec = {"slug": slug, "title": f"Test {slug}", "steps": [step]}
        if slug == "t-hello":
            step["artifacts"] = [{"path": "*.md", "kind": "markdown"}]
        if slug == "t-wait":
            spec["params"] = {"properties": {"flag": {"type": "string"}}, "required": ["flag"]}
        if slug == "t-slow":
            spec["timeout_seconds"] = 1
        await admin.save_template(spec)


async def signed_in(gateway: Gateway, role: Role | None, folder: Path) -> Shell:
    person = await gateway.person(role)
    shell = Shell(gateway.environment(folder / "config"), folder)
    answer = await shell.run("sign-in", "--email", person.email, "--password-stdin", stdin=person.password + "\n")
    assert answer.code == 0, answer.err
    return shell


@pytest.fixture(scope="package")
async def operator(gateway: Gateway, templates: None, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return await signed_in(gateway, "operator", tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="package")
async def viewer(gateway: Gateway, templates: None, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return await signed_in(gateway, "viewer", tmp_path_factory.mktemp("viewer"))


@pytest.fixture(scope="package")
async def administrator(gateway: Gateway, templates: None, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return await signed_in(gateway, "admin", tmp_path_factory.mktemp("admin"))


@pytest.fixture
async def session(admin: ControlPlane, request: pytest.FixtureRequest) -> Session:
    return await admin.create_session(f"{request.node.name[:80]}")


@pytest.fixture(scope="package")
async def worker(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    """One real worker for all tests that need runs executed."""
    folder = tmp_path_factory.mktemp("worker")
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {
        "SUPABASE_URL": gateway.url,
        "SUPABASE_SERVICE_ROLE_KEY": gateway.stack.secrets.service_role_key,
        "OPSROOM_DATABASE_URL": gateway.stack.database_url("worker"),
        "OPSROOM_WORKER_PORT": "0",
        "OPSROOM_WORKER_POLL_SECONDS": "0.5",
        "OPSROOM_WORKER_GRACE_SECONDS": "1",
        "OPSROOM_WORK_ROOT": str(folder),
    }
    with (folder / "worker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "workers", env=environment, stdout=log, stderr=log
        )
    yield
    process.kill()
    await process.wait()
