"""The run page: states, steps, the log as it is written, the story of a run, and what can be done about it."""

import hashlib
import json
import re
import time
import uuid
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

from opsroom.control_plane.models import Run
from opsroom.domain.evidence.verify import verify
from opsroom.local.services import Service
from tests.support.room import Room, visitor
from tests.ui.conftest import finished, operator_room
from tests.ui.gallery import FAN_OUT

CHECKED = "checked-and-short"
CHECKED_SPEC: dict[str, Any] = {
    "slug": CHECKED,
    "title": "Write a short report",
    "retry": {"attempts": 2, "on": ["failed"], "backoff_seconds": 0},
    "steps": [
        {
            "id": "write",
            "title": "Write the report",
            "kind": "shell",
            "with": {"script": "echo short > report.txt"},
            "verifiers": [
                {"name": "answers", "kind": "shell", "with": {"argv": ["true"]}},
                {"name": "is long enough", "kind": "file", "with": {"path": "report.txt", "min_bytes": 500}},
            ],
        }
    ],
}


async def launch(room: Room, template: str, **params: int | str) -> Run:
    """A run in a session of its own."""
    async with operator_room(room) as control_plane:
        for spec in (FAN_OUT, CHECKED_SPEC):
            if template == spec["slug"]:
                await control_plane.save_template(spec)
        session = await control_plane.create_session(f"Run page {uuid.uuid4().hex[:6]}")
        return await control_plane.create_run(session.id, template, params, title="A run to look at")


async def over(room: Room, template: str, **params: int | str) -> Run:
    """A run that has ended."""
    run = await launch(room, template, **params)
    async with operator_room(room) as control_plane:
        return (await finished(control_plane, run.id)).run


async def test_the_log_is_followed_live_to_its_end(page: Page, room: Room, worker: Service, upgrade: str) -> None:
    run = await launch(room, upgrade, seconds=4)
    await page.goto(f"/runs/{run.id}")
    log = page.get_by_role("log")
    await expect(log.get_by_text("loading", exact=True)).to_be_visible()
    await expect(log.locator("[data-kind=stderr]")).to_contain_text("a deprecated field")
    for second in (1, 2, 3, 4):
        await expect(log.get_by_text(f"file {second} loaded", exact=True)).to_be_visible()
    await expect(page.locator(".run-head")).to_contain_text("Succeeded")
    await expect(page.get_by_role("region", name="Log")).to_contain_text("Complete")
    numbers = await log.locator(".log-number").all_inner_texts()
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    await expect(page.locator("[data-step=upgrade]")).to_have_attribute("data-state", "succeeded")
    states = await page.get_by_role("list", name="States").inner_text()
    assert re.search(r"Queued.*Starting.*Running.*Succeeded", states, re.S)


async def test_steps_are_bars_on_their_time_and_a_graph(page: Page, room: Room, worker: Service) -> None:
    run = await over(room, "fan-out")
    await page.goto(f"/runs/{run.id}")
    steps = page.get_by_role("region", name="Steps", exact=True)
    await expect(steps).to_contain_text("4 of 4 succeeded")
    places = {}
    for step in ("check", "snapshot", "assets", "upgrade"):
        bar = steps.locator(f"[data-step={step}] .gantt-bar")
        places[step] = (await bar.bounding_box()) or {}
    assert places["check"]["x"] <= places["snapshot"]["x"] <= places["upgrade"]["x"]
    assert places["assets"]["width"] > places["snapshot"]["width"] > places["upgrade"]["width"]
    assert places["upgrade"]["x"] + 6 >= places["assets"]["x"] + places["assets"]["width"]
    await page.get_by_role("button", name="Graph").click()
    await expect(steps.locator(".graph-edges path")).to_have_count(4)
    await steps.locator(".graph-node[data-step=assets]").click()
    await page.wait_for_url("**?step=assets")
    log = page.get_by_role("log")
    await expect(log.get_by_text("needle in the middle")).to_be_visible()
    await expect(log.get_by_text("a needle at the end")).to_have_count(0)
    await page.reload()
    await expect(steps.locator("[data-step=assets]")).to_have_attribute("aria-pressed", "true")
    await expect(log.get_by_text("a needle at the end")).to_have_count(0)
    await page.get_by_role("button", name="Timeline").click()


async def test_the_page_goes_by_keys(page: Page, room: Room, worker: Service) -> None:
    run = await over(room, "fan-out")
    await page.goto(f"/runs/{run.id}")
    log = page.get_by_role("region", name="Log")
    await expect(log.get_by_text("a needle at the end")).to_be_visible()
    for key, step in (("j", "check"), ("j", "snapshot"), ("k", "check"), ("k", "check")):
        await page.keyboard.press(key)
        await expect(page.locator(f"[data-step={step}][aria-pressed=true]")).to_be_visible()
    await expect(log.locator(".log-line").first).to_contain_text("Check the ground")
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-step][aria-pressed=true]")).to_have_count(0)
    await page.keyboard.press("w")
    await expect(log).to_have_attribute("data-wrap", "false")
    await page.keyboard.press("/")
    await page.keyboard.type("needle")
    await expect(log.get_by_role("status", name="2 lines match")).to_have_text("1 / 2")
    await page.keyboard.press("Enter")
    await expect(log.locator("[data-hit]")).to_contain_text("at the end")
    await log.get_by_role("button", name="Copy a link to this match").click()
    await page.wait_for_url(re.compile(r"#L\d+$"))
    await page.get_by_role("searchbox", name="Search in the log").press("Shift+Enter")
    await expect(log.locator("[data-hit] mark")).to_have_text("needle")
    await page.get_by_role("searchbox", name="Search in the log").press("Escape")
    await expect(log.locator("mark")).to_have_count(0)


async def test_the_log_is_searched_filtered_and_read_as_a_terminal_would(
    page: Page, room: Room, worker: Service
) -> None:
    run = await over(room, "fan-out", exit=3)
    await page.goto(f"/runs/{run.id}?step=check")
    log = page.get_by_role("log")
    await expect(log.locator(".ansi-green")).to_have_text("17 modules")
    await expect(log.get_by_text("100 %", exact=True)).to_be_visible()
    await page.get_by_role("combobox", name="Step").select_option("All steps")
    search = page.get_by_role("searchbox", name="Search in the log")
    await search.fill("NEEDLE")
    await page.get_by_role("button", name="Only lines that match").click()
    await expect(log.locator(".log-line")).to_have_count(2)
    await search.fill("no such words")
    await expect(log).to_contain_text("No line matches.")
    await search.fill("")
    await page.get_by_role("combobox", name="Level").select_option("error")
    await expect(log.locator(".log-line:not([data-level=error])")).to_have_count(0)
    await page.get_by_role("combobox", name="Level").select_option("all")
    await page.get_by_role("combobox", name="Times").select_option("elapsed")
    await expect(log.locator(".log-time", has_text=re.compile(r"^00:0\d\.\d$")).first).to_be_visible()
    await page.get_by_role("combobox", name="Times").select_option("clock")


async def test_a_long_log_opens_at_a_line_fast_and_is_downloaded_whole(page: Page, room: Room, worker: Service) -> None:
    run = await over(room, "fan-out", lines=12_000)
    await page.goto(f"/runs/{run.id}#L6000")
    log = page.get_by_role("region", name="Log")
    line = log.locator("[data-line='6000'][data-selected]")
    await expect(line).to_be_in_viewport()
    assert int(await log.get_attribute("data-lines") or 0) > 12_000
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await log.locator("[data-line='6001'] .log-number").click()
    await expect(log).to_contain_text("Link to line 6001 copied")
    assert (await page.evaluate("navigator.clipboard.readText()")) == f"{room.url}/runs/{run.id}#L6001"
    await page.goto("/")
    began = time.monotonic()
    await page.goto(f"/runs/{run.id}")
    await expect(log.get_by_text("a needle at the end")).to_be_visible()
    assert time.monotonic() - began < 10, "a machine that is busy may take its time, but not this much"
    texts: dict[str, str] = {}
    for name in ("Plain text", "JSON Lines"):
        await log.locator("summary", has=page.locator("svg")).click()
        async with page.expect_download() as caught:
            await log.get_by_role("link", name=name).click()
        download = await caught.value
        texts[download.suggested_filename.rpartition(".")[2]] = (await download.path()).read_text()
    assert [f"row {n} stored" in texts["txt"] for n in (1, 6000, 12_000)] == [True] * 3
    events = [json.loads(event) for event in texts["jsonl"].splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run.succeeded" and len(events[-1]["hash"]) == 64


async def test_a_failed_run_is_resumed_retried_and_repeated_with_other_params(
    page: Page, room: Room, worker: Service, upgrade: str
) -> None:
    run = await over(room, upgrade, seconds=1, exit=7)
    await page.goto(f"/runs/{run.id}")
    await expect(page.locator(".run-head")).to_contain_text("Failed")
    await expect(page.get_by_role("region", name="Steps", exact=True)).to_contain_text("exit code 7")
    await page.get_by_role("button", name="Resume").click()
    await page.wait_for_url(lambda url: run.id not in url)
    await expect(page.locator(".run-head")).to_contain_text("attempt 2")
    chain = page.get_by_role("region", name="Attempts")
    await expect(chain.get_by_role("link")).to_have_count(2)
    await expect(chain.locator("[aria-current=page]")).to_contain_text("1 step carried over")
    await expect(chain.locator("[aria-current=page]")).to_contain_text("by operator")
    await expect(page.locator("[data-step=check]")).to_contain_text("carried over")
    await expect(page.get_by_role("region", name="Who did what")).to_contain_text("began attempt 2")
    await page.get_by_role("button", name="Retry").click()
    await expect(page.locator(".run-head")).to_contain_text("attempt 3")
    await chain.get_by_role("link").first.click()
    await expect(page.get_by_role("link", name="Next attempt")).to_be_visible()
    await expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    await expect(page.get_by_role("region", name="Who did what")).to_contain_text("resumed it as a new attempt")
    await page.get_by_role("link", name="Run again").click()
    await expect(page.get_by_label("Exit code")).to_have_value("7")
    await page.get_by_label("Exit code").fill("0")
    await page.get_by_role("button", name="Run again").click()
    await expect(page.get_by_role("region", name="Lane A")).to_contain_text("Succeeded")


async def test_a_run_is_cancelled_and_says_by_whom_and_why(
    page: Page, room: Room, worker: Service, upgrade: str
) -> None:
    run = await launch(room, upgrade, seconds=60)
    await page.goto(f"/runs/{run.id}")
    await expect(page.get_by_role("log").get_by_text("loading", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_label("Reason").fill("wrong database")
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(page.locator(".run-head")).to_contain_text("Cancelled")
    story = page.get_by_role("region", name="Who did what")
    await expect(story).to_contain_text("asked to cancel it")
    await expect(story).to_contain_text("wrong database")


async def test_a_viewer_may_look_and_not_act(
    room: Room, chromium: Browser, worker: Service, upgrade: str, viewer_plane: tuple[str, str]
) -> None:
    run = await launch(room, upgrade, seconds=60)
    async with visitor(chromium, room) as context:
        page = await context.new_page()
        await page.goto(f"/sign-in?next=/runs/{run.id}")
        await page.get_by_label("E-mail").fill(viewer_plane[0])
        await page.get_by_label("Password").fill(viewer_plane[1])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_role("log").get_by_text("loading", exact=True)).to_be_visible()
        for name in ("Cancel", "Run again"):
            button = page.get_by_role("button", name=name)
            await expect(button).to_be_disabled()
            assert "operator" in (await button.get_attribute("title") or "")
    async with operator_room(room) as control_plane:
        await control_plane.cancel_run(run.id)


async def test_a_failure_shows_its_proofs_is_a_dead_letter_and_its_evidence_is_taken_and_holds(
    page: Page, room: Room, worker: Service, tmp_path: Path
) -> None:
    run = await launch(room, CHECKED)
    await page.goto(f"/runs/{run.id}")
    head = page.locator(".run-head")
    await expect(head).to_contain_text("Failed")
    await page.get_by_role("link", name="Next attempt").click()  # the retry that the template asks for
    await expect(head).to_contain_text("attempt 2")
    await expect(head.get_by_text("dead letter")).to_be_visible()
    proofs = page.get_by_role("region", name="Proofs").get_by_role("listitem")
    await expect(proofs.filter(has_text="answers")).to_have_attribute("data-state", "succeeded")
    broken = proofs.filter(has_text="is long enough")
    await expect(broken).to_have_attribute("data-state", "failed")
    await broken.get_by_text("Expected and seen").click()
    await expect(broken).to_contain_text("min_bytes")
    last = page.url.rsplit("/", 1)[1]
    evidence = page.get_by_role("region", name="Evidence")
    async with page.expect_download() as caught:
        await evidence.get_by_role("link", name="Download the bundle").click()
    kept = tmp_path / "bundle.zip"
    await (await caught.value).save_as(kept)
    verdict = verify(str(kept), str(room.gateway.stack.state.trust_root))
    assert (verdict.run_id, verdict.status) == (last, "failed")
    await expect(evidence).to_contain_text(hashlib.sha256(kept.read_bytes()).hexdigest()[:12])
    await page.get_by_role("navigation", name="Where you are").get_by_role("link", name="Board").click()
    lane = page.get_by_role("region", name="Lane A")
    await expect(lane.locator(f"[data-run='{last}']").get_by_text("dead letter")).to_be_visible()
    await expect(lane.get_by_text("dead letter")).to_have_count(1)


async def test_an_unknown_run_says_so(page: Page) -> None:
    await page.goto(f"/runs/{uuid.uuid4()}")
    await expect(page.get_by_role("alert")).to_contain_text("no run")
    await expect(page.locator(".feed")).to_have_count(0)  # nothing is shown that could be fresh or stale
    await page.get_by_role("link", name="Board", exact=True).last.click()
    await expect(page.get_by_role("region", name="Lane A")).to_be_visible()
