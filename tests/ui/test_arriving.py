"""While a page arrives: what a person does then is not undone, and nobody is offered what belongs to another page."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from opsroom.control_plane.client import ControlPlane
from opsroom.local.services import Service
from tests.support.room import PATIENCE_MS, Room
from tests.ui.conftest import finished, operator_room


@pytest.fixture
async def plane(room: Room) -> AsyncIterator[ControlPlane]:
    async with operator_room(room) as control_plane:
        yield control_plane


@dataclass
class Line:
    """The line between the tab and the server, which can be slow where a test wants it to be."""

    mute: bool = False
    """Keep what the tab says until `open`."""
    last: str = ""
    """Keep what the server says until `open`, from the first message with this in it on, which still comes through."""
    _kept: list[tuple[WebSocketRoute, str | bytes]] = field(default_factory=list[tuple[WebSocketRoute, str | bytes]])

    @classmethod
    async def of(cls, page: Page) -> "Line":
        """The line of the pages that the tab opens from now on."""
        line = cls()
        await page.route_web_socket(re.compile("/_event"), line._connect)
        return line

    def _connect(self, tab: WebSocketRoute) -> None:
        server = tab.connect_to_server()
        passed = False

        def said(message: str | bytes) -> None:
            self._send(server, message, keep=self.mute)

        def answered(message: str | bytes) -> None:
            nonlocal passed
            self._send(tab, message, keep=passed and bool(self.last))
            passed = passed or bool(self.last and self.last in str(message))

        tab.on_message(said)
        server.on_message(answered)

    def _send(self, to: WebSocketRoute, message: str | bytes, *, keep: bool) -> None:
        if keep:
            self._kept.append((to, message))
        else:
            to.send(message)

    async def until_kept(self, text: str) -> None:
        """Until the last that is kept has this in it."""
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while not self._kept or text not in str(self._kept[-1][1]):
                await asyncio.sleep(0.01)

    def open(self, *, last_first: bool = False) -> None:
        """Let all through, and with `last_first` the last one before the one before it."""
        self.mute, self.last = False, ""
        if last_first:
            self._kept[-2:] = reversed(self._kept[-2:])
        for to, message in self._kept:
            to.send(message)
        self._kept.clear()


@pytest.fixture
async def line(page: Page) -> Line:
    return await Line.of(page)


async def leave_board(page: Page) -> None:
    """Go to another page, from which `go_back` leads to the board again."""
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Runs").click()
    await expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()


async def server_has_answered(page: Page) -> None:
    """All that was asked of the server for this tab before has been done: it does one thing at a time."""
    await page.get_by_label("Search sessions").fill("no such thing")
    await expect(page.get_by_role("navigation", name="Sessions")).to_contain_text("No session matches.")


@pytest.mark.parametrize("first", ["load", "click"])
async def test_a_run_that_is_opened_while_the_board_loads_stays_open(
    page: Page, plane: ControlPlane, line: Line, worker: Service, first: str
) -> None:
    """The server may come to the click before it comes to the load that the browser asked for earlier."""
    session = (await plane.create_session("Come back to")).id
    run = await plane.create_run(session, "spec-kit-validate", {}, lane="A", title="Over by now")
    await finished(plane, run.id)
    await page.goto(f"/sessions/{session}")
    card = page.locator(".lanes").get_by_role("link", name=re.compile("^Over by now"))
    await expect(card).to_be_visible()
    await leave_board(page)
    line.mute = True
    await page.go_back()
    await card.click()
    await line.until_kept("peek_state.open")
    line.open(last_first=first == "click")
    panel = page.get_by_role("complementary", name="Run", exact=True)
    await expect(panel.get_by_role("heading", name="Over by now")).to_be_visible()
    await server_has_answered(page)
    await expect(panel.get_by_role("heading", name="Over by now")).to_be_visible()
    assert f"run={run.id}" in page.url


async def test_a_board_that_is_come_back_to_is_not_called_live_before_it_is(
    page: Page, plane: ControlPlane, line: Line
) -> None:
    session = (await plane.create_session("Seen before")).id
    await page.goto(f"/sessions/{session}")
    await expect(page.locator("[data-feed=live]")).to_be_visible()
    await leave_board(page)
    line.last = "board_state"
    await page.go_back()
    await expect(page.get_by_role("heading", level=1, name="Seen before")).to_be_visible()
    await expect(page.locator("[data-feed=catching_up]")).to_be_visible()
    line.open()
    await expect(page.locator("[data-feed=live]")).to_be_visible()


async def test_a_board_is_not_shown_at_the_address_of_another(page: Page, plane: ControlPlane, line: Line) -> None:
    first, second = [(await plane.create_session(title)).id for title in ("The one before", "The one asked for")]
    await page.goto(f"/sessions/{first}")
    await expect(page.get_by_role("heading", level=1, name="The one before")).to_be_visible()
    line.last = "is_hydrated"  # what the server keeps of the tab: its pages as they were
    await page.goto(f"/sessions/{second}")
    await expect(page.locator(".avatar")).to_have_text(re.compile(r"\w"))
    await expect(page.get_by_role("button", name=re.compile("^Settings of lane"))).to_have_count(0)
    await expect(page.get_by_text("Loading the board")).to_have_count(1)
    line.open()
    await expect(page.get_by_role("heading", level=1, name="The one asked for")).to_be_visible()
    await page.get_by_role("button", name="Settings of lane B").click()
    await page.get_by_role("menuitem", name="Pause lane B").click()
    await expect(page.get_by_role("region", name="Lane B", exact=True)).to_contain_text("Paused")
    assert (await plane.read_board(first)).lane("B").paused_at is None


async def test_a_run_is_not_shown_at_the_address_of_another(page: Page, plane: ControlPlane, line: Line) -> None:
    session = (await plane.create_session("Two of them")).id
    first, second = [
        (await plane.create_run(session, "spec-kit-validate", {}, lane="A", title=title)).id
        for title in ("The run before", "The run asked for")
    ]
    await page.goto(f"/runs/{first}")
    await expect(page.get_by_role("heading", level=1, name="The run before")).to_be_visible()
    line.last = "is_hydrated"  # what the server keeps of the tab: its pages as they were
    await page.goto(f"/runs/{second}")
    await expect(page.locator(".avatar")).to_have_text(re.compile(r"\w"))
    await expect(page.get_by_text("The run before")).to_have_count(0)
    line.open()
    await expect(page.get_by_role("heading", level=1, name="The run asked for")).to_be_visible()


async def test_who_leaves_the_board_finds_it_again_with_nothing_beside_it(page: Page, plane: ControlPlane) -> None:
    session = (await plane.create_session("Left and found")).id
    run = await plane.create_run(session, "spec-kit-validate", {}, lane="A", title="Looked into")
    await page.goto(f"/sessions/{session}?run={run.id}")
    panel = page.get_by_role("complementary", name="Run", exact=True)
    await expect(panel.get_by_role("heading", name="Looked into")).to_be_visible()
    await leave_board(page)
    link = page.get_by_role("navigation", name="Pages").get_by_role("link", name="Board")
    await link.click()
    await expect(page.locator("[data-feed=live]")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_be_visible()  # of the session that needs people most
    await server_has_answered(page)
    await expect(panel).to_have_count(0)
    assert "run=" not in page.url
    await page.goto(f"/sessions/{session}?run={run.id}")
    await expect(panel.get_by_role("heading", name="Looked into")).to_be_visible()
    await page.goto(f"/sessions/{session}")
    await expect(page.get_by_role("heading", level=1, name="Left and found")).to_be_visible()
    await server_has_answered(page)
    await expect(panel).to_have_count(0)


@pytest.mark.parametrize("page_of", ["sessions", "runs"])
async def test_an_address_that_ends_in_a_slash_is_the_same_page(page: Page, plane: ControlPlane, page_of: str) -> None:
    session = (await plane.create_session("With a slash")).id
    run = await plane.create_run(session, "spec-kit-validate", {}, lane="A", title="With a slash")
    await page.goto(f"/{page_of}/{session if page_of == 'sessions' else run.id}/?x=%20#y")
    await expect(page.get_by_role("heading", level=1, name="With a slash")).to_be_visible()
