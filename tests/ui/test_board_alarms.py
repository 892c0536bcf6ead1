"""What goes wrong shows on the board: no worker, no sweep, a worker that does not answer; and a crowd stays in order."""

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from playwright.async_api import Page, expect

from opsroom.control_plane.client import ControlPlane
from opsroom.domain.lifecycle import Lane
from opsroom.local.services import Service
from tests.support.room import Room
from tests.ui.conftest import operator_room

Database = psycopg.AsyncConnection[tuple[object, ...]]


@asynccontextmanager
async def superuser(room: Room) -> AsyncIterator[Database]:
    url = room.gateway.stack.database_url("supabase_admin")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as database:
        yield database


@asynccontextmanager
async def without(worker: Service) -> AsyncIterator[None]:
    """No worker is at work."""
    await worker.stop()
    try:
        yield
    finally:
        await worker.start()
        await worker.wait_until_ready()


async def mute_worker(database: Database) -> None:
    """A worker that takes all that waits and may start, and is not heard of again."""
    worker, most = uuid.uuid4(), 100
    register = "select public.register_worker(%s, 'mute', 'elsewhere', 7, '0', %s, 'https')"
    await database.execute(register, (worker, most))
    start = "select public.start_runs(public.claim_runs(%s, %s, gen_random_uuid()))"
    await database.execute(start, (worker, most))


async def gone(database: Database) -> None:
    await database.execute("update public.workers set stopped_at = now() - interval '2 days' where name = 'mute'")


async def test_the_fleet_alarms_and_a_run_whose_worker_does_not_answer_is_ended_by_force_without_a_mouse(
    page: Page, room: Room, worker: Service, upgrade: str
) -> None:
    alarm = page.locator(".fleet-alarm")
    async with operator_room(room) as plane, superuser(room) as database:
        session = await plane.create_session("Nobody answers")
        await page.goto(f"/sessions/{session.id}")
        await expect(page.locator(".fleet")).to_contain_text(re.compile("[1-9] online"))
        await expect(alarm).to_have_count(0)
        async with without(worker):
            run = await plane.create_run(session.id, upgrade, {}, title="Upgrade sale", priority=100)
            await expect(alarm).to_contain_text("No worker takes runs")
            await expect(page.locator(".fleet")).to_contain_text("none online")
            await expect(page.get_by_role("region", name="Lane A")).to_contain_text("Waiting for a worker.")

            await mute_worker(database)
            card = page.locator(f".run-card[data-run='{run.id}']")
            await expect(card).to_contain_text("Running")
            await expect(alarm).to_have_count(0)
            await database.execute("update private.sweep_state set last_sweep_at = now() - interval '5 minutes'")
            await expect(alarm).to_contain_text("Nothing sweeps")

            await plane.cancel_run(run.id)
            await expect(card).to_contain_text("Cancelling")
            force = card.get_by_role("button", name="End Upgrade sale by force")
            await expect(force).to_have_count(0)
            late = "update public.runs set cancel_requested_at = now() - interval '1 minute' where id = %s"
            await database.execute(late, (run.id,))
            dialog = page.get_by_role("dialog", name="End this run by force?")
            await force.press("Enter")
            await expect(dialog.get_by_label("Reason")).to_be_focused()
            await page.keyboard.press("Escape")
            await expect(dialog).to_have_count(0)
            await expect(force).to_be_focused()
            await page.keyboard.press("Enter")
            await expect(dialog.get_by_label("Reason")).to_be_focused()
            await page.keyboard.type("its machine is gone")
            await page.keyboard.press("Enter")
            await expect(page.locator(f".done-row[data-run='{run.id}']")).to_contain_text("Cancelled")
            assert (await plane.read_run(run.id)).run.status == "cancelled"
            await gone(database)
        await expect(page.locator(".fleet")).to_contain_text(re.compile("[1-9] online"))
        await expect(alarm).to_have_count(0)


async def test_what_cannot_be_undone_is_asked_with_the_harmless_answer_in_focus(page: Page, room: Room) -> None:
    async with operator_room(room) as plane:
        session = await plane.create_session("Kept after all")
        await page.goto(f"/sessions/{session.id}")
        # As a person would: on a board that stands.
        await expect(page.locator("[data-feed=live]")).to_be_visible()
        button = page.get_by_role("button", name="Archive this session")
        await button.press("Enter")
        await expect(page.get_by_role("dialog").get_by_role("button", name="Keep it")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(button).to_be_focused()
        assert (await plane.read_board(session.id)).session.archived_at is None


async def crowd(plane: ControlPlane, session: str, lane: Lane) -> None:
    """A lane with three runs to take at once, and a queue that goes far down."""
    await plane.set_lane(session, lane, capacity=3)
    for number in range(3):
        await plane.create_run(session, "spec-kit-validate", {}, lane=lane, title=f"At work {number}", priority=100)
    for number in range(40):
        await plane.create_run(session, "spec-kit-validate", {}, lane=lane, title=f"Waits {number}")


CLOCK_OF = """async row => {
  row.scrollIntoView({block: "center"});
  for (let frame = 0; frame < 4; frame++) await new Promise(requestAnimationFrame);
  const clock = row.querySelector("time");
  return [clock.textContent, (Date.now() - Date.parse(clock.dateTime)) / 1000];
}"""
WHOLE = """menu => [...menu.querySelectorAll("[role=menuitem]")].every(item => {
  const {left, top, width, height} = item.getBoundingClientRect();
  return item.contains(document.elementFromPoint(left + width / 2, top + height / 2));
})"""


async def test_in_a_crowded_lane_menus_are_whole_clocks_are_right_and_the_sessions_stay_in_sight(
    page: Page, room: Room, worker: Service
) -> None:
    async with operator_room(room) as plane, superuser(room) as database, without(worker):
        session = (await plane.create_session("A crowd")).id
        await crowd(plane, session, "B")
        await mute_worker(database)
        await page.goto(f"/sessions/{session}")
        lane = page.get_by_role("region", name="Lane B")
        await expect(lane.locator(".run-card")).to_have_count(3)
        await expect(lane).to_have_attribute("data-many", "true")
        # What is in sight says how long it waits; what is far below has not been drawn since the page was opened.
        await expect(lane.locator(".queue-row time").first).to_contain_text(re.compile(r"waits ([7-9]|\d\d) s"))
        last = lane.locator(".queue-row").last
        said, is_so = await last.evaluate(CLOCK_OF)
        seconds = re.search(r"waits (\d+) s", said)
        assert seconds, said
        assert abs(int(seconds[1]) - is_so) <= 1.6, (said, is_so)
        await expect(page.get_by_role("navigation", name="Sessions")).to_be_in_viewport()

        await last.scroll_into_view_if_needed()
        await last.hover()
        await last.get_by_role("button", name=re.compile("^Move")).click()
        menu = page.get_by_role("menu")
        await expect(menu).to_be_visible()
        assert await menu.evaluate(WHOLE), "the menu is cut off at its row, or something lies on it"
        await page.keyboard.press("Escape")
        for view in (await plane.read_board(session)).lanes:
            for card in view.queue:
                await plane.cancel_run(card.id)
            for card in view.active:
                await plane.cancel_run(card.id, force=True)
        await gone(database)
