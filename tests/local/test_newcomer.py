"""What a newcomer does: `opsroom up`, a browser, two runbooks at once; then the same two from the command line."""

import re

from playwright.async_api import Browser, Page, expect

from tests.local.launcher import Launcher
from tests.support.room import PATIENCE_MS, chromium

__all__ = ["chromium"]

RUNBOOKS = {"A": "Snapshot a Postgres database", "B": "Validate a Spec Kit bundle"}


async def launch(page: Page, lane: str, template: str) -> None:
    await (
        page.get_by_role("region", name=f"Lane {lane}")
        .get_by_role("link", name=f"Launch into lane {lane}")
        .first.click()
    )
    await page.get_by_role("link", name=template).click()
    await page.get_by_role("button", name="Launch").click()
    await page.wait_for_url(re.compile(r"/sessions/[^/]+$"))


async def test_from_an_empty_folder_to_two_runs_with_evidence(launcher: Launcher, chromium: Browser) -> None:
    await launcher.bring_board()
    running = await launcher.up("--backend", "embedded")
    context = await chromium.new_context(base_url=running.ready["ui_url"], viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    await page.goto("/")
    await page.get_by_role("button", name="Continue as local operator").click()
    await page.get_by_role("button", name="New session").click()
    await page.get_by_label("Title").fill("First day")
    await page.get_by_role("button", name="Create session").click()
    for lane, template in RUNBOOKS.items():
        await launch(page, lane, template)
    for lane in RUNBOOKS:
        await expect(page.get_by_role("region", name=f"Lane {lane}")).to_contain_text("Succeeded", timeout=60_000)

    await page.get_by_role("link", name=RUNBOOKS["A"]).click()
    for artifact in ("snapshot.dump", "manifest.json"):
        await expect(page.get_by_text(artifact).first).to_be_visible()
    await expect(page.get_by_text("all").and_(page.get_by_text("have the same number of rows")).first).to_be_visible()
    await context.close()

    for template, lane in (("postgres-snapshot", "A"), ("spec-kit-validate", "B")):
        code, said = await launcher.command("run", template, "--lane", lane, "--session", "First day", "--follow")
        assert code == 0, said
        assert "run.succeeded" in said
    assert await running.stop() == 0
