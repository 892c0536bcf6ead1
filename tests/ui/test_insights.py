"""Insights: the figures are those of the runs, the charts can be read without seeing them, the address says what is shown."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from typing import cast

import pytest
from playwright.async_api import Page, expect

from opsroom.domain.lifecycle import Lane
from opsroom.local.services import Service
from tests.support.room import Room
from tests.ui.conftest import operator_room


@pytest.fixture(scope="module")
async def ended(room: Room, worker: Service, upgrade: str) -> AsyncIterator[str]:
    """A session of which two runs succeeded, one failed and one was cancelled."""
    async with operator_room(room) as plane:
        session = await plane.create_session(f"Figures {uuid.uuid4().hex[:6]}")
        runs = [
            await plane.create_run(session.id, upgrade, {"seconds": 1, "exit": code}, lane=cast(Lane, lane))
            for lane, code in (("A", 0), ("B", 0), ("C", 3))
        ]
        waiting = await plane.create_run(session.id, upgrade, {}, lane="C")
        await plane.cancel_run(waiting.id)
        async with asyncio.timeout(60):
            for run in runs:
                while (await plane.read_run(run.id)).run.is_live:
                    await asyncio.sleep(0.2)
        yield session.id


async def test_the_figures_are_those_of_the_runs(page: Page, ended: str, upgrade: str) -> None:
    await page.goto(f"/insights?session={ended}")
    tiles = page.locator(".tile")
    await expect(tiles.filter(has_text="Runs that ended")).to_contain_text("4")
    await expect(tiles.filter(has_text="Runs that ended")).to_contain_text("1 of them cancelled")
    await expect(tiles.filter(has_text="Success rate")).to_contain_text("66.7 %")
    await expect(tiles.filter(has_text="Recovered")).to_contain_text("No worker vanished")
    row = page.get_by_role("region", name="Templates").get_by_role("row", name="Upgrade a module")
    await expect(row).to_contain_text("66.7 %")
    reasons = page.get_by_role("region", name="Reasons")
    await expect(reasons).to_contain_text("A step failed")
    await expect(reasons).to_contain_text("By a person")
    await row.get_by_role("link").click()
    await expect(page).to_have_url(re.compile(rf"/runs\?template={upgrade}&session={ended}&since=24h$"))
    await expect(page.locator("[data-run]")).to_have_count(4)


async def test_a_chart_is_read_by_the_keyboard_and_as_a_table(page: Page, ended: str) -> None:
    await page.goto(f"/insights?session={ended}")
    chart = page.get_by_role("figure", name="Runs that ended")
    picture = chart.get_by_role("img")
    await expect(picture).to_have_attribute("aria-label", re.compile("2 succeeded, 1 failed, 0 timed out, 1 cancelled"))
    await picture.focus()
    await page.keyboard.press("ArrowLeft")
    await expect(chart.locator(".chart-key li").first).to_contain_text(re.compile(r"Succeeded\s*2"))
    await chart.get_by_text("As a table").click()
    first = chart.locator("tbody tr").first
    await expect(first.locator("td")).to_have_text(["2", "1", "0", "1"])
    await expect(chart.locator("tbody tr")).to_have_count(25)


async def test_time_and_template_are_in_the_address(page: Page, ended: str) -> None:
    await page.goto(f"/insights?session={ended}")
    await page.get_by_role("group", name="Time").get_by_role("button", name="30 days").click()
    await expect(page).to_have_url(re.compile("range=30d"))
    await expect(page.get_by_role("button", name="30 days")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".tile").filter(has_text="Runs that ended")).to_contain_text("4")
    await page.get_by_label("Template", exact=True).select_option("http-healthcheck")
    await expect(page.get_by_role("heading", name="No run ended in this time")).to_be_visible()
    await page.go_back()
    await expect(page.locator(".tile").filter(has_text="Runs that ended")).to_contain_text("4")


async def test_what_ends_is_counted_while_one_looks(page: Page, room: Room, ended: str, upgrade: str) -> None:
    await page.goto(f"/insights?session={ended}")
    ran = page.locator(".tile").filter(has_text="Runs that ended")
    await expect(ran).to_contain_text("4")
    await expect(page.locator("[data-feed=live]")).to_be_visible()
    async with operator_room(room) as plane:
        run = await plane.create_run(ended, upgrade, {}, lane="D")
        await plane.cancel_run(run.id)
    await expect(ran).to_contain_text("2 of them cancelled", timeout=15_000)


async def test_an_address_of_nothing_says_so(page: Page) -> None:
    await page.goto("/insights?session=nonsense")
    await expect(page.get_by_role("alert")).to_contain_text("is no session id")
