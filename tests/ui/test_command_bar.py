"""The command bar: anywhere by keyboard, launches and cancellations only by an answer that says so."""

import httpx
from playwright.async_api import Browser, Locator, Page, expect

from opsroom.control_plane.search import RunFilter
from opsroom.local.services import Service
from tests.support.room import Room, visitor
from tests.ui.conftest import operator_room
from tests.ui.test_board import create_session


async def summon(page: Page) -> Locator:
    """Open the bar; the answer is its line."""
    await expect(page.get_by_role("button", name="Search or command")).to_be_visible()
    await page.keyboard.press("Control+k")
    line = page.get_by_role("combobox", name="Command")
    await expect(line).to_be_focused()
    return line


def offers(page: Page) -> Locator:
    return page.get_by_role("listbox").get_by_role("option")


async def test_anything_is_a_few_keys_away(page: Page, room: Room, upgrade: str) -> None:
    session = await create_session(page, "Harvest of December")
    async with operator_room(room) as control_plane:
        run = await control_plane.create_run(session, upgrade, {"seconds": 1}, title="Count the pumpkins")
    line = await summon(page)
    await line.fill("pumpkins")
    await expect(offers(page).first).to_contain_text("Count the pumpkins")
    await expect(line).to_have_attribute("aria-activedescendant", await offers(page).first.get_attribute("id") or "")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/runs/{run.id}")
    await expect(page.get_by_role("combobox", name="Command")).to_have_count(0)

    line = await summon(page)  # it was visited, so it is offered at once
    await expect(page.get_by_role("group", name="Recent").get_by_role("option")).to_contain_text(["Count the pumpkins"])
    await line.fill(run.id[:8])
    await expect(offers(page)).to_contain_text(["Count the pumpkins"])
    await line.fill("harvest december")
    await expect(offers(page).first).to_contain_text("Harvest of December")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/sessions/{session}")

    line = await summon(page)
    await line.type("upgrade a mod")
    await page.keyboard.press("Enter")  # before the offers are there: the first of them is meant
    await page.wait_for_url(f"**/sessions/{session}/launch?template={upgrade}")
    await summon(page)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("combobox", name="Command")).to_have_count(0)
    line = await summon(page)
    await line.fill("no such thing at all")
    await expect(page.get_by_role("status").filter(has_text="Nothing of that name")).to_have_count(0)
    await expect(offers(page)).to_contain_text(["Read “no such thing at all” as a command"])


async def test_a_template_is_launched_by_name_and_values_and_a_clear_yes(page: Page, room: Room, upgrade: str) -> None:
    session = await create_session(page, "By the bar")

    async def launched() -> list[tuple[str, object]]:
        async with operator_room(room) as control_plane:
            return [(run.lane, run.params) for run in await control_plane.runs(RunFilter(session_id=session))]

    line = await summon(page)
    await line.fill("upgrade seconds=9999 colour=red")
    await expect(offers(page).first).to_contain_text("seconds must be at most 600")
    await expect(offers(page).first).to_contain_text("colour is not known here")
    await line.fill("upgrade seconds=2 module=sale")
    await expect(offers(page).first).to_contain_text('seconds=2 module="sale"')
    await page.keyboard.press("Enter")
    await expect(offers(page)).to_contain_text(
        [f"Launch Upgrade a module into lane {lane}" for lane in "ABCD"] + ["Look at it in the form first"]
    )
    assert await launched() == []
    await page.keyboard.press("Escape")
    await expect(line).to_have_value("upgrade seconds=2 module=sale")
    await page.keyboard.press("Enter")
    await expect(offers(page).first).to_contain_text("into lane A")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Queued in lane B")).to_be_visible()
    assert await launched() == [("B", {"seconds": 2, "module": "sale", "mode": "update", "exit": 0})]

    line = await summon(page)
    await line.fill("upgrade seconds=77")
    await expect(offers(page).first).to_contain_text("seconds=77")
    await page.keyboard.press("Enter")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/launch?template=*")
    await expect(page.get_by_label("Data files")).to_have_value("77")


async def test_the_selected_run_is_cancelled_and_retried_from_the_bar(
    page: Page, room: Room, upgrade: str, worker: Service
) -> None:
    session = await create_session(page, "Stop it")
    async with operator_room(room) as control_plane:
        run = await control_plane.create_run(session, upgrade, {"seconds": 300}, title="Endless")
    await page.goto(f"/runs/{run.id}")
    await expect(page.get_by_role("heading", name="Endless")).to_be_visible()
    line = await summon(page)
    await line.fill("cancel")
    await expect(offers(page).first).to_contain_text("Cancel the run")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("listbox")).to_contain_text("What it has done so far stays done.")
    async with operator_room(room) as control_plane:
        assert (await control_plane.read_run(run.id)).run.cancel_requested_at is None
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("combobox", name="Command")).to_have_count(0)
    await expect(page.get_by_role("main")).to_contain_text("Cancelled on request")
    line = await summon(page)
    await line.fill("retry")
    await expect(offers(page).first).to_contain_text("Retry the run")
    await page.keyboard.press("Enter")
    await expect(offers(page).first).to_contain_text("Retry “Endless”")
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: "/runs/" in url and run.id not in url)
    again = page.url.rsplit("/", 1)[1]
    async with operator_room(room) as control_plane:
        assert (await control_plane.read_run(again)).run.retry_of == run.id
        await control_plane.cancel_run(again)


async def test_a_viewer_goes_anywhere_and_does_nothing(
    chromium: Browser, room: Room, upgrade: str, viewer_plane: tuple[str, str]
) -> None:
    async with operator_room(room) as control_plane:
        session = await control_plane.create_session("Look only")
        run = await control_plane.create_run(session.id, upgrade, {"seconds": 300}, title="Not yours")
    async with visitor(chromium, room) as context:
        page = await context.new_page()
        await page.goto("/sign-in")
        await page.get_by_label("E-mail").fill(viewer_plane[0])
        await page.get_by_label("Password").fill(viewer_plane[1])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await page.wait_for_selector(".topbar")
        await page.goto(f"/runs/{run.id}")
        line = await summon(page)
        await line.fill("not yours")
        await expect(offers(page)).to_have_count(2)  # the run itself, and reading it as a command
        await line.fill("upgrade seconds=2")
        await expect(offers(page).first).to_contain_text("seconds=2")
        await page.keyboard.press("Enter")
        await expect(offers(page).first).to_contain_text("into lane A")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("operator")
    async with operator_room(room) as control_plane:
        assert len(await control_plane.runs(RunFilter(session_id=session.id))) == 1
        await control_plane.cancel_run(run.id)


async def test_the_endpoint_takes_nothing_from_elsewhere(page: Page, room: Room) -> None:
    cookies = {cookie.get("name", ""): cookie.get("value", "") for cookie in await page.context.cookies()}
    async with httpx.AsyncClient(base_url=room.url) as stranger:
        assert (await stranger.get("/api/command?q=x")).status_code == 401
        own = {"origin": room.url}
        assert (await stranger.post("/api/command", json={"do": "retry", "run": "x"}, headers=own)).status_code == 401
    async with httpx.AsyncClient(base_url=room.url, cookies=cookies) as browser:
        assert (await browser.get("/api/command?q=upgrade")).status_code == 200
        for headers in ({}, {"origin": "https://elsewhere.test"}):
            assert (await browser.post("/api/command", json={}, headers=headers)).status_code == 403
        for body in ('{"do": "launch"}', "[]", "nonsense", '{"do":"cancel","run":"x"}', "[" * 100_000):
            refused = await browser.post("/api/command", content=body, headers={"origin": room.url})
            assert refused.status_code == 422, body[:40]
            assert refused.json()["hint"]
