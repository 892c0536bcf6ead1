"""The run page: the log as it is written, steps, artifacts, retry and rerun."""

import re
import uuid

import httpx
from playwright.async_api import Browser, Page, expect

from opsroom.control_plane.models import Run
from opsroom.local.services import Service
from opsroom.room.sign_ins import COOKIE
from tests.support.room import Room, visitor
from tests.ui.conftest import operator_room


async def launch(room: Room, template: str, **params: int | str) -> Run:
    """A run in a session of its own."""
    async with operator_room(room) as control_plane:
        session = await control_plane.create_session(f"Run page {uuid.uuid4().hex[:6]}")
        return await control_plane.create_run(session.id, template, params, title="A run to look at")


async def test_the_log_is_followed_live_to_its_end(page: Page, room: Room, worker: Service, upgrade: str) -> None:
    run = await launch(room, upgrade, seconds=4)
    await page.goto(f"/runs/{run.id}")
    log = page.get_by_role("log")
    await expect(log.get_by_text("loading", exact=True)).to_be_visible()
    await expect(log.locator("[data-kind=stderr]")).to_contain_text("a deprecated field")
    for second in (1, 2, 3, 4):
        await expect(log.get_by_text(f"file {second} loaded", exact=True)).to_be_visible()
    await expect(page.locator(".run-head")).to_contain_text("Succeeded")
    await expect(page.get_by_role("region", name="Log")).to_contain_text("Complete")
    numbers = await log.locator(".log-number").all_inner_texts()
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    await expect(page.locator("[data-step=upgrade]")).to_have_attribute("data-state", "succeeded")
    states = await page.get_by_role("list", name="States").inner_text()
    assert re.search(r"Queued.*Starting.*Running.*Succeeded", states, re.S)


async def test_the_log_is_searched_and_filtered(page: Page, room: Room, worker: Service, upgrade: str) -> None:
    run = await launch(room, upgrade, seconds=2, exit=3)
    await page.goto(f"/runs/{run.id}")
    await expect(page.locator(".run-head")).to_contain_text("Failed")
    log = page.get_by_role("log")
    await page.get_by_role("searchbox", name="Search in the log").fill("loaded")
    await expect(log.locator(".log-line")).to_have_count(2)
    await page.get_by_role("searchbox", name="Search in the log").fill("no such words")
    await expect(log).to_contain_text("No line matches.")


async def test_an_artifact_is_shown_without_its_script_and_downloaded(
    page: Page, room: Room, worker: Service, upgrade: str
) -> None:
    run = await launch(room, upgrade, seconds=1)
    await page.goto(f"/runs/{run.id}")
    await page.get_by_role("button", name="Show report.md").click()
    preview = page.get_by_role("region", name="Artifact")
    await expect(preview.get_by_role("heading", name="Upgraded")).to_be_visible()
    await expect(preview.locator("strong")).to_have_text("well")
    assert await preview.locator("script").count() == 0
    async with page.expect_download() as caught:
        await page.get_by_role("link", name="Download report.md").click()
    download = await caught.value
    assert download.suggested_filename == "report.md"
    assert "Upgraded" in (await download.path()).read_text()


async def test_artifacts_come_with_headers_that_keep_them_harmless(
    page: Page, room: Room, worker: Service, upgrade: str
) -> None:
    run = await launch(room, upgrade, seconds=1)
    await page.goto(f"/runs/{run.id}")
    href = await page.get_by_role("link", name="Download report.md").get_attribute("href")
    cookie = next(item for item in await page.context.cookies() if item.get("name") == COOKIE)
    async with httpx.AsyncClient(base_url=room.url, cookies={COOKIE: str(cookie.get("value"))}) as http:
        answer = await http.get(f"{href}?inline")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_failed_run_is_retried_and_repeated_with_other_params(
    page: Page, room: Room, worker: Service, upgrade: str
) -> None:
    run = await launch(room, upgrade, seconds=1, exit=7)
    await page.goto(f"/runs/{run.id}")
    await expect(page.locator(".run-head")).to_contain_text("Failed")
    await expect(page.get_by_role("region", name="Steps")).to_contain_text("exit code 7")
    await page.get_by_role("button", name="Retry").click()
    await page.wait_for_url(lambda url: run.id not in url)
    await expect(page.locator(".run-head")).to_contain_text("attempt 2")
    await expect(page.get_by_role("region", name="Attempts").get_by_role("link")).to_have_count(2)
    await page.get_by_role("link", name="Run again").click()
    await expect(page.get_by_label("Exit code")).to_have_value("7")
    await page.get_by_label("Exit code").fill("0")
    await page.get_by_role("button", name="Run again").click()
    await expect(page.get_by_role("region", name="Lane A")).to_contain_text("Succeeded")


async def test_a_viewer_may_look_and_not_act(
    room: Room, chromium: Browser, worker: Service, upgrade: str, viewer_plane: tuple[str, str]
) -> None:
    run = await launch(room, upgrade, seconds=60)
    async with visitor(chromium, room) as context:
        page = await context.new_page()
        await page.goto(f"/sign-in?next=/runs/{run.id}")
        await page.get_by_label("E-mail").fill(viewer_plane[0])
        await page.get_by_label("Password").fill(viewer_plane[1])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_role("log").get_by_text("loading", exact=True)).to_be_visible()
        for name in ("Cancel", "Run again"):
            button = page.get_by_role("button", name=name)
            await expect(button).to_be_disabled()
            assert "operator" in (await button.get_attribute("title") or "")
    async with operator_room(room) as control_plane:
        await control_plane.cancel_run(run.id)


async def test_an_unknown_run_says_so(page: Page) -> None:
    await page.goto(f"/runs/{uuid.uuid4()}")
    await expect(page.get_by_role("alert")).to_contain_text("no run")
