"""All runs: filters in the address, pages, many at once, the keyboard, rows that stay while they change, files."""

import csv
import io
import json
import re
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from opsroom.control_plane.client import ControlPlane
from opsroom.room.sign_ins import COOKIE
from tests.support.room import Room, visitor
from tests.ui.conftest import operator_room

FORMULA = "=HYPERLINK(1)"


class History:
    """A session of its own, so that other tests' runs are not in the way."""

    def __init__(self, plane: ControlPlane, session: str, template: str) -> None:
        self.plane, self.session, self.template = plane, session, template

    @property
    def url(self) -> str:
        return f"/runs?session={self.session}"

    async def queue(self, title: str, lane: str = "A", **params: int | str) -> str:
        made = await self.plane.create_run(self.session, self.template, params, lane=lane, title=title)  # pyright: ignore[reportArgumentType]
        return made.id


@pytest.fixture
async def history(room: Room, upgrade: str) -> AsyncIterator[History]:
    """Queued runs only: the lanes are paused, so that nothing moves by itself."""
    async with operator_room(room) as plane:
        session = await plane.create_session(f"History {uuid.uuid4().hex[:6]}")
        await plane.set_session_paused(session.id, True)
        yield History(plane, session.id, upgrade)


async def shows(page: Page, *titles: str) -> None:
    await expect(page.locator("[data-run] [data-link]")).to_have_text(list(titles))


async def test_filters_live_in_the_address_and_back_works(page: Page, history: History) -> None:
    await history.queue("Plain", "A", module="sale")
    cancelled = await history.queue("Called off", "B", module="stock")
    await history.plane.cancel_run(cancelled)
    await page.goto(history.url)
    await shows(page, "Called off", "Plain")
    await page.get_by_role("group", name="States").get_by_role("button", name="Cancelled").click()
    await shows(page, "Called off")
    await expect(page).to_have_url(re.compile("status=cancelled"))
    await page.get_by_label("Lane").select_option("A")
    await expect(page.get_by_role("heading", name="No such runs")).to_be_visible()
    await page.go_back()
    await shows(page, "Called off")
    await page.go_back()
    await shows(page, "Called off", "Plain")
    await page.get_by_role("searchbox").fill("STOCK")
    await page.keyboard.press("Enter")
    await shows(page, "Called off")
    await page.reload()
    await shows(page, "Called off")
    await expect(page.get_by_role("searchbox")).to_have_value("STOCK")
    await page.get_by_label("Queued when").select_option("24h")
    await shows(page, "Called off")
    await page.get_by_label("Queued when").select_option("custom")
    await page.get_by_label("Queued until").fill("2026-01-01")
    await expect(page.get_by_role("heading", name="No such runs")).to_be_visible()
    await page.get_by_role("button", name="Clear").click()
    await expect(page).to_have_url(re.compile("/runs$"))


async def test_pages_lead_to_older_runs_and_back(page: Page, history: History) -> None:
    for number in range(60):
        await history.queue(f"Number {number}", "ABCD"[number % 4])
    await page.goto(history.url)
    await expect(page.locator("[data-run]")).to_have_count(50)
    await page.get_by_role("link", name="Older").click()
    await shows(page, *(f"Number {number}" for number in reversed(range(10))))
    await expect(page.get_by_role("link", name="Older")).to_have_count(0)
    await page.get_by_role("link", name="Newest").click()
    await expect(page.locator("[data-run] [data-link]").first).to_have_text("Number 59")


async def test_rows_change_in_their_places_and_newer_ones_wait(page: Page, history: History) -> None:
    first = await history.queue("First")
    await page.goto(f"{history.url}&status=queued")
    await shows(page, "First")
    await expect(page.locator("[data-feed=live]")).to_be_visible()
    await history.plane.cancel_run(first)
    await expect(page.locator(f"[data-run='{first}']")).to_have_attribute("data-state", "cancelled")
    for title in ("Second", "Third"):
        await history.queue(title)
    newer = page.get_by_role("button", name="2 newer")
    await expect(newer).to_be_visible()
    await shows(page, "First")
    await newer.click()
    await shows(page, "Third", "Second")


async def test_many_are_cancelled_and_retried_from_the_keyboard(page: Page, history: History) -> None:
    ids = [await history.queue(f"Number {number}") for number in range(4)]
    await page.goto(history.url)
    await shows(page, "Number 3", "Number 2", "Number 1", "Number 0")
    for key in ("j", "x", "j", "j", "x", "k", "x"):
        await page.keyboard.press(key)
    bar = page.get_by_role("region", name="Chosen runs")
    await expect(bar).to_contain_text("3 chosen")
    await bar.get_by_role("button", name="Cancel").click()
    await page.get_by_label("Reason").fill("A wrong list")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("3 ended or had ended.")).to_be_visible()
    for run in ids[1:]:
        await expect(page.locator(f"[data-run='{run}']")).to_have_attribute("data-state", "cancelled")
    assert (await history.plane.read_run(ids[3])).run.cancel_reason == "A wrong list"
    await page.get_by_label("Choose all on this page").check()
    await bar.get_by_role("button", name="Retry").click()
    await page.get_by_role("button", name="Retry them").click()
    await expect(page.get_by_text("3 queued as next attempts, 1 refused.")).to_be_visible()
    refused = page.locator(".runs-refused li")
    await expect(refused).to_have_count(1)
    await expect(refused).to_contain_text("Number 0")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(ids[3] + "$"))


async def test_a_file_has_all_that_matches_and_no_formula(page: Page, room: Room, history: History) -> None:
    ids = [await history.queue(title, module="sale") for title in (FORMULA, 'With "quotes", and\nmore')]
    await page.goto(history.url)
    await page.get_by_role("button", name="Export").click()
    async with page.expect_download() as caught:
        await page.get_by_role("link", name="CSV").click()
    text = (await (await caught.value).path()).read_bytes().decode()
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [line["id"] for line in lines] == ids[::-1]
    assert lines[1]["title"] == f"'{FORMULA}"
    assert json.loads(lines[0]["params"])["module"] == "sale"
    cookie = next(item for item in await page.context.cookies() if item.get("name") == COOKIE)
    async with httpx.AsyncClient(base_url=room.url, cookies={COOKIE: str(cookie.get("value"))}) as http:
        answer = (await http.get(f"/api/runs/export.json?session={history.session}")).json()
        assert ([run["id"] for run in answer["runs"]], answer["count"], answer["complete"]) == (ids[::-1], 2, True)
        assert "claim_token" not in json.dumps(answer)
        for wrong in ("export.csv?status=odd", "export.csv?session=x", "export.xml", "export.csv?before=x"):
            assert (await http.get(f"/api/runs/{wrong}")).status_code == 422, wrong
    async with httpx.AsyncClient(base_url=room.url) as stranger:
        assert (await stranger.get("/api/runs/export.csv")).status_code == 401


async def test_a_viewer_looks_and_a_stranger_is_sent_to_sign_in(
    room: Room, chromium: Browser, viewer_plane: tuple[str, str], history: History
) -> None:
    await history.queue("To look at")
    async with visitor(chromium, room, width=390) as context:
        page = await context.new_page()
        await page.goto("/runs?status=failed&lane=B")
        await expect(page).to_have_url(re.compile("/sign-in.next="))
        await page.get_by_label("E-mail").fill(viewer_plane[0])
        await page.get_by_label("Password").fill(viewer_plane[1])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page).to_have_url(re.compile("/runs.status=failed&lane=B$"))
        await page.goto(history.url)
        await shows(page, "To look at")
        await expect(page.get_by_label("Choose To look at")).to_be_disabled()


async def test_an_address_that_makes_no_sense_says_so(page: Page) -> None:
    await page.goto("/runs?status=odd")
    await expect(page.get_by_role("alert")).to_contain_text("There is no state 'odd'.")
    await page.get_by_role("link", name="All runs").click()
    await expect(page.get_by_role("table", name="Runs").or_(page.get_by_text("No run yet"))).to_be_visible()
