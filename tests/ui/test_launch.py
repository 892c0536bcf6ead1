"""The launch form: errors at their fields from the form and from the database, one run per form and lane."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from opsroom.control_plane.search import RunFilter
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


MIGRATE: dict[str, Any] = {
    "slug": "migrate-a-tenant",
    "title": "Migrate a tenant",
    "risk": "block",
    "params": {
        "type": "object",
        "required": ["hosts"],
        "properties": {
            "hosts": {"type": "array", "title": "Hosts", "minItems": 1, "maxItems": 3, "items": {"type": "string", "format": "uri"}},
            "limits": {
                "type": "object",
                "title": "Limits",
                "required": ["cpu"],
                "properties": {
                    "cpu": {"type": "integer", "title": "CPU", "maximum": 64},
                    "burst": {"type": "boolean", "title": "Burst"},
                },
            },
            "key": {"type": "string", "title": "Key", "format": "secret-ref", "default": "USUAL_KEY"},
            "extra": {"type": "array", "title": "Extra"},
        },
    },
    "steps": [
        {"id": "copy", "title": "Copy the files", "kind": "noop", "artifacts": [{"path": "copy.json"}]},
        {"id": "dump", "title": "Copy the database", "kind": "noop"},
        {
            "id": "check",
            "title": "Check both",
            "kind": "noop",
            "needs": ["copy", "dump"],
            "verifiers": [{"name": "Nothing is missing", "kind": "file", "with": {"path": "copy.json"}}],
        },
        {"id": "agree", "title": "Agree to go", "kind": "gate", "needs": ["check"]},
        {"id": "switch", "title": "Switch over", "kind": "noop", "needs": ["agree"]},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
async def migrate(room: Room) -> str:
    async with operator_room(room) as control_plane:
        await control_plane.save_template(MIGRATE)
    return str(MIGRATE["slug"])


async def test_lists_and_objects_are_filled_in_by_keyboard_and_remembered(page: Page, room: Room, migrate: str) -> None:
    session = await create_session(page, "Tenants")
    await open_form(page, session, migrate)
    await expect(
        page.get_by_role("region", name="Plan").get_by_role("listitem").filter(has_text="Switch over")
    ).to_be_visible()
    await expect(page.get_by_text("copy.json from Copy the files")).to_be_visible()
    await expect(page.get_by_text("Check both: Nothing is missing")).to_be_visible()
    await expect(page.get_by_text("At Agree to go: an approver other than you")).to_be_visible()
    await expect(page.get_by_text("This is dangerous.")).to_be_visible()
    await page.get_by_role("button", name="Add to Hosts").click()
    await page.keyboard.type("nonsense")
    await page.keyboard.press("Enter")
    await page.keyboard.type("https://b.test")
    await expect(page.locator("[id='param.hosts.0-error']")).to_contain_text("uri")
    await page.get_by_label("Hosts 1", exact=True).fill("https://a.test")
    await expect(page.locator("[id='param.hosts.0-error']")).to_have_count(0)
    await page.get_by_label("Hosts 2", exact=True).press("Enter")
    await expect(page.get_by_label("Hosts 3", exact=True)).to_be_focused()
    await expect(page.get_by_role("button", name="Add to Hosts")).to_be_disabled()
    await page.keyboard.press("Backspace")
    await expect(page.get_by_label("Hosts 2", exact=True)).to_be_focused()
    await page.get_by_label("Burst").check()
    await page.get_by_label("Extra").fill("[1, ")
    await page.get_by_role("textbox", name="Key").fill("OTHER_KEY")
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page.locator("[id='param.limits.cpu-error']")).to_contain_text("required")
    await expect(page.get_by_label("CPU")).to_be_focused()
    await page.keyboard.type("8")
    await page.get_by_label("Extra").fill('[1, "x"]')
    await expect(page.locator("[id^='param.'][id$='-error']")).to_have_count(0)  # which moves what is below
    await page.get_by_label("Lane C").check()
    await page.get_by_role("button", name="Launch", exact=True).click()
    await page.wait_for_url(f"**/sessions/{session}")
    await expect(page.get_by_text("Queued in lanes A and C")).to_be_visible()
    async with operator_room(room) as control_plane:
        runs = await control_plane.runs(RunFilter(session_id=session))
    assert sorted(run.lane for run in runs) == ["A", "C"]
    hosts = ["https://a.test", "https://b.test"]
    expected = {"hosts": hosts, "limits": {"cpu": 8, "burst": True}, "key": "OTHER_KEY", "extra": [1, "x"]}
    assert [run.params for run in runs] == [expected, expected]

    await open_form(page, session, migrate)
    await expect(page.get_by_text("As you launched it last")).to_be_visible()
    await expect(page.get_by_label("Hosts 2", exact=True)).to_have_value("https://b.test")
    await expect(page.get_by_label("CPU")).to_have_value("8")
    await expect(page.get_by_role("textbox", name="Key")).to_have_value(
        "USUAL_KEY"
    )  # no secret's name is kept in the browser
    await page.get_by_role("button", name="Start from the defaults").click()
    await expect(page.get_by_label("Hosts 1", exact=True)).to_have_count(0)
    await page.goto(f"/sessions/{session}/launch?template={migrate}&params=%7B%22limits%22%3A%7B%22cpu%22%3A99%7D%7D")
    await expect(page.get_by_label("CPU")).to_have_value("99")
    await expect(page.get_by_text("As you launched it last")).to_have_count(0)


async def test_a_launch_into_several_lanes_that_half_fails_says_so(page: Page, room: Room, upgrade: str) -> None:
    """What was queued is said, and going on queues only the rest."""
    session = await create_session(page, "Half")
    await open_form(page, session, upgrade, "A")
    await page.get_by_label("Lane B").check()
    async with operator_room(room) as control_plane:
        taken = await page.locator("[name=form_key]").input_value()
        # The key of lane B stands for another run already, so the database refuses that lane.
        await control_plane.create_run(session, upgrade, {"seconds": 9}, lane="D", idempotency_key=f"{taken}:B")
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page.get_by_text("Not queued in lane B. Queued in lane A.")).to_be_visible()
    became = page.get_by_role("list", name="What became of each lane")
    await expect(became.get_by_role("link", name="Queued: Upgrade a module")).to_be_visible()
    await expect(page.get_by_label("Lane A")).to_be_disabled()
    await page.get_by_label("Lane B").uncheck()
    await page.get_by_label("Lane C").check()
    await page.get_by_role("button", name="Launch", exact=True).click()
    await page.wait_for_url(f"**/sessions/{session}")
    async with operator_room(room) as control_plane:
        runs = await control_plane.runs(RunFilter(session_id=session))
    assert sorted(run.lane for run in runs) == ["A", "C", "D"]


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
