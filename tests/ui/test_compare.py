"""Two runs side by side, and what a replay came to: chosen, shown, at every width, by who may look only."""

import re
import uuid
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from opsroom.control_plane.client import ControlPlane
from opsroom.local.services import Service
from tests.support.room import Room, enter, visitor
from tests.ui.conftest import finished, operator_room
from tests.ui.test_screenshots import LOOKS, fits, picture

BUILD = (
    'printf "%s\\n" "built $PARAM_MODULE" "43 data files"; for n in $(seq 400); do echo "file $n"; done; '
    'echo "checksum $RANDOM$RANDOM"; printf \'{"module": "%s", "files": 43, "stamp": "%s"}\' "$PARAM_MODULE" "$RANDOM$RANDOM" > r.json'
)


async def template(plane: ControlPlane, slug: str, **keys: Any) -> None:
    step: dict[str, Any] = {
        "id": "build", "title": "Build the module", "kind": "shell", "with": {"script": BUILD},
        "artifacts": [{"path": "r.json"}], "verifiers": [{"name": "report", "kind": "file", "with": {"path": "r.json"}}],
    }  # fmt: skip
    params: dict[str, Any] = {"properties": {"module": {"type": "string", "default": "sale"}}}
    await plane.save_template(
        {"slug": slug, "title": "Build a module", "deterministic": True, "params": params, "steps": [step], **keys}
    )


async def two(plane: ControlPlane) -> tuple[str, str]:
    """Two runs of one template with different params."""
    await template(plane, "build-module")
    session = await plane.create_session(f"Compare {uuid.uuid4().hex[:6]}")
    ids: list[str] = []
    for module, lane in (("sale", "A"), ("stock", "B")):
        run = await plane.create_run(
            session.id, "build-module", {"module": module}, lane="A" if lane == "A" else "B", title=f"Build {module}"
        )
        ids.append((await finished(plane, run.id)).run.id)
    return ids[0], ids[1]


async def test_two_runs_are_chosen_and_compared(page: Page, room: Room, worker: Service) -> None:
    async with operator_room(room) as plane:
        left, _ = await two(plane)
    await page.goto(f"/runs/{left}")
    await page.get_by_role("link", name="Compare").click()
    await expect(page.get_by_role("heading", name="Compare runs")).to_be_visible()
    await expect(page.get_by_role("region", name="Left run")).to_contain_text("Build sale")
    offered = page.get_by_role("region", name="Or one of the latest runs of this template")
    await offered.get_by_role("link", name=re.compile("Build stock")).first.click()
    await expect(page.get_by_role("region", name="Right run")).to_contain_text("Build stock")
    told = page.get_by_role("list", name="What differs")
    await expect(told).to_contain_text(re.compile("Outcome.*the same.*Parameters.*different.*Template.*the same", re.S))
    params = page.locator("details", has_text="Parameters")
    await expect(params.locator("[data-kind=removed]")).to_contain_text('"module": "sale"')
    await expect(params.locator("[data-kind=added]")).to_contain_text('"module": "stock"')
    output = page.get_by_role("region", name="Output", exact=True).locator("details")
    await expect(output.locator("[data-kind=added]").first).to_contain_text("built stock")
    await expect(output.locator("[data-kind=added]").last).to_contain_text("checksum")
    await expect(page.get_by_role("row", name=re.compile("report"))).to_contain_text("passed")
    await expect(page.get_by_role("row", name=re.compile("r.json"))).to_contain_text("different")

    await page.get_by_role("link", name="Swap sides").click()
    await expect(page.get_by_role("region", name="Left run")).to_contain_text("Build stock")
    summary = params.locator("summary")
    await summary.focus()
    await page.keyboard.press("Enter")
    await expect(params).not_to_have_attribute("open", "")
    await page.get_by_role("link", name="Another run").click()
    await page.get_by_role("textbox", name="Right run").fill(left[:8])
    await page.get_by_role("button", name="Compare", exact=True).click()
    await expect(page.get_by_role("region", name="Right run")).to_contain_text("Build sale")
    await page.goto(f"/compare?left={left}&right={left[:8]}")
    await expect(page.get_by_role("list", name="What differs").locator("[data-differs=true]")).to_have_count(0)


async def test_what_can_not_be_compared_is_said(page: Page) -> None:
    await page.goto("/compare")
    await expect(page.get_by_text("Choose two runs")).to_be_visible()
    await page.get_by_role("textbox", name="Left run").fill("ffffffff")
    await page.get_by_role("textbox", name="Right run").fill("ffffffff")
    await page.get_by_role("button", name="Compare", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("There is no run 'ffffffff'")
    await page.get_by_role("link", name="Compare other runs").click()
    await expect(page.get_by_text("Choose two runs")).to_be_visible()
    await page.goto("/compare?left=%27;--&right=x")
    await expect(page.get_by_role("alert")).to_be_visible()


async def test_a_replay_tells_its_verdict_on_both_pages(page: Page, room: Room, worker: Service) -> None:
    async with operator_room(room) as plane:
        slug = f"build-{uuid.uuid4().hex[:6]}"
        await template(plane, slug)
        session = await plane.create_session(f"Replays {slug}")
        run = await finished(plane, (await plane.create_run(session.id, slug, {}, title="Build sale")).id)
        await page.goto(f"/runs/{run.run.id}")
        await page.get_by_role("button", name="Replay").click()
        await page.wait_for_url(lambda url: "/runs/" in url and run.run.id not in url)
        verdict = page.get_by_role("region", name="Replay", exact=True)
        await expect(verdict).to_contain_text("DIVERGED", timeout=30_000)
        await expect(verdict).to_contain_text("step build, stdout")
        await expect(verdict).to_contain_text("artifact r.json")
        await verdict.get_by_role("link", name="Side by side").click()
        await expect(page.get_by_role("region", name="Replay", exact=True)).to_contain_text("DIVERGED")
        await expect(page.get_by_role("region", name="Output", exact=True)).to_contain_text("403")

        rules = {"ignore": ["/stamp"], "normalise": [{"pattern": "checksum [0-9]+", "replace": "checksum"}]}
        await template(plane, slug, compare=rules)
        steady = await finished(plane, (await plane.create_run(session.id, slug, {}, title="Build sale")).id)
        again = await plane.replay_run(steady.run.id)
        await page.goto(f"/runs/{again.id}")
        await expect(page.get_by_role("region", name="Replay", exact=True)).to_contain_text(
            "REPRODUCED", timeout=30_000
        )
        await expect(page.get_by_role("region", name="Who did what")).to_contain_text("launched it as a replay")
        await page.goto(f"/runs/{steady.run.id}")
        await page.get_by_role("region", name="Replays").get_by_role("link", name=re.compile("Reproduced")).click()
        await expect(page).to_have_url(re.compile(again.id))


async def test_who_may_look_only_compares_and_does_not_replay(room: Room, chromium: Browser, worker: Service) -> None:
    async with operator_room(room) as plane:
        left, right = await two(plane)
    viewer = await room.gateway.person("viewer")
    async with visitor(chromium, room) as context:
        page = await context.new_page()
        await page.goto(f"/compare?left={left}&right={right}")
        await page.get_by_label("E-mail").fill(viewer.email)
        await page.get_by_label("Password").fill(viewer.password)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("list", name="What differs")).to_be_visible()
        await page.goto(f"/runs/{left}")
        await expect(page.get_by_role("button", name="Replay")).to_be_disabled()


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_pictures(room: Room, chromium: Browser, worker: Service, dark: bool, width: int) -> None:
    async with operator_room(room) as plane:
        left, right = await two(plane)
        again = await plane.replay_run(left)
        async with visitor(chromium, room, dark=dark, width=width) as context:
            page = await context.new_page()
            await enter(page)
            await page.goto(f"/compare?left={left}&right={right}")
            await expect(page.get_by_role("list", name="What differs")).to_be_visible()
            await picture(page, "compare", dark, width)
            await page.goto(f"/compare?left={left}")
            await expect(page.get_by_role("region", name="Left run")).to_be_visible()
            await fits(page)
            await picture(page, "compare-choose", dark, width)
            await page.goto(f"/runs/{again.id}")
            await expect(page.get_by_role("region", name="Replay", exact=True)).to_contain_text(
                "DIVERGED", timeout=30_000
            )
            await picture(page, "replay", dark, width)
