"""The board under load: many tabs, many changes a second, 400 cards on it.

Changes are runs that are queued and cancelled, in turn over four lanes that hold 50 live runs each besides. The clock
starts when the change's commit is acknowledged and stops at the animation frame that shows it, in each of two tabs of a
real browser: a sample is one change in one tab. The other tabs are connections (`bench.tabs`): they cost the server
what a tab costs it, and draw nothing. The reference is the call that made the change.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field

from playwright.async_api import Browser, Page, async_playwright

from bench.board_latency import OBSERVER, WAIT_MS, clock_offset, open_tab
from bench.report import Row
from bench.room import Connection, Database, new_session, new_worker, value
from bench.stack import Stack, open_stack
from bench.tabs import open_tabs, record
from tests.support.chromium import open_chromium

LANES = "ABCD"
LIVE, QUEUED = 50, 25
LOADS = ((10, 10, 100), (50, 100, 250))
"""Tabs, changes a second, and the limit in milliseconds of the p95."""
SCRIPT = {"slug": "load", "title": "Load", "steps": [{"id": "wait", "title": "Wait", "kind": "noop"}]}


@dataclass
class Changes:
    """What was changed: when its commit was acknowledged, in ms since 1970, and how long the call took, in ms."""

    committed: dict[str, float] = field(default_factory=dict[str, float])
    took: list[float] = field(default_factory=list[float])


async def fill(database: Database, person: Connection) -> str:
    """A session with 400 cards: in each lane 50 runs at work, 25 that wait, 25 that are over."""
    session = await new_session(person)
    await person.execute("select public.save_template(%s)", (json.dumps(SCRIPT),))
    worker = await database.connect("worker")
    async with worker:
        worker_id = await new_worker(worker)
        for lane in LANES:
            await person.execute("select public.set_lane(%s, %s, %s)", (session, lane, LIVE))
            for _ in range(25):
                run = await value(person, "select public.create_run(%s, 'load', '{}', %s)", session, lane)
                await person.execute("select public.cancel_run(%s)", (run["id"],))
            for _ in range(LIVE):
                await person.execute("select public.create_run(%s, 'load', '{}', %s)", (session, lane))
        claims = await value(worker, "select public.claim_runs(%s, 1000, %s)", worker_id, uuid.uuid4())
        assert len(claims) == LIVE * len(LANES), len(claims)
        held = [{"run_id": claim["run_id"], "claim_token": claim["claim_token"]} for claim in claims]
        await worker.execute("select public.start_runs(%s)", (json.dumps(held),))
    for lane in LANES:
        # In front of what is queued and cancelled later, so that those show as well.
        for _ in range(QUEUED - 1):
            await person.execute("select public.create_run(%s, 'load', '{}', %s, -1)", (session, lane))
    return session


async def change(database: Database, session: str, lane: str, count: int, pause: float, changes: Changes) -> None:
    """Queue and cancel runs in one lane, a change every `pause` seconds."""
    person = await database.connect("person")
    async with person:
        began, run_id = time.monotonic(), ""
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number * pause - time.monotonic()))
            if number % 2 == 0:
                call = "select public.create_run(%s, 'load', '{}', %s, 1)"
                state, args = "queued", (session, lane)
            else:
                call, state, args = "select public.cancel_run(%s)", "cancelled", (run_id,)
            sent = time.time() * 1000
            run_id = (await value(person, call, *args))["id"]
            at = changes.committed[f"{run_id} {state}"] = time.time() * 1000
            changes.took.append(at - sent)


async def one_round(
    tabs: list[Page], database: Database, session: str, rate: int, seconds: float
) -> tuple[list[float], list[float]]:
    """Milliseconds from each commit to the frame of each tab, and of the calls that made the changes."""
    changes = Changes()
    count, pause = int(rate * seconds / len(LANES)) // 2 * 2, len(LANES) / rate
    await asyncio.gather(*(change(database, session, lane, count, pause, changes) for lane in LANES))
    ends = [key for key in changes.committed if key.endswith("cancelled")]
    for page in tabs:
        await page.wait_for_function("keys => keys.every(key => key in window.shown)", arg=ends[-8:], timeout=WAIT_MS)
    latencies: list[float] = []
    for page in tabs:
        offset = await clock_offset(page)
        shown: dict[str, float] = await page.evaluate("() => window.shown")
        for key, at in changes.committed.items():
            # A late board may go straight to the later state: that shows the earlier one as well.
            later = [key, key.replace("queued", "cancelled")]
            seen = [shown[each] for each in later if each in shown]
            latencies.append((min(seen) if seen else float("inf")) - offset - at)
    missed = sum(latency == float("inf") for latency in latencies)
    assert missed * 1000 <= len(latencies), f"{missed} of {len(latencies)} changes were never seen"
    return [x for x in latencies if x != float("inf")], changes.took


async def measure(stack: Stack, *, rounds: int, seconds: float) -> list[Row]:
    rows: list[Row] = []
    person = await stack.database.connect("person")
    async with person, async_playwright() as playwright:
        session = await fill(stack.database, person)
        browser = await open_chromium(playwright)
        address = f"{stack.ui_url}/sessions/{session}"
        first = await open_tab(browser, stack)
        recording = await record(first, address)
        drawn = [first, await another_window(browser, first)]
        await drawn[1].goto(address)
        await drawn[1].locator("[data-feed=live]").wait_for()
        async with open_tabs(recording) as others:
            for count, rate, limit in LOADS:
                await others.open(count - len(drawn) - len(others.tasks))
                await one_round(drawn, stack.database, session, rate, 2)  # warms plans and the browser
                measured, compared = zip(
                    *[await one_round(drawn, stack.database, session, rate, seconds) for _ in range(rounds)],
                    strict=True,
                )
                what = f"400 cards, {count} tabs, {rate} changes a second"
                rows.append(Row(what, measured, "the call that makes the change", compared, limit))
        await browser.close()
    return rows


async def another_window(browser: Browser, first: Page) -> Page:
    """One more tab of the same sign-in, in a window of its own: a browser draws tabs behind others once a second."""
    cookies = await first.context.storage_state()
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, storage_state=cookies)
    page = await context.new_page()
    await page.add_init_script(OBSERVER)
    return page


async def run(*, quick: bool) -> list[Row]:
    async with open_stack() as stack:
        return await measure(stack, rounds=1 if quick else 3, seconds=4 if quick else 15)
