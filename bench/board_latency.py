"""From a change committed in the database to the frame that shows it, with two tabs open on the real board.

No worker runs: the changes (create, claim, start, finish, in turn over the four lanes) are committed by direct
connections, about five a second. The clock starts before the call is sent, so that the call's own time counts; it stops
at the animation frame after the board's elements have changed, in the slower of the two tabs. The reference is the
same commit's NOTIFY, received by a bare LISTEN connection in this process.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, LiteralString

from playwright.async_api import Browser, Page, async_playwright

from bench.report import Row
from bench.room import Connection, Database, new_session, new_worker
from bench.stack import Stack, open_stack
from tests.support.chromium import open_chromium

CHANNEL = "bench_changes"
CHANGES_PER_SECOND = 5
LIMIT_MS = 300
WAIT_MS = 10_000

# For each "run state" that the board's elements carry: when the frame that first shows it begins, in ms since 1970.
OBSERVER = """
window.shown = {};
const marked = "[data-run][data-state]";
const look = (records) => {
  const fresh = new Set();
  const see = (element) => fresh.add(`${element.dataset.run} ${element.dataset.state}`);
  for (const record of records) {
    if (record.type === "attributes" && record.target.matches(marked)) see(record.target);
    for (const node of record.addedNodes) {
      if (node.nodeType !== Node.ELEMENT_NODE) continue;
      if (node.matches(marked)) see(node);
      node.querySelectorAll(marked).forEach(see);
    }
  }
  for (const key of fresh) if (key in window.shown) fresh.delete(key);
  if (fresh.size) requestAnimationFrame(() => {
    for (const key of fresh) window.shown[key] ??= performance.timeOrigin + performance.now();
  });
};
new MutationObserver(look).observe(document,
  { subtree: true, childList: true, attributes: true, attributeFilter: ["data-run", "data-state"] });
"""
# In the order of a run's life: a late board may go straight to a later one, and that shows the earlier one as well.
STATES = ("queued", "claimed", "running", "failed")
NOW = "() => performance.timeOrigin + performance.now()"


@dataclass
class Changes:
    """Makes the changes; remembers what the board must show for each and when its call was sent (ms since 1970)."""

    person: Connection
    worker: Connection
    worker_id: str
    sent: dict[str, float] = field(default_factory=dict[str, float])
    keys: dict[int, str] = field(default_factory=dict[int, str])

    async def make(self, count: int, session_id: str) -> None:
        held: dict[str, tuple[str, str]] = {}
        started = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0, started + number / CHANGES_PER_SECOND - time.monotonic()))
            lane = "ABCD"[number % 4]
            match number // 4 % 4:
                case 0:
                    run = await self._change(
                        self.person, "select public.create_run(%s, 'bench', '{}', %s)", session_id, lane
                    )
                    self._expect(run["id"], "queued")
                case 1:
                    # One run waits in each lane, the oldest first: the lanes' own order.
                    claims = await self._change(
                        self.worker, "select public.claim_runs(%s, 1, %s)", self.worker_id, uuid.uuid4()
                    )
                    held[lane] = (claims[0]["run_id"], claims[0]["claim_token"])
                    self._expect(held[lane][0], "claimed")
                case 2:
                    await self._change(self.worker, "select public.start_run(%s, %s)", *held[lane])
                    self._expect(held[lane][0], "running")
                case _:
                    await self._change(
                        self.worker, "select public.finish_run(%s, %s, 'failed', 'worker_error')", *held[lane]
                    )
                    self._expect(held[lane][0], "failed")

    async def _change(self, connection: Connection, statement: LiteralString, *args: object) -> Any:
        self._sent_at = time.time() * 1000
        row = await (
            await connection.execute(
                f"with done as materialized ({statement} as answer) "
                f"select answer, pg_notify('{CHANNEL}', %s) from done".encode(),
                (*args, str(len(self.keys))),
            )
        ).fetchone()
        assert row is not None
        return row[0]

    def last_of_each_run(self) -> list[str]:
        return list({key.split()[0]: key for key in self.sent}.values())

    def _expect(self, run_id: str, status: str) -> None:
        key = f"{run_id} {status}"
        self.keys[len(self.keys)] = key
        self.sent[key] = self._sent_at


def first_shown(seen: dict[str, float], key: str) -> float:
    """When the tab first showed that state of that run or a later one."""
    run_id, state = key.split()
    later = (f"{run_id} {each}" for each in STATES[STATES.index(state) :])
    return min(seen[each] for each in later if each in seen)


async def hear(listener: Connection, changes: Changes, heard: dict[int, float]) -> None:
    async for notify in listener.notifies():
        heard[int(notify.payload)] = time.time() * 1000


async def open_tab(browser: Browser, stack: Stack) -> Page:
    """A tab of its own browser profile, signed in, with the observer in it."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    await page.add_init_script(OBSERVER)
    await page.goto(f"{stack.ui_url}/sign-in")
    await page.get_by_role("button", name="Continue as local operator").click()
    await page.wait_for_url(lambda url: "sign-in" not in url)
    return page


async def clock_offset(page: Page) -> float:
    """Milliseconds by which the tab's clock is ahead of ours: of several readings the one with the shortest trip."""
    readings: list[tuple[float, float]] = []
    for _ in range(10):
        before = time.time() * 1000
        theirs = await page.evaluate(NOW)
        after = time.time() * 1000
        readings.append((after - before, theirs - (before + after) / 2))
    return min(readings)[1]


async def one_round(
    tabs: list[Page], stack: Stack, database: Database, changes: int
) -> tuple[list[float], list[float]]:
    """Milliseconds from each call to the slower tab's frame, and to the bare LISTEN connection."""
    person, worker, listener = (
        await database.connect("person"), await database.connect("worker"), await database.connect()
    )  # fmt: skip
    async with person, worker, listener:
        session_id = await new_session(person)
        for page in tabs:
            await page.goto(f"{stack.ui_url}/sessions/{session_id}")
            await page.locator("[data-lane=A]").wait_for()
            await page.locator("[data-feed=live]").wait_for()
        work = Changes(person, worker, await new_worker(worker))
        heard: dict[int, float] = {}
        await listener.execute(f"listen {CHANNEL}".encode())
        hearing = asyncio.create_task(hear(listener, work, heard))
        try:
            await work.make(changes, session_id)
            offsets = [await clock_offset(page) for page in tabs]
            for page in tabs:
                await page.wait_for_function(
                    "keys => keys.every((key) => key in window.shown)", arg=work.last_of_each_run(), timeout=WAIT_MS
                )
            shown: list[dict[str, float]] = [await page.evaluate("() => window.shown") for page in tabs]
        finally:
            hearing.cancel()
    latencies = [
        max(first_shown(seen, key) - offset for seen, offset in zip(shown, offsets, strict=True)) - at
        for key, at in work.sent.items()
    ]
    return latencies, [heard[number] - work.sent[key] for number, key in work.keys.items()]


async def measure(stack: Stack, rounds: int, changes: int) -> list[Row]:
    database = stack.database
    async with async_playwright() as playwright:
        browser = await open_chromium(playwright)
        tabs = [await open_tab(browser, stack) for _ in range(2)]
        measured: list[list[float]] = []
        compared: list[list[float]] = []
        for number in range(rounds + 1):
            latencies, bare = await one_round(tabs, stack, database, changes if number else 16)
            if number:  # the first round warms caches, plans and the browser
                measured.append(latencies)
                compared.append(bare)
        await browser.close()
    return [Row("on screen in both tabs", measured, "NOTIFY at a bare LISTEN", compared, LIMIT_MS)]


async def run(*, quick: bool) -> list[Row]:
    async with open_stack() as stack:
        return await measure(stack, rounds=3, changes=32 if quick else 160)
