"""Members: roles are set where they stand, the last admin stays, and who is no admin is told whom to ask."""

from playwright.async_api import Browser, Page, expect

from opsroom.local.environment import LOCAL_EMAIL
from tests.support.room import Room, visitor
from tests.ui.conftest import operator_room


async def test_an_admin_lets_in_changes_and_takes_away(page: Page, room: Room) -> None:
    stranger = await room.gateway.person(None)
    await page.goto("/members")
    form = page.get_by_role("form", name="Let somebody in")
    await form.get_by_label("E-mail").fill("nobody@example.org")
    await form.get_by_role("button", name="Let in").click()
    await expect(form.get_by_role("alert")).to_contain_text("Nobody has signed up as nobody@example.org")
    await form.get_by_label("E-mail").fill(stranger.email)
    await form.get_by_label("Role").select_option("viewer")
    await form.get_by_role("button", name="Let in").click()
    role = page.get_by_label(f"Role of {stranger.email}")
    await expect(role).to_have_value("viewer")
    await role.select_option("approver")
    await expect(page.get_by_text(f"{stranger.email} is approver")).to_be_visible()
    async with operator_room(room) as plane:
        assert {m.email: m.role for m in await plane.members()}[stranger.email] == "approver"
    await page.get_by_role("button", name=f"Disable {stranger.email}").click()
    await page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    row = page.locator("tbody tr").filter(has_text=stranger.email)
    await expect(row.get_by_text("Disabled")).to_be_visible()
    async with operator_room(room) as plane:
        assert {m.email: m.disabled_at for m in await plane.members()}[stranger.email]
    await page.get_by_role("button", name=f"Enable {stranger.email}").click()
    await expect(row.get_by_text("Disabled")).to_have_count(0)
    await expect(role).to_have_value("approver")


async def test_nobody_takes_their_own_role(page: Page) -> None:
    await page.goto("/members")
    own = page.get_by_label(f"Role of {LOCAL_EMAIL}")
    await expect(own).to_be_disabled()
    await expect(page.get_by_role("button", name=f"Disable {LOCAL_EMAIL}")).to_be_disabled()
    await own.evaluate("""select => {
        select.disabled = false;
        Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, 'value').set.call(select, 'viewer');
        select.dispatchEvent(new Event('change', {bubbles: true}));
    }""")
    await expect(page.get_by_text("an admin can not take away their own role")).to_be_visible()


async def test_who_is_no_admin_is_told_whom_to_ask(
    chromium: Browser, room: Room, viewer_plane: tuple[str, str]
) -> None:
    async with visitor(chromium, room, width=390) as context:
        page = await context.new_page()
        await page.goto("/sign-in?next=/members")
        await page.get_by_label("E-mail").fill(viewer_plane[0])
        await page.get_by_label("Password").fill(viewer_plane[1])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_role("heading", name="Only admins manage members")).to_be_visible()
        await expect(page.get_by_text(LOCAL_EMAIL)).to_be_visible()
        await expect(page.locator("tbody tr")).to_have_count(0)
