"""Spec Kit: bundles of the repository and of the control plane, generated, browsed, validated, downloaded."""

import io
import uuid
import zipfile

from playwright.async_api import Browser, Page, expect

from opsroom.domain.spec_kit import FILES, generate_bundle
from tests.support.room import Room, visitor
from tests.ui.conftest import operator_room


async def download(page: Page) -> bytes:
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Zip").click()
    return (await (await waiting.value).path()).read_bytes()


async def test_a_bundle_is_generated_kept_and_browsed(page: Page, room: Room) -> None:
    name = f"Billing {uuid.uuid4().hex[:6]}"
    slug = name.lower().replace(" ", "-")
    await page.goto("/spec-kit")
    row = page.locator("tbody tr").filter(has_text="ops-control-room")
    await expect(row).to_contain_text("tasks")
    form = page.get_by_role("form", name="Generate a bundle")
    await form.get_by_role("button", name="Generate").click()
    await expect(form.get_by_role("alert")).to_contain_text("goals")
    await form.get_by_label("Name").fill(name)
    await form.get_by_label("Description").fill("Exports <script>alert(1)</script> invoices.")
    await form.get_by_label("Goals").fill("- Export every night\n- Mail a report")
    await form.get_by_role("button", name="Generate").click()
    await page.wait_for_url(f"**/spec-kit/{slug}**")
    await expect(page.locator("main header .badge")).to_have_text("Valid")
    await expect(page.get_by_text("requirements covered by a task")).to_be_visible()
    await page.get_by_role("navigation", name="Files").get_by_role("link", name="prd.md").click()
    prose = page.locator(".spec-prose")
    await expect(prose).to_contain_text("Exports <script>alert(1)</script> invoices.")
    assert await prose.locator("script").count() == 0
    expected = generate_bundle(
        name, "Exports <script>alert(1)</script> invoices.", ["Export every night", "Mail a report"]
    )
    async with operator_room(room) as plane:
        assert dict((await plane.spec(slug)).files) == dict(expected)
    await page.goto("/spec-kit")
    await form.get_by_label("Name").fill(name)
    await form.get_by_label("Description").fill("Something else.")
    await form.get_by_label("Goals").fill("Another goal")
    await form.get_by_role("button", name="Generate").click()
    await expect(form.get_by_role("alert")).to_contain_text("another bundle under this slug")


async def test_findings_stand_at_their_lines_and_the_zip_is_always_the_same(page: Page, room: Room) -> None:
    slug = f"broken-{uuid.uuid4().hex[:6]}"
    files = dict(generate_bundle("Broken", "It is broken.", ["Be mended"]))
    lines = files["plan.md"].split("\n")
    lines.insert(6, "TBD")
    async with operator_room(room) as plane:
        await plane.save_spec(slug, {**files, "plan.md": "\n".join(lines)})
    await page.goto(f"/spec-kit/{slug}?source=room")
    await expect(page.locator("main header .badge")).to_have_text("1 error")
    await page.get_by_role("list", name="Findings").get_by_role("link").click()
    await expect(page.locator(".source-line[data-state=failed]")).to_contain_text("7TBD")
    await expect(page.locator(".line-finding")).to_contain_text("SK020: placeholder 'TBD'")
    content, again = [await download(page) for _ in range(2)]
    assert content == again
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == [f"spec/{slug}/{name}" for name in FILES]
        assert archive.read(f"spec/{slug}/prd.md").decode() == files["prd.md"]
    await page.goto("/spec-kit/there-is-none?source=room")
    await expect(page.get_by_role("alert")).to_contain_text("keeps no bundle")
    await page.goto("/spec-kit/..%2f..%2fetc?source=repository")
    await expect(page.get_by_role("alert").or_(page.get_by_text("Nothing is here"))).to_be_visible()


async def test_a_viewer_reads_and_does_not_generate(
    chromium: Browser, room: Room, viewer_plane: tuple[str, str]
) -> None:
    async with visitor(chromium, room, width=390, dark=False) as context:
        page = await context.new_page()
        answer = await context.request.get("/api/specs/ops-control-room.zip")
        assert answer.status == 401
        await page.goto("/sign-in?next=/spec-kit")
        await page.get_by_label("E-mail").fill(viewer_plane[0])
        await page.get_by_label("Password").fill(viewer_plane[1])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_role("button", name="Generate")).to_be_disabled()
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        await page.get_by_label("Name").fill("Mine")
        await page.get_by_label("Description").fill("Mine.")
        await page.get_by_label("Goals").fill("Get in")
        await page.get_by_role("button", name="Generate").evaluate("b => { b.disabled = false; b.click() }")
        await expect(page.get_by_role("form").get_by_role("alert")).to_contain_text("needs the role operator")
