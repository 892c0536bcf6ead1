"""The main path in a browser: sign in, open a session, launch, watch it live in two tabs, cancel."""

import re
import uuid

from playwright.async_api import Browser, Page, expect

from opsroom.control_plane.client import ControlPlane
from opsroom.local.services import Service
from tests.support.room import Room, enter, visitor
from tests.ui.conftest import operator_room


async def create_session(page: Page, title: str) -> str:
    """Create a session in the browser; gives its id."""
    await page.get_by_role("button", name="New", exact=True).click()
    await page.get_by_label("Title").fill(title)
    await page.get_by_label("Intent").fill("Prove that the room works.")
    await page.get_by_role("button", name="Create session").click()
    await expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
    return page.url.rsplit("/", 1)[1]


async def test_a_session_is_created_and_listed(page: Page) -> None:
    title = f"Upgrade {uuid.uuid4().hex[:6]}"
    await create_session(page, title)
    await expect(page.get_by_role("navigation", name="Sessions").get_by_role("link", name=title)).to_be_visible()
    for letter in "ABCD":
        await expect(page.get_by_role("region", name=f"Lane {letter}")).to_contain_text("Idle")
    await expect(page.locator("[data-feed=live]")).to_be_visible()


async def test_a_run_launched_in_the_browser_succeeds_in_front_of_one(page: Page, worker: Service) -> None:
    await create_session(page, "Spec Kit check")
    await page.get_by_role("link", name="Launch into lane B").first.click()
    await page.get_by_role("searchbox", name="Search templates").fill("validate")
    await page.get_by_role("link", name="Validate a Spec Kit bundle").click()
    await page.get_by_role("button", name="Launch").click()
    lane = page.get_by_role("region", name="Lane B")
    await expect(lane.locator("[data-run]")).to_have_count(1)
    await expect(lane).to_contain_text("Succeeded", timeout=30_000)
    await expect(page.get_by_role("region", name="Lane A")).to_contain_text("Idle")


async def test_a_change_shows_in_two_tabs_and_cancel_asks_first(
    page: Page, room: Room, worker: Service, upgrade: str
) -> None:
    session = await create_session(page, "Two tabs")
    other = await page.context.new_page()
    await other.goto(f"/sessions/{session}")
    await expect(other.get_by_role("region", name="Lane C")).to_contain_text("Idle")
    async with operator_room(room) as control_plane:
        run = await control_plane.create_run(session, upgrade, {}, lane="C", title="Upgrade module stock")
    for tab in (page, other):
        card = tab.locator(f"[data-run='{run.id}']")
        await expect(card).to_contain_text("Running")
        await expect(card).to_contain_text("Load the data files")
        await expect(card.locator(".beat")).to_have_attribute("data-state", "succeeded")
    await other.locator(f"[data-run='{run.id}']").get_by_role("button", name="Cancel").click()
    dialog = other.get_by_role("dialog", name="Cancel this run?")
    await dialog.get_by_label("Reason").fill("Seen enough")
    await dialog.get_by_role("button", name="Cancel the run").click()
    for tab in (page, other):
        await expect(tab.locator(f"[data-run='{run.id}'][data-state=cancelled]")).to_contain_text("by a person")


async def test_the_session_is_archived_and_reopened(page: Page) -> None:
    await create_session(page, "Soon over")
    await page.get_by_role("button", name="Archive this session").click()
    await page.get_by_role("dialog").get_by_role("button", name="Archive").click()
    await expect(page.get_by_role("button", name="Reopen")).to_be_visible()
    await expect(page.get_by_role("link", name=re.compile("Launch into"))).to_have_count(0)
    await page.get_by_role("button", name="Reopen").click()
    await expect(page.get_by_role("link", name="Launch", exact=True)).to_be_visible()


async def test_an_unknown_session_and_an_unknown_address_say_so(page: Page) -> None:
    await page.goto(f"/sessions/{uuid.uuid4()}")
    await expect(page.get_by_role("alert")).to_contain_text("no session")
    await page.goto("/sessions/not-an-id")
    await expect(page.get_by_role("alert")).to_contain_text("not-an-id")
    await page.goto("/nowhere")
    await expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()


async def test_a_viewer_sees_everything_and_can_change_nothing(
    room: Room, chromium: Browser, viewer_plane: tuple[str, str], page: Page
) -> None:
    session = await create_session(page, "Look, do not touch")
    email, password = viewer_plane
    async with visitor(chromium, room) as context:
        tab = await context.new_page()
        await tab.goto("/sign-in")
        await tab.get_by_label("E-mail").fill(email)
        await tab.get_by_label("Password").fill(password)
        await tab.get_by_role("button", name="Sign in").click()
        await tab.goto(f"/sessions/{session}")
        await expect(tab.get_by_text("You look on as a viewer.")).to_be_visible()
        launch = tab.get_by_role("button", name="Launch")
        await expect(launch).to_be_disabled()
        await expect(launch).to_have_attribute("title", re.compile("operator"))
        await expect(tab.get_by_role("button", name="New", exact=True)).to_be_disabled()
        await tab.goto(f"/sessions/{session}/launch?template=spec-kit-validate")
        await expect(tab.get_by_role("button", name="Launch")).to_be_disabled()


async def test_the_picture_is_the_databases_own(page: Page, room: Room) -> None:
    session = await create_session(page, "One truth")
    async with operator_room(room) as control_plane:
        await queue_ten(control_plane, session)
        lane = page.get_by_role("region", name="Lane D")
        await expect(lane).to_contain_text("10 queued")
        board = await control_plane.read_board(session)
    shown = await lane.locator(".queue-row").evaluate_all("rows => rows.map(row => row.dataset.run)")
    assert shown == [card.id for card in board.lane("D").queue]


async def queue_ten(control_plane: ControlPlane, session: str) -> None:
    """Ten runs that do not start: their time has not come."""
    from datetime import UTC, datetime, timedelta

    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for number in range(10):
        await control_plane.create_run(
            session, "spec-kit-validate", {}, lane="D", priority=number, not_before=tomorrow, title=f"Number {number}"
        )


async def test_on_a_small_screen_the_list_opens_and_is_put_away_by_choosing(room: Room, chromium: Browser) -> None:
    async with operator_room(room) as control_plane:
        session = await control_plane.create_session("Chosen by thumb")
    async with visitor(chromium, room, width=390) as context:
        tab = await context.new_page()
        await enter(tab)
        await tab.get_by_role("button", name="Sessions").click()
        await tab.get_by_role("navigation", name="Sessions").get_by_role("link", name="Chosen by thumb").click()
        await tab.wait_for_url(f"**/sessions/{session.id}")
        await expect(tab.locator("#sidebar")).to_be_hidden()
        await expect(tab.get_by_role("heading", level=1, name="Chosen by thumb")).to_be_visible()
