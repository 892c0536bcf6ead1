"""The room as people use it: the production build, served against the test stack, in a real Chromium."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from opsroom.local import operator, services, signing
from opsroom.local.environment import LOCAL_EMAIL, embedded_worker
from opsroom.local.paths import REPOSITORY, Ports, State, free_port
from opsroom.local.services import Service
from opsroom.local.ui import Ui
from tests.support.chromium import open_chromium
from tests.support.door import Door, open_door
from tests.support.gateway import Gateway
from tests.support.stack import Stack

PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)  # a signal comes when it comes: machines are slow at times


@dataclass
class Room:
    """The UI's server. Its port stays the same over restarts."""

    gateway: Gateway
    ports: Ports
    service: Service
    door: Door
    model_port: int
    """Where the room looks for its language model; nothing listens there unless a test does."""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.ports.ui}"

    async def start(self) -> None:
        await self.service.start()
        await self.service.wait_until_ready()

    async def stop(self) -> None:
        await self.service.stop()


async def _built(ports: Ports, own: Path) -> Ui:
    """The build for the sources as they are, copied to `own`: a build that starts meanwhile must not pull it away."""
    kept = State(REPOSITORY / ".opsroom" / "tests")
    kept.create()
    ui = Ui(kept, ports)
    if not ui.is_built():
        await ui.build()
    shutil.copytree(kept.ui / "web", own / "web", ignore=shutil.ignore_patterns("node_modules"), symlinks=True)
    return ui


@pytest.fixture(scope="package")
async def room(stack: Stack) -> AsyncIterator[Room]:
    """The board with the local operator's one-click sign-in, built once for a state of the sources.

    It has a gateway of its own, which its tests may take away from it.
    """
    gateway = Gateway(stack)
    await gateway.start()
    ports = Ports(ui=free_port(), api=gateway.port, database=gateway.stack.postgres.port, worker=free_port())
    secrets = gateway.stack.secrets
    await operator.ensure(secrets, ports)
    own = Path(tempfile.mkdtemp(prefix="opsroom-ui-"))
    ui = await _built(ports, own)
    model_port = free_port()
    doors = AsyncExitStack()
    door = await doors.enter_async_context(open_door(gateway.port))
    variables = {
        "SUPABASE_URL": door.url,
        "SUPABASE_ANON_KEY": secrets.anon_key,
        "OPSROOM_LOCAL_EMAIL": LOCAL_EMAIL,
        "OPSROOM_LOCAL_PASSWORD": secrets.operator,
        "OPSROOM_STATE_DIR": str(own),
        "OPSROOM_LLM_URL": f"http://127.0.0.1:{model_port}/v1",
        "OPSROOM_LLM_MODEL": "stand-in",
        "OPSROOM_LLM_KEY": "key-of-the-stand-in",
        "REFLEX_WEB_WORKDIR": str(own / "web"),
    }
    service = replace(ui.service(variables), log=own / "ui.log")
    room = Room(gateway, ports, service, door, model_port)
    try:
        await room.start()
        yield room
    finally:
        await room.stop()
        await doors.aclose()
        await gateway.stop()
        shutil.rmtree(own, ignore_errors=True)


@pytest.fixture(scope="package")
async def worker(room: Room) -> AsyncIterator[Service]:
    """One worker of the embedded kind; it signs evidence."""
    stack = room.gateway.stack
    signing.ensure(stack.state)
    service = services.worker(stack.state, room.ports, embedded_worker(stack.secrets, room.ports))
    await service.start()
    try:
        await service.wait_until_ready()
        yield service
    finally:
        await service.stop()


@pytest.fixture(scope="package")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await open_chromium(playwright)
        yield browser
        await browser.close()


@asynccontextmanager
async def visitor(
    chromium: Browser, room: Room, *, dark: bool = True, width: int = 1280, height: int = 800
) -> AsyncIterator[BrowserContext]:
    """A person with a browser of their own."""
    context = await chromium.new_context(
        base_url=room.url, viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context
    await context.close()


async def enter(page: Page) -> None:
    """Sign in as the local operator, to the board."""
    await page.goto("/sign-in")
    await page.get_by_role("button", name="Continue as local operator").click()
    await page.wait_for_selector(".topbar")


@pytest.fixture
async def page(chromium: Browser, room: Room) -> AsyncIterator[Page]:
    """A tab of the local operator. The test fails if the page logged an error."""
    complaints: list[str] = []
    async with visitor(chromium, room) as context:
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await enter(page)
        yield page
    assert not complaints, complaints
