"""The pictures in `docs/screenshots/`, made from real runs: dark and light, 1280 and 390 pixels wide.

They are written only when OPSROOM_SCREENSHOTS is set, as they differ with every run; the pages are checked in any
case: nothing may be wider than the screen.
"""

import asyncio
import datetime as dt
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, FloatRect, Page, expect

from opsroom.control_plane.client import ControlPlane
from opsroom.domain.lifecycle import Lane
from opsroom.local.paths import REPOSITORY
from opsroom.local.services import Service
from tests.support.room import Room, enter, visitor
from tests.ui.conftest import operator_room
from tests.ui.test_launch import MIGRATE

FOLDER = REPOSITORY / "docs" / "screenshots"
ALL_LOOKS = [(True, 1280), (False, 390), (False, 1280), (True, 390)]
LOOKS = ALL_LOOKS if os.environ.get("OPSROOM_SCREENSHOTS") else ALL_LOOKS[:2]
"""Dark or light, and how wide. Without pictures to make two are enough: each colour scheme and each width once."""


@dataclass
class Scene:
    """Sessions with runs in every state."""

    full: str
    empty: str
    running: str
    failed: str
    busy: str


@pytest.fixture(scope="module")
async def scene(room: Room, worker: Service, upgrade: str) -> AsyncIterator[Scene]:
    async with operator_room(room) as plane:
        empty = await plane.create_session("Certificates, December", "Every public endpoint has a month to go.")
        quiet = await plane.create_session("Spec Kit of this repository", "The four files hold together.")
        await plane.create_run(quiet.id, "spec-kit-validate", {}, lane="A")
        full = await plane.create_session(
            "Upgrade staging to Odoo 19",
            "Snapshot the database, upgrade module by module, prove the gates. Stop at the first gate that fails.",
        )
        failed = await _fill(plane, full.id, upgrade)
        running = await plane.create_run(full.id, upgrade, {"seconds": 600}, lane="A", title="Upgrade module stock")
        await plane.create_run(
            full.id, upgrade, {"seconds": 600, "mode": "reinstall"}, lane="B", title="Rebuild the search index"
        )
        tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(hours=9)
        for title, priority in (
            ("Prove the module gates", 20),
            ("Upgrade module account", 10),
            ("Upgrade module mrp", 0),
        ):
            await plane.create_run(full.id, upgrade, {"seconds": 3}, lane="A", title=title, priority=priority)
        await plane.create_run(full.id, upgrade, {"seconds": 3}, lane="C", title="Send the report", not_before=tomorrow)
        await _until_running(plane, full.id, running.id)
        yield Scene(full.id, empty.id, running.id, failed, await _busy(plane, upgrade, tomorrow))
        for run in (card for lane in (await plane.read_board(full.id)).lanes for card in (*lane.active, *lane.queue)):
            await plane.cancel_run(run.id)


async def _fill(plane: ControlPlane, session: str, upgrade: str) -> str:
    """Finished runs: some succeeded, one failed, one cancelled."""
    runs = [
        await plane.create_run(session, "spec-kit-validate", {}, lane="C", title="Validate the Spec Kit"),
        await plane.create_run(session, upgrade, {"seconds": 1}, lane="A", title="Upgrade module base"),
        await plane.create_run(session, upgrade, {"seconds": 2}, lane="B", title="Snapshot odoo_staging"),
        await plane.create_run(session, upgrade, {"seconds": 1, "exit": 3}, lane="D", title="Upgrade module sale"),
    ]
    cancelled = await plane.create_run(session, upgrade, {}, lane="D", title="Warm the caches")
    await plane.cancel_run(cancelled.id, "Not needed")
    async with asyncio.timeout(60):
        for run in runs:
            while (await plane.read_run(run.id)).run.is_live:
                await asyncio.sleep(0.2)
    return runs[-1].id


async def _busy(plane: ControlPlane, upgrade: str, later: dt.datetime) -> str:
    """A session with much in its queues, a wide lane, a lane that is held back, all of it paused."""
    session = (await plane.create_session("Nightly maintenance", "Every database, before the offices open.")).id
    await plane.set_session_paused(session, True)
    await plane.set_lane(session, "A", capacity=4)
    await plane.set_lane(session, "C", paused=True)
    for number in range(26):
        lane: Lane = "A" if number < 12 else "C" if number < 20 else "D"
        await plane.create_run(
            session, upgrade, {}, lane=lane, title=f"Vacuum customer_{number + 1:02d}", priority=(number % 3) * 5,
            not_before=later if lane == "D" else None,
        )  # fmt: skip
    return session


async def _until_running(plane: ControlPlane, session: str, run: str) -> None:
    async with asyncio.timeout(30):
        while (detail := await plane.read_run(run)).run.status != "running" or detail.last_seq < 6:
            await asyncio.sleep(0.2)


async def fits(page: Page) -> None:
    """Nothing makes the page scroll sideways."""
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


TALLEST = 1900
AT_ITS_FOOT = """
.shell { position: relative; } .topbar { position: static !important; } .nav { position: absolute !important; }
.run-card, .queue-row, .done-row { content-visibility: visible !important; }
"""
"""A picture of a whole page is taller than a screen: what is fixed to the screen's foot stands at the page's."""


FLAT = "::backdrop { backdrop-filter: none !important; }"
"""A blurred page takes twice the bytes."""


async def picture(page: Page, name: str, dark: bool, width: int) -> None:
    await fits(page)
    if os.environ.get("OPSROOM_SCREENSHOTS"):
        FOLDER.mkdir(parents=True, exist_ok=True)
        await page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
        path: Path = FOLDER / f"{name}-{'dark' if dark else 'light'}-{width}.png"
        if width == 390 and not await page.locator("#peek").count():
            tall = await page.evaluate("document.documentElement.scrollHeight")
            clip: FloatRect = {"x": 0, "y": 0, "width": width, "height": min(tall, TALLEST)}
            await page.screenshot(path=path, full_page=True, clip=clip, animations="disabled", style=AT_ITS_FOOT + FLAT)
        else:
            await page.screenshot(path=path, animations="disabled", style=FLAT)


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_sign_in(room: Room, chromium: Browser, dark: bool, width: int) -> None:
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await page.goto("/sign-in?reason=refused")
        await expect(page.get_by_role("button", name="Continue as local operator")).to_be_visible()
        await picture(page, "sign-in", dark, width)


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_boards(room: Room, chromium: Browser, scene: Scene, dark: bool, width: int) -> None:
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await enter(page)
        await page.goto(f"/sessions/{scene.empty}")
        await expect(page.get_by_role("heading", level=1, name="Certificates")).to_be_visible()
        await expect(page.locator("[data-feed=live]")).to_be_visible()
        await picture(page, "board-empty", dark, width)
        await page.goto(f"/sessions/{scene.full}")
        await expect(page.locator(f"[data-run='{scene.running}'] .beat[data-state=succeeded]")).to_be_visible()
        await expect(page.locator("[data-feed=live]")).to_be_visible()
        await picture(page, "board", dark, width)
        await page.goto(f"/sessions/{scene.full}?run={scene.running}")
        await expect(page.get_by_role("complementary", name="Run", exact=True).get_by_role("log")).to_contain_text(
            "file"
        )
        await picture(page, "board-peek", dark, width)
        await page.goto(f"/sessions/{scene.busy}")
        await expect(page.get_by_role("heading", level=1, name="Nightly")).to_be_visible()
        await expect(page.locator(".queue-row")).to_have_count(26)
        await expect(page.locator("[data-feed=live]")).to_be_visible()
        await picture(page, "board-paused", dark, width)


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_launch_form_with_errors(room: Room, chromium: Browser, scene: Scene, dark: bool, width: int) -> None:
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await enter(page)
        await page.goto(f"/sessions/{scene.full}/launch?template=module-upgrade&lane=C")
        await page.get_by_label("Data files").fill("9000")
        await page.get_by_label("Module").fill("NOT LOWER CASE")
        await page.get_by_role("button", name="Launch").click()
        await expect(page.get_by_text("2 fields need to be corrected.")).to_be_visible()
        await picture(page, "launch-errors", dark, width)


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_plan_of_a_launch(room: Room, chromium: Browser, scene: Scene, dark: bool, width: int) -> None:
    async with operator_room(room) as control_plane:
        await control_plane.save_template(MIGRATE)
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await enter(page)
        await page.goto(f"/sessions/{scene.full}/launch?template={MIGRATE['slug']}&lane=B")
        for host in ("https://one.example.com", "https://two.example.com"):
            await page.get_by_role("button", name="Add to Hosts").click()
            await page.keyboard.type(host)
        await page.get_by_label("CPU").fill("8")
        await picture(page, "launch-plan", dark, width)


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_commands(room: Room, chromium: Browser, scene: Scene, dark: bool, width: int) -> None:
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await enter(page)
        await page.goto(
            "/command?q=snapshot odoo_prod then upgrade sale quickly with 9000 and check https://a.test in lane D"
        )
        await expect(page.get_by_role("list", name="Proposed runs").get_by_role("listitem")).to_have_count(3)
        await picture(page, "command", dark, width)
        await page.goto(f"/runs/{scene.running}")
        await expect(page.locator("[data-feed=live]")).to_be_visible()
        await page.keyboard.press("Control+k")
        line, offers = page.get_by_role("combobox", name="Command"), page.get_by_role("listbox").get_by_role("option")
        await line.fill("upgrade")
        await expect(offers.first).to_contain_text("Upgrade a module")
        await picture(page, "command-bar", dark, width)
        await line.fill("upgrade seconds=3 module=sale")
        await expect(offers.first).to_contain_text("seconds=3")
        await line.press("Enter")
        await expect(offers.first).to_contain_text("into lane A")
        await picture(page, "command-bar-confirm", dark, width)


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_runs(room: Room, chromium: Browser, scene: Scene, dark: bool, width: int) -> None:
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await enter(page)
        for name, run in (("run", scene.running), ("run-failed", scene.failed)):
            await page.goto(f"/runs/{run}")
            await expect(page.get_by_role("log").locator(".log-line").first).to_be_visible()
            await expect(page.locator("[data-feed=live]")).to_be_visible()
            await picture(page, name, dark, width)


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_all_runs_insights_and_workers(
    room: Room, chromium: Browser, scene: Scene, dark: bool, width: int
) -> None:
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await enter(page)
        for name, there in (
            ("runs", "[data-run] [data-link]"),
            ("insights", ".chart svg"),
            ("workers", f"[data-worker] [href='/runs/{scene.running}']"),
        ):
            await page.goto(f"/{name}")
            await expect(page.locator(there).first).to_be_visible()
            await expect(page.locator("[data-feed=live]")).to_be_visible()
            await picture(page, name, dark, width)
