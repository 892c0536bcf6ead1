"""Plain words become a proposal; a person launches it, and nothing else does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opsroom.control_plane.search import RunFilter
from tests.support.room import Room
from tests.ui.conftest import operator_room
from tests.ui.test_board import create_session


async def runs_of(room: Room, session: str) -> list[tuple[str, str, dict[str, Any]]]:
    async with operator_room(room) as control_plane:
        runs = await control_plane.runs(RunFilter(session_id=session))
        return sorted((run.template_slug, run.lane, dict(run.params)) for run in runs)


async def open_command(page: Page, title: str) -> str:
    session = await create_session(page, title)
    await page.goto("/command")
    await expect(page.get_by_label("Command in plain words")).to_be_focused()
    await expect(page.get_by_label("Session")).to_have_value(session)
    return session


async def test_a_line_is_shown_as_runs_and_launched_by_a_yes(page: Page, room: Room, upgrade: str) -> None:
    session = await open_command(page, "In words")
    await page.keyboard.type("snapshot odoo_prod then upgrade module sale quickly with 7")
    cards = page.get_by_role("list", name="Proposed runs").get_by_role("listitem")
    await expect(cards).to_have_count(2)
    await expect(cards.nth(0)).to_contain_text('connection = "ODOO_PROD"')
    await expect(cards.nth(1)).to_contain_text("After the run before it")
    await expect(cards.nth(1)).to_contain_text("seconds = 7")
    await expect(page.get_by_role("status").filter(has_text="Not understood")).to_contain_text("quickly")
    await page.keyboard.press("Enter")
    launch = page.get_by_role("button", name="Launch these 2 runs")
    await expect(launch).to_be_focused()
    assert await runs_of(room, session) == []
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/sessions/{session}")
    assert await runs_of(room, session) == [
        ("module-upgrade", "A", {"seconds": 7, "module": "sale", "mode": "update", "exit": 0}),
        ("postgres-snapshot", "A", {"connection": "ODOO_PROD"}),
    ]


async def test_what_is_wrong_is_said_and_cannot_be_launched(page: Page, room: Room, upgrade: str) -> None:
    session = await open_command(page, "Wrong words")
    line = page.get_by_label("Command in plain words")
    await line.fill("make me a sandwich")
    await expect(page.get_by_role("heading", name="No template is named in this")).to_be_visible()
    await line.fill("upgrade seconds=9999")
    await expect(page.get_by_text("seconds must be at most 600")).to_be_visible()
    await expect(page.get_by_role("button", name="Launch this run")).to_be_disabled()
    await page.get_by_role("link", name="Edit in the form").click()
    await page.wait_for_url(f"**/sessions/{session}/launch?template={upgrade}**")
    await expect(page.get_by_label("Data files")).to_have_value("9999")
    await page.goto("/command?q=upgrade%20seconds%205")
    await expect(page.get_by_label("Command in plain words")).to_have_value("upgrade seconds 5")
    await expect(page.get_by_text("seconds = 5")).to_be_visible()
    assert await runs_of(room, session) == []


@asynccontextmanager
async def stand_in(room: Room, answer: object, asked: list[dict[str, Any]]) -> AsyncIterator[None]:
    """An endpoint that speaks as much of OpenAI's chat completions as is used, and always answers the same."""

    async def complete(request: Request) -> Response:
        if request.headers["authorization"] != "Bearer key-of-the-stand-in":
            return Response(status_code=401)
        asked.append(await request.json())
        return JSONResponse({"choices": [{"message": {"role": "assistant", "content": json.dumps(answer)}}]})

    app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=room.model_port, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        await serving


async def test_a_language_model_is_asked_on_a_click_and_only_proposes(page: Page, room: Room, upgrade: str) -> None:
    session = await open_command(page, "With a model")
    line = page.get_by_label("Command in plain words")
    ask = page.get_by_role("button", name="Let stand-in read it")
    await line.fill("bring the sales app up to date, twice as careful")
    await ask.click()
    await expect(page.get_by_role("alert")).to_contain_text("The language model did not answer")

    asked: list[dict[str, Any]] = []
    wish = {"template": upgrade, "params": {"module": "sale", "seconds": 3}, "lane": "B"}
    answer = {"runs": [wish, {"template": "made-up", "params": {}}], "unmatched": ["careful"]}
    async with stand_in(room, answer, asked):
        await ask.click()
        card = page.get_by_role("list", name="Proposed runs").get_by_role("listitem")
        await expect(card).to_have_count(1)
        await expect(card).to_contain_text('module = "sale"')
        await expect(page.get_by_role("status").filter(has_text="Not understood")).to_contain_text("careful")
    assert len(asked) == 1
    assert asked[0]["model"] == "stand-in"
    assert "With a model" not in json.dumps(asked[0])  # nothing of the room but the templates
    assert await runs_of(room, session) == []
    await page.get_by_role("button", name="Launch this run").click()
    await page.wait_for_url(f"**/sessions/{session}")
    assert await runs_of(room, session) == [
        (upgrade, "B", {"module": "sale", "seconds": 3, "mode": "update", "exit": 0})
    ]
