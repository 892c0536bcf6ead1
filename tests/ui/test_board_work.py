"""Working on the board: order, lanes, a run beside it, what was looked at; by mouse and by keyboard alone."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from opsroom.control_plane.client import ControlPlane
from opsroom.local.services import Service
from tests.support.room import Room, enter, visitor
from tests.ui.conftest import operator_room

NAMES = ("One", "Two", "Three", "Four")


@pytest.fixture
async def plane(room: Room) -> AsyncIterator[ControlPlane]:
    async with operator_room(room) as control_plane:
        yield control_plane


async def queued(plane: ControlPlane, session: str, *names: str, lane: str = "A") -> dict[str, str]:
    """Runs that do not start: their time has not come. Gives their ids by name."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return {
        name: (
            await plane.create_run(session, "spec-kit-validate", {}, lane=lane, not_before=tomorrow, title=name)  # pyright: ignore[reportArgumentType]
        ).id
        for name in names
    }


def lane_of(page: Page, letter: str) -> Locator:
    return page.get_by_role("region", name=f"Lane {letter}", exact=True)


async def order(page: Page, letter: str, *names: str) -> None:
    """The lane's queue shows these runs in this order, and nothing about them is pending."""
    rows = lane_of(page, letter).locator(".queue-row")
    await expect(rows.locator(".run-row-title")).to_have_text(list(names))
    await expect(page.locator("[data-pending]")).to_have_count(0)


async def test_waiting_runs_are_reordered_and_moved_by_keyboard(page: Page, plane: ControlPlane) -> None:
    session = (await plane.create_session("By keyboard")).id
    await queued(plane, session, *NAMES)
    await page.goto(f"/sessions/{session}")
    await order(page, "A", *NAMES)
    row = page.get_by_role("link", name=re.compile("^Three"))
    await row.focus()
    await page.keyboard.press("Alt+ArrowUp")
    await order(page, "A", "One", "Three", "Two", "Four")
    await expect(row).to_be_focused()
    await page.keyboard.press("Alt+ArrowUp")
    await page.keyboard.press("Alt+ArrowRight")
    await order(page, "B", "Three")
    await expect(row).to_be_focused()
    await page.get_by_role("button", name="Move Four").press("Enter")
    await page.get_by_role("menuitem", name="To the front").press("Enter")
    await order(page, "A", "Four", "One", "Two")
    board = await plane.read_board(session)
    assert [run.title for run in board.lane("A").queue] == ["Four", "One", "Two"]
    assert [run.title for run in board.lane("B").queue] == ["Three"]


async def test_waiting_runs_are_dragged_within_and_between_lanes(page: Page, plane: ControlPlane) -> None:
    session = (await plane.create_session("By hand")).id
    runs = await queued(plane, session, *NAMES)
    await page.goto(f"/sessions/{session}")

    def row(name: str) -> Locator:
        return page.locator(f".queue-row[data-run='{runs[name]}']")

    await row("Four").drag_to(row("One"), target_position={"x": 60, "y": 4})
    await order(page, "A", "Four", "One", "Two", "Three")
    await row("One").drag_to(lane_of(page, "D"))
    await order(page, "D", "One")
    await order(page, "A", "Four", "Two", "Three")
    assert [run.id for run in (await plane.read_board(session)).lane("D").queue] == [runs["One"]]


async def test_a_move_is_pending_until_the_database_says_so_and_undone_when_it_refuses(
    page: Page, plane: ControlPlane, room: Room
) -> None:
    session = (await plane.create_session("Pending")).id
    runs = await queued(plane, session, *NAMES)
    await page.goto(f"/sessions/{session}")
    await order(page, "A", *NAMES)
    room.gateway.pause()
    try:
        await page.locator(".lanes").get_by_role("link", name=re.compile("^One")).focus()
        await page.keyboard.press("Alt+ArrowDown")
        await expect(page.locator(f"[data-run='{runs['One']}'][data-pending]")).to_contain_text("Moving")
        url = room.gateway.stack.database_url("postgres")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
            end = "select private.end_run(%s, 'cancelled', 'cancelled_by_person', 'Meanwhile')"
            await owner.execute(end, (runs["One"],))
    finally:
        room.gateway.resume()
    await expect(page.get_by_text(re.compile("only a queued one can be moved"))).to_be_visible()
    await order(page, "A", "Two", "Three", "Four")
    await expect(page.locator(f".done-row[data-run='{runs['One']}']")).to_be_visible()


async def test_a_lane_and_a_session_are_paused_and_a_lane_is_widened(page: Page, plane: ControlPlane) -> None:
    session = (await plane.create_session("Held back")).id
    await page.goto(f"/sessions/{session}")
    await page.get_by_role("button", name="Settings of lane B").click()
    await page.get_by_role("menuitem", name="Pause lane B").click()
    await expect(lane_of(page, "B")).to_contain_text("Paused")
    await page.get_by_role("button", name="Settings of lane B").click()
    await page.get_by_role("button", name="More at once").click()
    await expect(page.get_by_title("0 of 2 slots taken")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=re.compile("Pause this session")).click()
    await expect(page.get_by_role("status").filter(has_text="nothing new starts")).to_be_visible()
    board = await plane.read_board(session)
    assert (board.lane("B").capacity, board.lane("B").paused_at is not None, board.session.paused_at is not None) == (
        2,
        True,
        True,
    )
    await page.get_by_role("button", name="Resume", exact=True).click()
    await expect(page.get_by_role("button", name=re.compile("Pause this session"))).to_be_visible()


async def test_a_run_is_looked_into_beside_the_board_without_a_mouse(
    page: Page, plane: ControlPlane, worker: Service, upgrade: str
) -> None:
    session = (await plane.create_session("Beside")).id
    failed = await plane.create_run(session, upgrade, {"seconds": 1, "exit": 3}, lane="A", title="Does not hold")
    waits = (await queued(plane, session, "Waits", lane="C"))["Waits"]
    await page.goto(f"/sessions/{session}")
    await expect(page.locator(f"[data-run='{failed.id}'][data-state=failed]")).to_be_visible(timeout=30_000)
    group = page.get_by_role("group", name="Needs you")
    await expect(group.get_by_role("link", name=re.compile("Beside"))).to_be_visible()

    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="Run", exact=True)
    await expect(panel.get_by_role("heading", name="Does not hold")).to_be_visible()
    await expect(panel.get_by_role("log")).to_contain_text("deprecated")
    await expect(panel.locator("[data-step=upgrade]")).to_contain_text("exit code 3")
    await expect(panel.get_by_text("report.md", exact=True)).to_be_visible()
    assert f"run={failed.id}" in page.url
    await expect(group.get_by_role("link", name=re.compile("Beside"))).to_have_count(0)
    assert (await plane.read_run(failed.id)).run.seen, "who opened a failure has looked at it"

    await page.keyboard.press("j")
    await expect(panel.get_by_role("heading", name="Waits")).to_be_visible()
    assert f"run={waits}" in page.url
    await page.keyboard.press("Escape")
    await expect(panel).to_have_count(0)
    assert "run=" not in page.url
    await page.keyboard.press("k")
    await page.keyboard.press("r")
    await expect(lane_of(page, "A").get_by_text("attempt 2")).to_be_visible()

    await page.goto(f"/sessions/{session}?run={waits}")
    await expect(panel.get_by_role("heading", name="Waits")).to_be_visible()
    await panel.get_by_role("link", name="Open the run's page").click()
    await page.wait_for_url(f"**/runs/{waits}")


async def test_a_link_to_a_run_that_does_not_exist_says_so(page: Page, plane: ControlPlane) -> None:
    session = (await plane.create_session("Bad link")).id
    await page.goto(f"/sessions/{session}?run=00000000-0000-4000-8000-000000000000")
    panel = page.get_by_role("complementary", name="Run", exact=True)
    await expect(panel.get_by_role("alert")).to_contain_text("no run")
    await page.get_by_role("button", name="Close the run").click()
    await expect(panel).to_have_count(0)
    await expect(page.get_by_role("heading", level=1, name="Bad link")).to_be_visible()


async def test_the_keys_are_told_and_the_sessions_are_searched(page: Page, plane: ControlPlane) -> None:
    session = (await plane.create_session("Needle in the list")).id
    await page.goto(f"/sessions/{session}")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.locator("[data-feed=live]")).to_be_visible()
    await page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(sheet).to_contain_text("Move between cards")
    await page.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)
    await page.keyboard.press("/")
    await page.keyboard.type("needle in")
    sessions = page.get_by_role("navigation", name="Sessions")
    await expect(sessions.get_by_role("link")).to_have_count(1)
    await page.keyboard.type("no such thing")
    await expect(sessions).to_contain_text("No session matches.")


async def test_a_viewer_may_look_into_runs_and_move_none(
    room: Room, chromium: Browser, viewer_plane: tuple[str, str], plane: ControlPlane
) -> None:
    session = (await plane.create_session("For eyes")).id
    runs = await queued(plane, session, "One", "Two")
    email, password = viewer_plane
    async with visitor(chromium, room) as context:
        tab = await context.new_page()
        await tab.goto(f"/sign-in?next=/sessions/{session}")
        await tab.get_by_label("E-mail").fill(email)
        await tab.get_by_label("Password").fill(password)
        await tab.get_by_role("button", name="Sign in").click()
        await tab.wait_for_selector(".topbar")
        await tab.goto(f"/sessions/{session}")
        await order(tab, "A", "One", "Two")
        await expect(tab.get_by_role("button", name="Move One")).to_be_disabled()
        await expect(tab.get_by_role("button", name="Settings of lane A")).to_be_disabled()
        await tab.locator(".lanes").get_by_role("link", name=re.compile("^Two")).focus()
        await tab.keyboard.press("Alt+ArrowUp")
        await tab.keyboard.press("Enter")
        panel = tab.get_by_role("complementary", name="Run", exact=True)
        await expect(panel.get_by_role("heading", name="Two")).to_be_visible()
        await order(tab, "A", "One", "Two")
    assert [run.id for run in (await plane.read_board(session)).lane("A").queue] == list(runs.values())


async def test_on_a_small_screen_a_run_fills_it(room: Room, chromium: Browser, plane: ControlPlane) -> None:
    session = (await plane.create_session("In the hand")).id
    runs = await queued(plane, session, "Tapped")
    async with visitor(chromium, room, width=390) as context:
        tab = await context.new_page()
        await enter(tab)
        await tab.goto(f"/sessions/{session}?run={runs['Tapped']}")
        panel = tab.get_by_role("complementary", name="Run", exact=True)
        await expect(panel).to_be_visible()
        box = await panel.bounding_box()
        assert box is not None
        assert box["width"] == 390
        await tab.get_by_role("button", name="Close the run").click()
        await expect(panel).to_have_count(0)


async def test_a_run_that_waits_for_an_approval_needs_you(page: Page, plane: ControlPlane) -> None:
    spec = {
        "slug": "asks-first",
        "title": "Asks first",
        "risk": "block",
        "steps": [{"id": "act", "title": "Act", "kind": "noop"}],
    }
    await plane.save_template(spec)
    session = (await plane.create_session("Held at the gate")).id
    run = await plane.create_run(session, "asks-first", {}, lane="B")
    await page.goto(f"/sessions/{session}")
    needed = page.get_by_role("group", name="Needs you").get_by_role("link", name=re.compile("Held at the gate"))
    await expect(needed.get_by_title("Waiting for an approval")).to_have_text("1")
    await expect(lane_of(page, "B")).to_contain_text("needs approval")
    await plane.cancel_run(run.id)
    await expect(needed).to_have_count(0)
