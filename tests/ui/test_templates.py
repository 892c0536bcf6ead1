"""Templates: the list, versions and what changed, the editor with its checks, and two people who edit at once."""

import re
import uuid
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.room import Room, visitor
from tests.ui.conftest import operator_room

CACHE: dict[str, Any] = {
    "title": "Rotate the cache",
    "params": {"type": "object", "properties": {"node": {"type": "string", "title": "Node", "maxLength": 5}}},
    "steps": [{"id": "flush", "title": "Flush the node", "kind": "noop"}],
}


@pytest.fixture
async def slug(room: Room) -> str:
    """A template with two versions."""
    slug = f"rotate-{uuid.uuid4().hex[:6]}"
    async with operator_room(room) as plane:
        await plane.save_template({"slug": slug, **CACHE})
        await plane.save_template({"slug": slug, **CACHE, "title": "Rotate every cache"})
    return slug


async def type_over(page: Page, old: str, new: str) -> None:
    """Replace a text in the editor: all is selected and pasted over."""
    source = page.locator("[name=source]")
    await expect(source).to_have_value(re.compile(re.escape(old)))
    text = await source.input_value()
    await page.get_by_role("textbox", name="The template as YAML").click()
    await page.keyboard.press("Control+a")
    paste = """text => {
        const data = new DataTransfer();
        data.setData('text/plain', text);
        document.activeElement.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
    }"""
    await page.evaluate(paste, text.replace(old, new))


async def test_a_template_is_found_compared_and_switched_off(page: Page, room: Room, slug: str) -> None:
    await page.goto("/templates")
    await page.get_by_label("Search templates").fill(slug)
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody tr")).to_contain_text("Never")
    await page.get_by_role("link", name="Rotate every cache").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Rotate every cache")
    await expect(page.get_by_role("list", name="Versions").get_by_role("listitem")).to_have_count(2)
    await expect(page.get_by_role("region", name="Plan")).to_contain_text("Flush the node")
    await page.get_by_role("button", name="Changes").click()
    diff = page.get_by_role("region", name="Changes").last
    await expect(diff.locator(".diff-line[data-kind=added] mark")).to_have_text("every")
    await page.get_by_role("button", name="Side by side").click()
    await expect(diff.locator(".diff-pair[data-kind=changed]")).to_have_count(1)
    await page.get_by_role("link", name="v1").click()
    await expect(page.get_by_text("This is an older version.")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Rotate the cache")
    await page.get_by_role("button", name="YAML").click()
    await expect(page.get_by_role("textbox", name="The version as YAML")).to_contain_text("title: Rotate the cache")
    await page.get_by_role("button", name="Disable").click()
    await page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    await expect(page.locator("main header .tag")).to_have_text("Disabled")
    async with operator_room(room) as plane:
        assert not (await plane.template(slug)).enabled
    await page.get_by_role("button", name="Enable").click()
    await expect(page.locator("main header .tag")).to_have_count(0)


async def test_what_is_wrong_shows_at_its_line_as_one_types_and_what_is_right_is_saved(
    page: Page, room: Room, slug: str
) -> None:
    await page.goto(f"/templates/{slug}/edit")
    await expect(page.locator(".verdict")).to_contain_text("the same as version 2")
    await expect(page.get_by_role("button", name="Save")).to_be_enabled()
    await type_over(page, "kind: noop", "kind: noop\n    needs: [nothing]")
    finding = page.get_by_role("list", name="Findings").get_by_role("button")
    await expect(finding).to_contain_text("does not exist: nothing")
    await expect(page.locator(".cm-lintRange-error")).to_be_visible()
    await expect(page.get_by_role("button", name="Save")).to_be_disabled()
    await finding.click()
    await expect(page.locator(".cm-activeLine")).to_contain_text("needs: [nothing]")
    await type_over(page, "\n    needs: [nothing]", "\n    timeout_seconds: 7")
    await expect(page.locator(".verdict")).to_contain_text(f"saving makes version 3 of {slug}")
    await expect(page.get_by_role("region", name="Preview")).to_contain_text("≤ 7")
    await page.get_by_label("Node").fill("too long")
    await expect(page.locator("[id='param.node-error']")).to_be_visible()
    await page.get_by_role("textbox", name="The template as YAML").click()
    await page.keyboard.press("Control+s")
    await page.wait_for_url(f"**/templates/{slug}")
    await expect(page.get_by_role("list", name="Versions").get_by_role("listitem")).to_have_count(3)
    async with operator_room(room) as plane:
        saved = await plane.template(slug)
    assert saved.spec["steps"][0]["timeout_seconds"] == 7


async def test_of_two_who_edit_at_once_nobody_loses_anything(page: Page, room: Room, slug: str) -> None:
    await page.goto(f"/templates/{slug}/edit")
    await expect(page.locator(".verdict")).to_contain_text("Valid")
    await type_over(page, "Rotate every cache", "Mine")
    await expect(page.locator(".verdict")).to_contain_text("saving makes version 3")
    async with operator_room(room) as plane:
        await plane.save_template({"slug": slug, **CACHE, "title": "Theirs"})
    await page.get_by_role("button", name="Save").click()
    conflict = page.get_by_role("region", name="Conflict")
    await expect(conflict).to_contain_text("is at version 3")
    await expect(conflict.locator(".diff-line[data-kind=removed]")).to_contain_text("Theirs")
    await page.reload()  # the text survives even that, with the version it was made from
    await expect(page.get_by_text("made from version 2")).to_be_visible()
    await expect(page.get_by_role("textbox", name="The template as YAML")).to_contain_text("Mine")
    await page.get_by_role("button", name="Save").click()
    await conflict.get_by_role("button", name="Save on top of version 3").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(f"**/templates/{slug}")
    async with operator_room(room) as plane:
        titles = [version.title for version in await plane.template_versions(slug)]
    assert titles == ["Mine", "Theirs", "Rotate every cache", "Rotate the cache"]
    await page.goto(f"/templates/{slug}/edit")
    await expect(page.locator(".verdict")).to_contain_text("the same as version 4")
    await expect(page.locator(".editor-restored")).to_have_count(0)


async def test_a_new_template_is_made_and_a_taken_slug_is_not_overwritten(page: Page, room: Room, slug: str) -> None:
    await page.goto("/templates/new")
    await expect(page.locator(".verdict")).to_contain_text("saving makes version 1")
    await type_over(page, "slug: my-runbook", f"slug: {slug}")
    await expect(page.locator(".verdict")).to_contain_text(f"there is a template {slug} already")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("region", name="Conflict")).to_contain_text("this was made from nothing")
    await type_over(page, f"slug: {slug}", f"slug: {slug}-new")
    await expect(page.locator(".verdict")).to_contain_text("saving makes version 1")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(f"**/templates/{slug}-new")
    await expect(page.get_by_role("heading", level=1)).to_have_text("My runbook")


async def test_who_is_no_admin_may_try_and_not_save(
    chromium: Browser, room: Room, slug: str, viewer_plane: tuple[str, str]
) -> None:
    async with visitor(chromium, room, width=390) as context:
        page = await context.new_page()
        await page.goto(f"/sign-in?next=/templates/{slug}/edit")
        await page.get_by_label("E-mail").fill(viewer_plane[0])
        await page.get_by_label("Password").fill(viewer_plane[1])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_text("You can try changes here, but not save them.")).to_be_visible()
        await expect(page.locator(".verdict")).to_contain_text("Valid")
        await expect(page.get_by_role("button", name="Save")).to_be_disabled()
        await expect(page.locator(".cm-content")).to_contain_text("steps")
        # Who presses what the page does not offer is refused by the database.
        await page.get_by_role("button", name="Save").evaluate("button => { button.disabled = false; button.click() }")
        await expect(page.locator(".verdict")).to_contain_text("this needs the role admin")
        await page.goto(f"/templates/{slug}")
        await expect(page.get_by_role("button", name="Disable")).to_be_disabled()
        await page.goto("/templates/there-is-none")
        await expect(page.get_by_role("alert")).to_contain_text("there is no template there-is-none")
