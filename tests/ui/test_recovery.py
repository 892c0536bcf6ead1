"""What the board does while something is gone, and that all is right again when it is back, without a reload."""

import datetime as dt
import uuid

from playwright.async_api import Page, expect

from tests.support.room import Room
from tests.ui.conftest import operator_room
from tests.ui.test_board import create_session

BACK_MS = 6_000


async def marked(page: Page) -> str:
    """Put a mark on the page that a reload would wipe."""
    mark = uuid.uuid4().hex
    await page.evaluate("mark => { window.mark = mark }", mark)
    return mark


async def test_a_restarted_backend_is_joined_again_without_a_reload(page: Page, room: Room) -> None:
    session = await create_session(page, "Backend restarts")
    mark = await marked(page)
    await room.stop()
    await expect(page.locator("[data-feed=stale]")).to_contain_text("Stale since")
    await expect(page.get_by_role("heading", level=1, name="Backend restarts")).to_be_visible()
    await room.start()
    await expect(page.locator("[data-feed=live]")).to_be_visible(timeout=BACK_MS)
    async with operator_room(room) as control_plane:
        await control_plane.create_run(
            session, "spec-kit-validate", {}, lane="A", not_before=_tomorrow(), title="After"
        )
    await expect(page.get_by_role("region", name="Lane A")).to_contain_text("After")
    assert await page.evaluate("window.mark") == mark


async def test_an_outage_of_the_gateway_shows_as_stale_and_ends_by_itself(page: Page, room: Room) -> None:
    session = await create_session(page, "Gateway gone")
    mark = await marked(page)
    await expect(page.locator("[data-feed=live]")).to_be_visible()
    await room.gateway.stop()
    await expect(page.locator("[data-feed=stale]")).to_contain_text("Stale since", timeout=20_000)
    await expect(page.get_by_role("heading", level=1, name="Gateway gone")).to_be_visible()
    await room.gateway.start()
    async with operator_room(room) as control_plane:
        await control_plane.create_run(
            session, "spec-kit-validate", {}, lane="B", not_before=_tomorrow(), title="Missed"
        )
    await expect(page.get_by_role("region", name="Lane B")).to_contain_text("Missed", timeout=BACK_MS)
    await expect(page.locator("[data-feed=live]")).to_be_visible(timeout=20_000)
    assert await page.evaluate("window.mark") == mark


async def test_a_board_never_seen_before_appears_when_the_gateway_is_back(page: Page, room: Room) -> None:
    async with operator_room(room) as control_plane:
        session = await control_plane.create_session("Opened too early")
    await room.gateway.stop()
    try:
        await page.goto(f"/sessions/{session.id}")
        await expect(page.get_by_role("alert")).to_contain_text("The control plane")
        await expect(page.get_by_role("button", name="Try again")).to_be_visible()
    finally:
        await room.gateway.start()
    await expect(page.get_by_role("heading", level=1, name="Opened too early")).to_be_visible(timeout=BACK_MS)


async def test_a_sign_in_survives_a_restart_of_the_backend(page: Page, room: Room) -> None:
    await room.stop()
    await room.start()
    await page.goto("/")
    await expect(page.locator(".topbar")).to_be_visible()
    assert "/sign-in" not in page.url


def _tomorrow():

    return dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
