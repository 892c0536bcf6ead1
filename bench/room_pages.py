"""Opening pages: the first load of the board, what it costs the server, and the log of 10,000 lines.

References are the same bytes without the room around them: a plain GET of the page's document, and reading the events
from the database.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path

import httpx
from playwright.async_api import Browser, Response, async_playwright

from bench.board_latency import clock_offset, open_tab
from bench.report import Row
from bench.room import Connection, Database, new_worker, value
from bench.room_load import fill
from bench.stack import Stack, open_stack
from bench.tabs import open_tabs, record
from tests.support.chromium import open_chromium

LINES, FOLLOWED, PER_SECOND = 10_000, 200, 50
LINE_SEEN = """
window.lines = {};
new MutationObserver(() => {
  for (const element of document.querySelectorAll(".log-line")) {
    const said = element.textContent.match(/followed (\\d+)/);
    if (said && !(said[1] in window.lines)) {
      window.lines[said[1]] = 0;
      requestAnimationFrame(() => { window.lines[said[1]] = performance.timeOrigin + performance.now(); });
    }
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


async def first_load(browser: Browser, stack: Stack, session: str) -> tuple[float, float, float]:
    """Milliseconds from the address to a live board in a browser with nothing cached; of the document alone; and the
    script it loads, in kB gz.
    """
    page = await open_tab(browser, stack)
    cookies = await page.context.storage_state()
    await page.context.close()
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, storage_state=cookies)
    page = await context.new_page()
    scripts: list[Response] = []
    page.on("response", lambda answer: scripts.append(answer) if answer.request.resource_type == "script" else None)
    began = time.perf_counter()
    await page.goto(f"{stack.ui_url}/sessions/{session}", wait_until="commit")
    await page.locator("[data-run]").first.wait_for()
    took = (time.perf_counter() - began) * 1000
    size = sum([len(gzip.compress(await answer.body(), 6)) for answer in scripts]) / 1000
    await context.close()
    async with httpx.AsyncClient() as http:
        began = time.perf_counter()
        await http.get(f"{stack.ui_url}/sign-in")
        return took, (time.perf_counter() - began) * 1000, size


def server_memory(url: str) -> float:
    """MB of the process that listens at the UI's port, and of its children."""
    port = int(url.rsplit(":", 1)[1])
    inodes = {
        fields[9]
        for fields in (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port
    }
    total = 0.0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _holds(entry, inodes):
            status = (entry / "status").read_text()
            total += int(status.split("VmRSS:")[1].split()[0]) / 1000
    return total


def _holds(process: Path, inodes: set[str]) -> bool:
    try:
        return any(
            os.readlink(link) in {f"socket:[{inode}]" for inode in inodes} for link in (process / "fd").iterdir()
        )
    except OSError:
        return False


async def memory_per_tab(browser: Browser, stack: Stack, session: str, count: int) -> float:
    """MB that each further tab costs the server."""
    page = await open_tab(browser, stack)
    async with open_tabs(await record(page, f"{stack.ui_url}/sessions/{session}")) as tabs:
        await tabs.open(5)
        before = server_memory(stack.ui_url)
        await tabs.open(count)
        after = server_memory(stack.ui_url)
    await page.context.close()
    return (after - before) / count


async def logged_run(database: Database, person: Connection, session: str) -> tuple[Connection, dict[str, str]]:
    """A running run whose log has 10,000 lines; the connection that may write more, and its claim."""
    await person.execute("select public.create_run(%s, 'load', '{}', 'D', 100)", (session,))
    await person.execute("select public.set_lane(%s, 'D', 100)", (session,))
    worker = await database.connect("worker")
    worker_id = await new_worker(worker)
    claims = await value(worker, "select public.claim_runs(%s, 1, gen_random_uuid())", worker_id)
    claim = {"run_id": claims[0]["run_id"], "claim_token": claims[0]["claim_token"]}
    await worker.execute("select public.start_runs(%s)", (json.dumps([claim]),))
    for batch in range(1, 11):
        events = [output(f"line {batch * 1000 + n}") for n in range(LINES // 10)]
        await append(worker, claim, batch, events)
    return worker, claim


def output(text: str) -> dict[str, object]:
    return {"type": "output", "step": "wait", "message": text, "data": {"stream": "stdout"}}


async def append(worker: Connection, claim: dict[str, str], batch: int, events: list[dict[str, object]]) -> None:
    args = (claim["run_id"], claim["claim_token"], batch, json.dumps(events))
    await worker.execute("select public.append_events(%s, %s, %s, %s)", args)


async def measure(stack: Stack, rounds: int) -> list[Row]:
    person = await stack.database.connect("person")
    async with person, async_playwright() as playwright:
        session = await fill(stack.database, person)
        browser = await open_chromium(playwright)
        loads = [await first_load(browser, stack, session) for _ in range(rounds + 1)][1:]
        memory = await memory_per_tab(browser, stack, session, 40)
        opened, read, followed, appended = [], [], [], []
        worker, claim = await logged_run(stack.database, person, session)
        page = await open_tab(browser, stack)
        await page.add_init_script(LINE_SEEN)
        for _ in range(rounds):
            began = time.perf_counter()
            await value(person, "select public.read_events(%s, 0, 5000)", claim["run_id"])
            read.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            await page.goto(f"{stack.ui_url}/runs/{claim['run_id']}", wait_until="commit")
            await page.wait_for_function(
                f"() => +(document.querySelector('[data-lines]')?.dataset.lines ?? 0) >= {LINES}"
            )
            await page.locator(".log-line").first.wait_for()
            opened.append((time.perf_counter() - began) * 1000)
        sent: dict[int, float] = {}
        for number in range(FOLLOWED):
            due = time.perf_counter() + 1 / PER_SECOND
            sent[number] = time.time() * 1000
            await append(worker, claim, 11 + number, [output(f"followed {number}")])
            appended.append(time.time() * 1000 - sent[number])
            while time.perf_counter() < due:
                await page.wait_for_timeout(1)
        await page.wait_for_function(f"() => window.lines[{FOLLOWED - 1}] > 0")
        seen, offset = await page.evaluate("() => window.lines"), await clock_offset(page)
        followed = [seen[str(n)] - offset - at for n, at in sent.items() if seen.get(str(n))]
        assert len(followed) >= FOLLOWED * 0.9, f"only {len(followed)} of {FOLLOWED} lines were seen as they came"
        await worker.close()
        await browser.close()
    took, bare, sizes = ([load[n] for load in loads] for n in range(3))
    return [
        Row("first load of the board, nothing cached", [took], "GET of its document", [bare], limit_ms=1500),
        Row("script of the first load, kB gz", [sizes], "(the same)", [sizes], limit_ms=300),
        Row("server's memory for a tab, MB", [[memory]], "(the same)", [[memory]], limit_ms=1),
        Row(f"log of {LINES:,} lines opened", [opened], "reading half of its events", [read], limit_ms=1000),
        Row(f"a line on screen, {PER_SECOND} a second followed", [followed], "its commit", [appended], limit_ms=150),
    ]


async def run(*, quick: bool) -> list[Row]:
    async with open_stack() as stack:
        return await measure(stack, rounds=2 if quick else 7)
