"""What a person is told of, whatever page they are on: toasts, the number in the title, the browser's own notices."""

import re
from datetime import UTC, datetime, timedelta

import psycopg
from playwright.async_api import Browser, Page, expect

from opsroom.control_plane.search import RunFilter
from opsroom.local.services import Service
from tests.support.room import Room, enter, visitor
from tests.ui.conftest import operator_room
from tests.ui.test_board import create_session

BROWSER = """
window.shown = []; window.asked = 0;
window.Notification = class {
  static permission = localStorage.getItem("test.permission") ?? "default";
  static async requestPermission() {
    window.asked++; localStorage.setItem("test.permission", "granted"); return (Notification.permission = "granted");
  }
  constructor(title, options) { window.shown.push({ title, ...options }); }
  close() {}
};
Object.defineProperty(document, "visibilityState", { get: () => window.looksAway ? "hidden" : "visible" });
"""
"""Stands for the part of the browser that is outside of the page: its notifications, and which tab is in front."""


async def run_of(room: Room, session: str, upgrade: str, title: str, code: int = 0) -> str:
    async with operator_room(room) as control_plane:
        run = await control_plane.create_run(session, upgrade, {"seconds": 1, "exit": code}, title=title)
        return run.id


async def test_the_end_of_ones_run_is_told_on_every_page_and_counted_in_the_title(
    page: Page, room: Room, upgrade: str, worker: Service
) -> None:
    session = await create_session(page, "Told")
    await page.goto(f"/sessions/{session}/launch")
    await expect(page.get_by_role("heading", name="Pick a template")).to_be_visible()
    await run_of(room, session, upgrade, "A quick one")
    toasts = page.get_by_role("region", name="Notifications").get_by_role("listitem")
    await expect(toasts.filter(has_text="Succeeded: A quick one")).to_have_count(1)

    failed = await run_of(room, session, upgrade, "A bad one", code=3)
    told = toasts.filter(has_text="Failed: A bad one")
    await expect(told).to_contain_text("a step failed")
    await page.wait_for_function("/^\\(\\d+\\) Launch/.test(document.title)")
    before = int((await page.title())[1:].split(")")[0])
    await told.get_by_role("button", name="Open").click()
    await page.wait_for_url(f"**/runs/{failed}")
    async with operator_room(room) as control_plane:
        await control_plane.mark_seen(run_ids=[failed])
    # What was looked at needs nobody any more.
    wanted = "!document.title.startsWith('(')" if before == 1 else f"document.title.startsWith('({before - 1})')"
    await page.wait_for_function(wanted)
    await page.reload()
    await expect(page.get_by_role("heading", name="A bad one")).to_be_visible()
    await expect(toasts).to_have_count(0)  # told once


async def test_many_at_once_are_one_toast(page: Page, room: Room) -> None:
    session = await create_session(page, "All at once")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    async with operator_room(room) as plane:
        runs = [
            (await plane.create_run(session, "spec-kit-validate", {}, title=f"Number {n}", not_before=tomorrow)).id
            for n in range(5)
        ]
    await expect(page.locator(".queue-row")).to_have_count(5)
    room.gateway.pause()
    try:  # while nothing can be read all of them end, so that one picture tells of all
        url = room.gateway.stack.database_url("postgres")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
            for number, run in enumerate(runs):
                status, reason = ("timed_out", "queue_timeout") if number < 2 else ("cancelled", "cancelled_by_person")
                await owner.execute("select private.end_run(%s, %s, %s, 'Meanwhile')", (run, status, reason))
    finally:
        room.gateway.resume()
    toasts = page.get_by_role("region", name="Notifications").get_by_role("listitem")
    together = toasts.filter(has_text="5 things happened")
    await expect(together).to_contain_text(re.compile("2 timed out, 3 cancelled|3 cancelled, 2 timed out"))
    await expect(toasts).to_have_count(1)
    await together.get_by_role("button", name="Runs").click()
    await page.wait_for_url("**/runs")


async def test_an_approval_that_waits_for_one_is_told_and_counted(page: Page, room: Room) -> None:
    session = await create_session(page, "Guarded")
    guarded = {
        "slug": "guarded",
        "title": "Guarded",
        "approval": {"self_approval": True},
        "steps": [{"id": "nothing", "title": "Nothing", "kind": "noop"}],
    }
    foreign = {**guarded, "slug": "guarded-by-others", "approval": {}}
    before = await page.title()
    count = int(before[1:].split(")")[0]) if before.startswith("(") else 0
    async with operator_room(room) as control_plane:
        for spec in (foreign, guarded):
            await control_plane.save_template(spec)
            await control_plane.create_run(session, spec["slug"], {}, title=f"Run of {spec['slug']}")
    toasts = page.get_by_role("region", name="Notifications").get_by_role("listitem")
    await expect(toasts.filter(has_text="Needs your approval: Run of guarded")).to_have_count(1)
    await expect(toasts.filter(has_text="guarded-by-others")).to_have_count(0)  # somebody else has to
    await page.wait_for_function(f"document.title.startsWith('({count + 1})')")
    await toasts.filter(has_text="Needs your approval: Run of guarded").get_by_role("button", name="Open").click()
    await page.wait_for_url("**/approvals")
    async with operator_room(room) as control_plane:
        for run in await control_plane.runs(RunFilter(session_id=session)):
            await control_plane.cancel_run(run.id)
    await page.wait_for_function(f"!document.title.startsWith('({count + 1})')")


async def test_the_browser_notifies_only_who_asked_for_it_and_looks_elsewhere(
    chromium: Browser, room: Room, upgrade: str, worker: Service
) -> None:
    async with visitor(chromium, room) as context:
        await context.add_init_script(BROWSER)
        page, other = await context.new_page(), await context.new_page()
        await enter(page)
        session = await create_session(page, "Elsewhere")
        await other.goto(f"/sessions/{session}")
        assert await page.evaluate("window.asked") == 0
        await page.get_by_role("button", name="Account").click()
        switch = page.get_by_role("switch", name="Notify me in this browser")
        await switch.click()
        await expect(page.get_by_role("switch", name="Notifying in this browser")).to_be_checked()
        assert await page.evaluate("window.asked") == 1
        await other.reload()  # the stand-in learns of the permission when it is loaded
        await expect(other.get_by_role("region", name="Lane A")).to_be_visible()
        for tab in (page, other):
            await tab.evaluate("window.looksAway = true")
        run = await run_of(room, session, upgrade, "Far away")
        await page.wait_for_function(f"localStorage.getItem('opsroom.told')?.includes('run:{run}')")
        shown = [note for tab in (page, other) for note in await tab.evaluate("window.shown")]
        assert [(note["title"], note["tag"]) for note in shown] == [("Succeeded: Far away", f"run:{run}:succeeded")]

        await page.evaluate("window.looksAway = false")
        await run_of(room, session, upgrade, "Near by")
        await expect(page.get_by_text("Succeeded: Near by")).to_be_visible()
        await expect(other.get_by_text("Near by", exact=True).first).to_be_visible()
        assert len([note for tab in (page, other) for note in await tab.evaluate("window.shown")]) == 1
