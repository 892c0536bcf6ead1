"""Everybody can use the room: no serious finding of axe on any page, dark and light, and the main path by keyboard."""

import uuid

import pytest
from playwright.async_api import Browser, Page, expect

from opsroom.local.services import Service
from tests.support.axe import Axe, install
from tests.support.room import Room, enter, visitor
from tests.ui.test_screenshots import Scene, scene

__all__ = ["scene"]

PAGES = (
    "/",
    "/sessions/{full}",
    "/sessions/{full}?run={running}",
    "/sessions/{empty}",
    "/sessions/{full}/launch",
    "/sessions/{full}/launch?template=module-upgrade",
    "/runs",
    "/runs/{running}",
    "/runs/{failed}",
    "/compare",
    "/compare?left={failed}&right={running}",
    "/approvals",
    "/workers",
    "/insights",
    "/templates",
    "/templates/module-upgrade",
    "/templates/new",
    "/spec-kit",
    "/members",
    "/setup",
    "/command",
    "/nothing-here",
)


@pytest.fixture(scope="module")
async def axe() -> Axe:
    return await install()


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
async def test_no_page_shuts_anybody_out(room: Room, chromium: Browser, axe: Axe, scene: Scene, dark: bool) -> None:
    found: dict[str, list[str]] = {}
    async with visitor(chromium, room, dark=dark) as context:
        page = await context.new_page()
        await page.goto("/sign-in")
        await expect(page.get_by_role("button", name="Continue as local operator")).to_be_visible()
        found["/sign-in"] = await axe.serious(page)
        await enter(page)
        for path in PAGES:
            await page.goto(path.format(**vars(scene)))
            await expect(page.locator("h1, [role=alert], .blank-title").first, path).to_be_visible(timeout=30_000)
            await page.wait_for_load_state("networkidle")
            if serious := await axe.serious(page):
                found[path] = serious
    assert {path: serious for path, serious in found.items() if serious} == {}


async def focus(page: Page, name: str, *, most: int = 60) -> None:
    """Tab until the element with that name has the focus; it must be seen to have it."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        said = await page.evaluate(
            "(() => { const e = document.activeElement; return (e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText || '').trim() })()"
        )
        if said.split("\n")[0].strip() == name or said == name:
            outline = await page.evaluate(
                "(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== 'none' || s.boxShadow !== 'none' })()"
            )
            assert outline, f"{name} does not show that it has the focus"
            return
    raise AssertionError(f"no Tab leads to {name!r}")


async def test_the_main_path_by_keyboard_alone(page: Page, worker: Service) -> None:
    keys, title = page.keyboard, f"By keyboard {uuid.uuid4().hex[:6]}"
    await focus(page, "New")
    await keys.press("Enter")
    await expect(page.get_by_label("Title")).to_be_focused()
    await keys.type(title)
    await keys.press("Enter")
    await expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
    await focus(page, "Launch into lane B")
    await keys.press("Enter")
    await expect(page.get_by_role("searchbox", name="Search templates")).to_be_focused()
    await keys.type("validate")
    await focus(page, "Validate a Spec Kit bundle")
    await keys.press("Enter")
    await expect(page.get_by_role("button", name="Launch")).to_be_visible()
    await focus(page, "Launch")
    await keys.press("Enter")
    lane = page.get_by_role("region", name="Lane B")
    await expect(lane).to_contain_text("Succeeded", timeout=30_000)
    await lane.locator("[data-run] a, a[data-run]").first.focus()
    await keys.press("Enter")
    await expect(page.get_by_role("complementary", name="Run")).to_be_visible()
    await keys.press("Escape")
    await expect(page.get_by_role("complementary", name="Run")).to_have_count(0)
