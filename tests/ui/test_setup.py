"""Setup: what is missing is named with its command, the page looks again by itself and goes on, and tells no secret."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, expect

from opsroom.local import services
from opsroom.local.bootstrap import bootstrap
from opsroom.local.migrations import migrate
from opsroom.local.paths import Ports, State, free_port
from opsroom.local.postgres import Postgres
from opsroom.local.secrets import load_or_create
from tests.support.room import Room, visitor


@asynccontextmanager
async def another(room: Room, **variables: str) -> AsyncIterator[Room]:
    """The same build with other settings, on a port and in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="opsroom-setup-") as folder:
        ports = replace(room.ports, ui=free_port())
        given = {"SUPABASE_URL", "SUPABASE_ANON_KEY", "OPSROOM_LOCAL_EMAIL", "OPSROOM_LOCAL_PASSWORD"}
        kept = {name: value for name, value in room.service.environment.items() if name not in given}
        service = replace(
            room.service,
            command=[str(ports.ui) if part == str(room.ports.ui) else part for part in room.service.command],
            environment=kept | {"OPSROOM_UI_PORT": str(ports.ui), "OPSROOM_STATE_DIR": folder} | variables,
            ready_url=f"http://127.0.0.1:{ports.ui}/_health",
            log=Path(folder) / "ui.log",
        )
        other = replace(room, ports=ports, service=service)
        try:
            await other.start()
            yield other
        finally:
            await other.stop()


@asynccontextmanager
async def not_migrated() -> AsyncIterator[tuple[str, str, Postgres]]:
    """The address, the public key and the database of a stack that nobody has migrated."""
    async with AsyncExitStack() as cleanup:
        state = State(Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="opsroom-unmigrated-"))))
        state.create()
        secrets = load_or_create(state.secrets)
        ports = Ports(*(free_port() for _ in range(5)))
        postgres = Postgres(state, secrets, ports.database, durable=False)
        cleanup.push_async_callback(postgres.stop)
        await postgres.start()
        await bootstrap(postgres)
        gateway = services.gateway(state, ports)
        cleanup.push_async_callback(gateway.stop)
        await gateway.start()
        await gateway.wait_until_ready()
        yield f"http://127.0.0.1:{ports.api}", secrets.anon_key, postgres


def check(page: Page, name: str, state: str) -> Locator:
    return page.locator(f".setup-check[data-state={state}]").filter(has=page.get_by_role("heading", name=name))


async def test_a_page_that_can_not_reach_the_control_plane_leads_here_and_all_goes_on_by_itself(
    page: Page, room: Room
) -> None:
    await room.gateway.stop()
    try:
        await page.goto("/templates")
        await page.get_by_role("alert").get_by_role("link", name="Open setup").click()
        await expect(check(page, "Address", "failed")).to_contain_text("cannot be reached")
        await expect(page.get_by_role("list", name="Checks")).to_contain_text("make up")
    finally:
        await room.gateway.start()
    await page.wait_for_url("**/")
    await expect(page.locator(".topbar")).to_be_visible()
    await page.goto("/setup")
    await expect(check(page, "You", "succeeded")).to_contain_text("your role is admin")
    await expect(page.get_by_role("link", name="Go on")).to_be_visible()


async def test_without_settings_the_variables_are_named_and_no_folder(chromium: Browser, room: Room) -> None:
    async with another(room) as other, visitor(chromium, other, width=390) as context:
        page = await context.new_page()
        await page.goto("/sign-in?reason=not_configured")
        await page.get_by_role("link", name="Open setup").click()
        await expect(check(page, "Settings", "failed")).to_contain_text("SUPABASE_PUBLISHABLE_KEY")
        await expect(check(page, "Settings", "failed")).to_contain_text("make up")
        assert other.service.environment["OPSROOM_STATE_DIR"] not in await page.content()
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


async def test_a_secret_key_is_refused_and_not_shown(chromium: Browser, room: Room) -> None:
    key = room.gateway.stack.secrets.service_role_key
    async with (
        another(room, SUPABASE_URL=room.gateway.url, SUPABASE_ANON_KEY=key) as other,
        visitor(chromium, other, dark=False) as context,
    ):
        page = await context.new_page()
        await page.goto("/setup")
        await expect(check(page, "Key", "failed")).to_contain_text("secret")
        assert key not in await page.content()


async def test_a_database_without_migrations_is_told_and_noticed_once_it_has_them(
    chromium: Browser, room: Room
) -> None:
    async with (
        not_migrated() as (url, key, postgres),
        another(room, SUPABASE_URL=url, SUPABASE_ANON_KEY=key) as other,
        visitor(chromium, other) as context,
    ):
        page = await context.new_page()
        await page.goto("/setup?next=/templates")
        await expect(check(page, "Database", "failed")).to_contain_text("not migrated")
        await expect(check(page, "Database", "failed")).to_contain_text("supabase db push")
        await migrate(postgres.dsn("postgres"))
        await page.wait_for_url("**/sign-in?next=**")
