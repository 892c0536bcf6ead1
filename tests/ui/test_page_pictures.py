"""The pictures of templates, Spec Kit, members and setup (see `test_screenshots`)."""

import re
from copy import deepcopy
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from opsroom.local.environment import LOCAL_EMAIL
from opsroom.local.services import Service
from tests.support.room import Room, enter, visitor
from tests.ui.conftest import finished, operator_room
from tests.ui.test_screenshots import LOOKS, picture

ROTATE: dict[str, Any] = {
    "slug": "rotate-certificates",
    "title": "Rotate certificates",
    "description": "Asks for new certificates, installs them host by host, and proves that each host serves its own.",
    "risk": "warn",
    "params": {
        "type": "object",
        "properties": {
            "hosts": {"type": "array", "title": "Hosts", "items": {"type": "string", "format": "uri"}, "maxItems": 20},
            "days": {"type": "integer", "title": "Valid for days", "minimum": 1, "maximum": 90, "default": 90},
        },
        "required": ["hosts"],
    },
    "steps": [
        {"id": "ask", "title": "Ask for new certificates", "kind": "noop"},
        {"id": "install", "title": "Install them host by host", "kind": "noop", "needs": ["ask"]},
        {"id": "prove", "title": "Prove that each host serves its own", "kind": "noop", "needs": ["install"]},
    ],
}


@pytest.fixture(scope="module")
async def rotate(room: Room, worker: Service) -> str:
    """A template with a second version that differs in a title, a bound and a step, and a run of it."""
    second = deepcopy(ROTATE)
    second["params"]["properties"]["days"] |= {"maximum": 47, "default": 47}
    second["steps"][1]["title"] = "Install them, one host at a time"
    second["steps"].append({"id": "tell", "title": "Tell who is on call", "kind": "noop", "needs": ["prove"]})
    async with operator_room(room) as plane:
        await plane.save_template(ROTATE)
        await plane.save_template(second)
        session = await plane.create_session("Certificates of the shop")
        run = await plane.create_run(session.id, str(ROTATE["slug"]), {"hosts": ["https://shop.example.com"]})
        await finished(plane, run.id)
    return str(ROTATE["slug"])


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_templates(room: Room, chromium: Browser, rotate: str, dark: bool, width: int) -> None:
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await enter(page)
        await page.goto("/templates")
        await expect(page.get_by_role("link", name="Rotate certificates")).to_be_visible()
        await picture(page, "templates", dark, width)
        await page.goto(f"/templates/{rotate}")
        await expect(page.get_by_role("region", name="Plan")).to_contain_text("Tell who is on call")
        await picture(page, "template", dark, width)
        await page.get_by_role("button", name="Changes").click()
        await expect(page.locator(".diff-line[data-kind=added]").first).to_be_visible()
        await picture(page, "template-changes", dark, width)
        await page.goto(f"/templates/{rotate}/edit")
        await expect(page.locator(".verdict")).to_contain_text("the same as version 2")
        await expect(page.get_by_role("textbox", name="The template as YAML")).to_contain_text("rotate-certificates")
        await picture(page, "template-editor", dark, width)


@pytest.fixture(scope="module")
async def people(room: Room) -> None:
    """One of each role."""
    for role in ("approver", "operator", "viewer"):
        await room.gateway.person(role)


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_spec_kit_members_and_setup(
    room: Room, chromium: Browser, worker: Service, people: None, dark: bool, width: int
) -> None:
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await enter(page)
        await page.goto("/spec-kit")
        await expect(page.locator("tbody tr").filter(has_text="ops-control-room")).to_contain_text("tasks")
        await picture(page, "spec-kit", dark, width)
        await page.goto("/spec-kit/ops-control-room?file=plan.md")
        await expect(page.locator(".spec-prose")).to_contain_text(re.compile("plan", re.I))
        await picture(page, "spec-kit-bundle", dark, width)
        await page.goto("/members")
        await expect(page.get_by_label(f"Role of {LOCAL_EMAIL}")).to_be_visible()
        await picture(page, "members", dark, width)
        await page.goto("/setup")
        await expect(page.get_by_role("link", name="Go on")).to_be_visible()
        await picture(page, "setup", dark, width)
