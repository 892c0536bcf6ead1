"""What the board does while something is gone, and that all is right again when it is back, without a reload."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from playwright.async_api import Page, expect

from opsroom.local.environment import LOCAL_EMAIL
from tests.support.room import Room
from tests.ui.conftest import operator_room
from tests.ui.test_board import create_session

BACK_MS = 3_000
"""Within this time after the return of what was gone, everything is right again."""


async def marked(page: Page) -> str:
    """Put a mark on the page that a reload would wipe."""
    mark = uuid.uuid4().hex
    await page.evaluate("mark => { window.mark = mark }", mark)
    return mark


def outages() -> Iterator[Any]:
    """Each outage short, and as long as issue 4 says; after the long ones nothing is forgiven for a busy machine."""
    for what in ("realtime", "gateway", "backend"):
        yield pytest.param(what, 2, 2 * BACK_MS, id=f"{what}-2s")
        yield pytest.param(what, 30, BACK_MS, id=f"{what}-30s", marks=pytest.mark.soak)


@pytest.mark.parametrize(("what", "seconds", "patience"), outages())
async def test_after_an_outage_all_is_right_without_a_reload(
    page: Page, room: Room, what: str, seconds: float, patience: float
) -> None:
    session = await create_session(page, f"{what} gone")
    mark = await marked(page)
    async with as_operator(room) as person:
        before = [await queue(person, session, f"Before {n}") for n in range(3)]
        await expect(page.locator(".queue-row")).to_have_count(3)
        await expect(page.locator("[data-feed=live]")).to_be_visible()

        await take_away(room, what)
        sign = "polling" if what == "realtime" else "stale"
        await expect(page.locator(f"[data-feed={sign}]")).to_be_visible(timeout=20_000)
        missed = [await queue(person, session, f"Missed {n}") for n in range(3)]
        await person.execute("select public.cancel_run(%s)", (before[1],))
        await person.execute("select public.place_run(%s, 'A', %s)", (missed[2], before[0]))
        await asyncio.sleep(seconds)  # the outage itself is what is tested
        await give_back(room, what)

        back = time.monotonic()
        right = [missed[2], before[0], before[2], missed[0], missed[1]]
        titles = page.locator(".queue-row .run-row-title")
        await expect(titles).to_have_text(
            ["Missed 2", "Before 0", "Before 2", "Missed 0", "Missed 1"], timeout=_left(back, patience)
        )
        await expect(page.locator("[data-feed=live]")).to_be_visible(timeout=_left(back, patience))
        shown = await page.locator("[data-run]").evaluate_all("rows => rows.map(row => row.dataset.run)")
        assert shown == [*right, before[1]], "a run is lost, or there twice"
        later = await queue(person, session, "Later")
        await expect(page.locator(f"[data-run='{later}']")).to_be_visible()
    assert await page.evaluate("window.mark") == mark


def _left(since: float, patience: float) -> float:
    return max(1.0, patience - (time.monotonic() - since) * 1000)


async def take_away(room: Room, what: str) -> None:
    match what:
        case "realtime":
            room.door.shut_realtime()
        case "gateway":
            await room.gateway.stop()
        case _:
            await room.stop()


async def give_back(room: Room, what: str) -> None:
    match what:
        case "realtime":
            room.door.open_realtime()
        case "gateway":
            await room.gateway.start()
        case _:
            await room.start()


@asynccontextmanager
async def as_operator(room: Room) -> AsyncGenerator[psycopg.AsyncConnection]:
    """The local operator, straight at the database: what goes on while the room cannot be reached."""
    stack = room.gateway.stack
    async with await psycopg.AsyncConnection.connect(stack.database_url("postgres"), autocommit=True) as owner:
        row = await (
            await owner.execute("select user_id from public.members where email = %s", (LOCAL_EMAIL,))
        ).fetchone()
    assert row is not None
    claims = json.dumps({"sub": str(row[0]), "role": "authenticated"})
    async with await psycopg.AsyncConnection.connect(stack.database_url("authenticator"), autocommit=True) as person:
        await person.execute("set role authenticated")
        await person.execute("select set_config('request.jwt.claims', %s, false)", (claims,))
        yield person


async def queue(person: psycopg.AsyncConnection, session: str, title: str) -> str:
    """A run that does not start: its time has not come."""
    call = "select public.create_run(%s, 'spec-kit-validate', p_title => %s, p_not_before => now() + interval '1 day')"
    row = await (await person.execute(call, (session, title))).fetchone()
    assert row is not None
    return str(row[0]["id"])


async def test_a_board_never_seen_before_appears_when_the_gateway_is_back(page: Page, room: Room) -> None:
    async with operator_room(room) as control_plane:
        session = await control_plane.create_session("Opened too early")
    await room.gateway.stop()
    try:
        await page.goto(f"/sessions/{session.id}")
        await expect(page.get_by_role("alert")).to_contain_text("The control plane")
        await expect(page.get_by_role("button", name="Try again")).to_be_visible()
    finally:
        await room.gateway.start()
    await expect(page.get_by_role("heading", level=1, name="Opened too early")).to_be_visible(timeout=2 * BACK_MS)


async def test_a_sign_in_survives_a_restart_of_the_backend(page: Page, room: Room) -> None:
    await room.stop()
    await room.start()
    await page.goto("/")
    await expect(page.locator(".topbar")).to_be_visible()
    assert "/sign-in" not in page.url
