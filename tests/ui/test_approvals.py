"""The approvals inbox: what waits shows at once, and only who may decides."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from opsroom.control_plane.client import ControlPlane
from opsroom.domain.template import parse
from opsroom.local.services import Service
from tests.support.room import Room, visitor
from tests.ui.conftest import operator_room
from tests.ui.test_screenshots import LOOKS, picture

RISKY = {
    "slug": "drop-database",
    "title": "Drop a database",
    "risk": "block",
    "approval": {"instructions": "Check that the snapshot of today was restored on the standby."},
    "params": {"properties": {"database": {"type": "string"}}},
    "steps": [{"id": "act", "title": "Drop it", "kind": "noop"}],
}


@pytest.fixture
async def waiting(room: Room) -> AsyncIterator[tuple[ControlPlane, str, str]]:
    """A run that waits for its approval, launched by the operator: plane, run id, title."""
    async with operator_room(room) as plane:
        await plane.save_template(parse(RISKY).spec())
        session = await plane.create_session("Retire the old shop", "")
        run = await plane.create_run(session.id, "drop-database", {"database": "shop_2019"}, title="Drop shop_2019")
        yield plane, run.id, session.id
        await plane.cancel_run(run.id)
        await plane.archive_session(session.id)


async def sign_in(page: Page, email: str, password: str, to: str) -> None:
    await page.goto(f"/sign-in?next={to}")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.wait_for_url(f"**{to}")


async def test_an_approver_sees_what_waits_and_approves_it_and_it_runs(
    room: Room, chromium: Browser, worker: Service, waiting: tuple[ControlPlane, str, str]
) -> None:
    plane, run_id, _ = waiting
    person = await room.gateway.person("approver")
    async with visitor(chromium, room) as context:
        page = await context.new_page()
        await sign_in(page, person.email, person.password, "/approvals")
        card = page.locator(f'[data-gate="{run_id}:"]')
        await expect(card).to_contain_text("Drop shop_2019")
        await expect(card).to_contain_text("shop_2019")
        await expect(card).to_contain_text("Check that the snapshot of today")
        await card.get_by_role("button", name="Approve").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("textbox").fill("restored at noon")
        await dialog.get_by_role("button", name="Approve").click()
        await expect(card).to_have_count(0)
        await expect(page.locator(".gate-closed").first).to_contain_text("restored at noon")
        while (run := (await plane.read_run(run_id)).run).is_live:
            await asyncio.sleep(0.1)
        assert run.status == "succeeded"


async def test_who_launched_it_is_told_why_not_and_sees_new_ones_arrive(
    page: Page, waiting: tuple[ControlPlane, str, str]
) -> None:
    plane, run_id, session = waiting
    await page.goto("/approvals")
    card = page.locator(f'[data-gate="{run_id}:"]')
    await expect(card).to_contain_text("you created the run")
    await expect(card.get_by_role("button", name="Approve")).to_be_disabled()
    another = await plane.create_run(session, "drop-database", {"database": "shop_2018"}, title="Drop shop_2018")
    await expect(page.locator(f'[data-gate="{another.id}:"]')).to_be_visible()
    await plane.cancel_run(another.id)
    await expect(page.locator(f'[data-gate="{another.id}:"]')).to_have_count(0)


async def test_a_run_that_waits_says_so_on_the_board_beside_it_and_on_its_page(
    page: Page, waiting: tuple[ControlPlane, str, str]
) -> None:
    plane, run_id, session = waiting
    await page.goto(f"/sessions/{session}")
    await expect(page.locator(f".queue-row[data-run='{run_id}']")).to_contain_text("needs approval")
    for place, within in ((f"/sessions/{session}?run={run_id}", "#peek"), (f"/runs/{run_id}", "main")):
        await page.goto(place)
        told = page.locator(within)
        await expect(told.get_by_role("note").filter(has_text="This run waits for an approval.")).to_be_visible()
        await expect(told.locator(".badge", has_text="Needs approval").first).to_be_visible()
    await page.get_by_role("link", name="Go to the approvals").click()
    await expect(page.locator(f'[data-gate="{run_id}:"]')).to_be_visible()
    await page.go_back()
    await plane.cancel_run(run_id)
    await expect(page.locator(".run-head")).to_contain_text("Cancelled")
    await expect(page.get_by_role("link", name="Go to the approvals")).to_have_count(0)


async def test_a_viewer_looks_on(room: Room, chromium: Browser, waiting: tuple[ControlPlane, str, str]) -> None:
    person = await room.gateway.person("viewer")
    async with visitor(chromium, room, dark=False, width=390) as context:
        page = await context.new_page()
        await sign_in(page, person.email, person.password, "/approvals")
        await expect(page.get_by_text("Deciding needs the role approver")).to_be_visible()
        for button in await page.get_by_role("button", name="Deny").all():
            await expect(button).to_be_disabled()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_it_looks_finished(
    room: Room, chromium: Browser, waiting: tuple[ControlPlane, str, str], dark: bool, width: int
) -> None:
    plane, _, session = waiting
    asks = {"approvers": 2, "instructions": "Read the plan."}
    spec = {"slug": "four-eyes", "title": "Four eyes", "approval": asks, "steps": RISKY["steps"]}
    await plane.save_template(parse(spec).spec())
    run = await plane.create_run(session, "four-eyes", {}, title="Move the payments to the new bank")
    person = await room.gateway.person("approver")
    async with room.gateway.room(person) as approver:
        (item,) = [one for one in await approver.list_gates() if one.run_id == run.id]
        await approver.decide_gate(run.id, "", "approved", item.subject_digest, "The plan is the one of Tuesday.")
    other = await room.gateway.person("approver")
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await sign_in(page, other.email, other.password, "/approvals")
        await expect(page.get_by_text("1 of 2 approvers to go")).to_be_visible()
        await picture(page, "approvals", dark, width)
    await plane.cancel_run(run.id)
