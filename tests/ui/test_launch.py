"""The launch form: errors at their fields from the form and from the database, and one run per form."""

from playwright.async_api import Page, expect

from opsroom.local.services import Service
from tests.support.room import Room
from tests.ui.conftest import operator_room
from tests.ui.test_board import create_session


async def open_form(page: Page, session: str, template: str, lane: str = "A") -> None:
    await page.goto(f"/sessions/{session}/launch?template={template}&lane={lane}")
    await expect(page.get_by_role("form", name="Launch")).to_be_visible()


async def test_errors_show_at_their_fields_as_one_types_and_on_launching(page: Page, upgrade: str) -> None:
    await open_form(page, await create_session(page, "Mistakes"), upgrade)
    files, module = page.get_by_label("Data files"), page.get_by_label("Module")
    await files.fill("many")
    await expect(page.locator("[id='param.seconds-error']")).to_contain_text("integer")
    await expect(files).to_have_attribute("aria-invalid", "true")
    await files.fill("9999")
    await expect(page.locator("[id='param.seconds-error']")).to_contain_text("600")
    await module.fill("NOT LOWER")
    await module.blur()
    await expect(page.locator("[id='param.module-error']")).to_be_visible()
    await page.get_by_role("button", name="Launch").click()
    await expect(page.get_by_text("2 fields need to be corrected.")).to_be_visible()
    await files.fill("5")
    await expect(page.locator("[id='param.seconds-error']")).to_have_count(0)
    await expect(files).to_have_value("5")
    await page.get_by_label("Priority").fill("5000")
    await module.fill("fine")
    await page.get_by_role("button", name="Launch").click()
    await expect(page.locator("#priority-error")).to_contain_text("-100 to 100")


async def test_a_double_click_launches_once(page: Page, room: Room, upgrade: str, worker: Service) -> None:
    session = await create_session(page, "Once")
    await open_form(page, session, upgrade, "D")
    await page.get_by_label("Data files").fill("1")
    await page.get_by_label("Title").fill("Only one of me")
    await page.get_by_role("button", name="Launch").dblclick()
    await page.wait_for_url(f"**/sessions/{session}")
    lane = page.get_by_role("region", name="Lane D")
    await expect(lane).to_contain_text("Only one of me")
    await expect(lane).to_contain_text("Succeeded")
    async with operator_room(room) as control_plane:
        board = await control_plane.read_board(session)
    assert [card.title for card in board.lane("D").finished] == ["Only one of me"]
    assert board.lane("D").finished[0].params == {"seconds": 1, "mode": "update", "exit": 0}


async def test_a_form_that_was_left_is_not_found_again_for_another_lane(page: Page, room: Room, upgrade: str) -> None:
    """While the next form is on its way, no link of the one before is there to be clicked: it would launch into lane A."""
    session = await create_session(page, "Two lanes in a row")
    await open_form(page, session, upgrade, "A")
    await page.get_by_role("link", name="Back", exact=True).click()
    lane = page.get_by_role("region", name="Lane B")
    await expect(lane).to_be_visible()
    room.gateway.pause()
    try:
        await lane.get_by_role("link", name="Launch into lane B").click()
        await page.wait_for_url("**/launch?lane=B")
        await expect(page.locator("main .skeleton").first).to_be_visible()
        await expect(page.get_by_role("link", name="Upgrade a module")).to_have_count(0)
    finally:
        room.gateway.resume()
    await page.get_by_role("link", name="Upgrade a module").click()
    await page.wait_for_url("**&lane=B")


async def test_a_form_of_before_launches_nothing(page: Page, room: Room, upgrade: str) -> None:
    session = await create_session(page, "Old form")
    await open_form(page, session, upgrade)
    await page.locator("[name=form_key]").evaluate("field => { field.value = 'of-before' }")
    await page.get_by_role("button", name="Launch").click()
    await expect(page.get_by_text("This form has changed meanwhile.")).to_be_visible()
    async with operator_room(room) as control_plane:
        board = await control_plane.read_board(session)
    assert not any([*lane.queue, *lane.active, *lane.finished] for lane in board.lanes)


async def test_what_only_the_database_refuses_is_said_on_the_form(page: Page, room: Room, upgrade: str) -> None:
    session = await create_session(page, "Closed meanwhile")
    await open_form(page, session, upgrade)
    async with operator_room(room) as control_plane:
        await control_plane.archive_session(session)
    await page.get_by_role("button", name="Launch").click()
    await expect(page.get_by_role("form", name="Launch").get_by_role("alert")).to_contain_text("archived")
    await expect(page.get_by_role("button", name="Launch")).to_be_enabled()


async def test_the_template_is_found_by_a_word_and_picked_by_keyboard(page: Page) -> None:
    session = await create_session(page, "Keyboard")
    await page.goto(f"/sessions/{session}/launch")
    await expect(page.get_by_role("heading", name="Pick a template")).to_be_visible()
    await page.get_by_role("searchbox", name="Search templates").fill("snapshot")
    await expect(page.get_by_role("navigation", name="Templates").get_by_role("link")).to_have_count(1)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Connection")).to_have_value("EMBEDDED_DATABASE")
    await expect(page.get_by_text("This changes things.")).to_be_visible()
