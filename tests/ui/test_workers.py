"""Workers: what each of them does, taken out of service and back, those that are gone, a sweep that holds back."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest
from playwright.async_api import Browser, Page, expect

from opsroom.local.services import Service
from tests.support.room import Room, visitor
from tests.ui.conftest import operator_room


async def as_owner(room: Room, query: str, *arguments: object) -> None:
    dsn = room.gateway.stack.database_url("postgres")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as database:
        await database.execute(query.encode(), arguments)


@pytest.fixture
async def idle(room: Room) -> AsyncIterator[str]:
    """A worker of another version that registered, and then neither works nor stops."""
    worker_id = str(uuid.uuid4())
    await as_owner(
        room,
        "select public.register_worker(%s, %s, 'elsewhere', 7, '9.9.9', 3, 'https')",
        worker_id,
        f"idle-{worker_id[:6]}",
    )
    yield worker_id
    await as_owner(
        room,
        "update public.workers set stopped_at = now() - interval '2 days', last_seen_at = now() - interval '2 days' where id = %s",
        worker_id,
    )


async def test_a_worker_shows_the_runs_it_has(page: Page, room: Room, worker: Service, upgrade: str) -> None:
    async with operator_room(room) as plane:
        session = await plane.create_session("Held")
        run = await plane.create_run(session.id, upgrade, {"seconds": 600}, title="A run in hand", priority=100)
        await page.goto("/workers")
        link = page.get_by_role("region", name="Fleet").get_by_role("link", name="A run in hand")
        await expect(link).to_be_visible()
        row = page.locator("[data-worker]", has=page.get_by_role("link", name="A run in hand"))
        await expect(row).to_have_attribute("data-is", "online")
        await expect(row).to_contain_text("postgres, direct")
        beat = row.locator(".beat")
        await expect(beat).to_have_attribute("data-state", "succeeded")
        await expect(page.locator("[data-feed=live]")).to_be_visible()
        await plane.cancel_run(run.id)
        await expect(link).to_have_count(0)


async def test_an_admin_drains_a_worker_and_resumes_it(page: Page, worker: Service, idle: str) -> None:
    await page.goto("/workers")
    row = page.locator(f"[data-worker='{idle}']")
    await expect(row).to_have_attribute("data-is", "online")
    await row.get_by_role("button", name="Drain").click()
    await expect(page.get_by_text("It gets no more runs. Those it has go on to their end.")).to_be_visible()
    await page.get_by_role("button", name="Drain it").click()
    await expect(row).to_have_attribute("data-is", "draining")
    await row.get_by_role("button", name="Resume").click()
    await expect(row).to_have_attribute("data-is", "online")


async def test_versions_that_differ_are_said(page: Page, worker: Service, idle: str) -> None:
    await page.goto("/workers")
    await expect(page.get_by_role("note")).to_contain_text("9.9.9: 1")
    await expect(page.locator(f"[data-worker='{idle}'] .worker-odd")).to_have_text("9.9.9")


async def test_who_is_gone_stays_for_a_day(page: Page, room: Room, worker: Service, idle: str) -> None:
    await page.goto("/workers")
    await expect(page.get_by_role("region", name="Fleet").locator(f"[data-worker='{idle}']")).to_be_visible()
    await as_owner(room, "update public.workers set last_seen_at = now() - interval '5 minutes' where id = %s", idle)
    gone = page.get_by_role("region", name=re.compile("Gone")).locator(f"[data-worker='{idle}']")
    await expect(gone).to_have_attribute("data-is", "missing")
    await as_owner(room, "update public.workers set stopped_at = now() where id = %s", idle)
    await expect(gone).to_have_attribute("data-is", "stopped")


async def test_a_sweep_that_holds_back_is_explained(page: Page, room: Room, worker: Service) -> None:
    await page.goto("/workers")
    await expect(page.locator("[data-feed=live]")).to_be_visible()

    async def hold() -> None:
        # The real sweep lets go as soon as all leases are good again, which they are: so it is held again and again.
        while True:
            await as_owner(room, "update private.sweep_state set held_until = now() + interval '30 seconds'")
            await asyncio.sleep(0.1)

    holding = asyncio.create_task(hold())
    try:
        await expect(page.get_by_text("The sweep holds back.")).to_be_visible()
    finally:
        holding.cancel()
    await expect(page.get_by_text("The sweep holds back.")).to_have_count(0)


async def test_a_viewer_may_look_but_not_drain(
    room: Room, chromium: Browser, worker: Service, idle: str, viewer_plane: tuple[str, str]
) -> None:
    async with visitor(chromium, room, width=390) as context:
        page = await context.new_page()
        await page.goto("/workers")
        await page.get_by_label("E-mail").fill(viewer_plane[0])
        await page.get_by_label("Password").fill(viewer_plane[1])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.locator(f"[data-worker='{idle}']").get_by_role("button", name="Drain")).to_be_disabled()
