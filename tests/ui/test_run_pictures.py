"""The pictures of the run page's graph and of the artifact viewer (see `test_screenshots`)."""

from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, expect

from opsroom.local.services import Service
from tests.support.room import Room, enter, visitor
from tests.ui.conftest import finished, operator_room
from tests.ui.gallery import FAN_OUT, gallery
from tests.ui.test_screenshots import LOOKS, picture


@dataclass
class Scene:
    """A run that failed, was resumed and failed again; and artifacts by name."""

    resumed: str
    gallery: str
    artifacts: dict[str, str]


@pytest.fixture(scope="module")
async def scene(room: Room, worker: Service) -> Scene:
    async with operator_room(room) as plane:
        await plane.save_template(FAN_OUT)
        await plane.save_template(gallery())
        session = await plane.create_session("Upgrade staging to Odoo 19")
        left = await plane.create_run(session.id, "gallery", {}, title="Collect the reports", lane="B")
        failed = await plane.create_run(session.id, "fan-out", {"exit": 3}, title="Upgrade module sale")
        await finished(plane, failed.id)
        resumed = await plane.retry_run(failed.id, resume=True)
        await finished(plane, resumed.id)
        detail = await finished(plane, left.id)
    return Scene(failed.id, left.id, {item.name: item.id for item in detail.artifacts})


@pytest.mark.parametrize(("dark", "width"), LOOKS)
async def test_run_graph_and_artifacts(room: Room, chromium: Browser, scene: Scene, dark: bool, width: int) -> None:
    async with visitor(chromium, room, dark=dark, width=width) as context:
        page = await context.new_page()
        await enter(page)
        await page.goto(f"/runs/{scene.resumed}?step=upgrade")
        await page.get_by_role("button", name="Graph").click()
        await expect(page.get_by_role("log").locator(".log-line").first).to_be_visible()
        await expect(page.locator("[data-feed=live]")).to_be_visible()
        await picture(page, "run-graph", dark, width)
        for name, shape in (
            ("config.diff", "diff"),
            ("result.json", "json"),
            ("bundle.zip", "archive"),
            ("report.md", "markdown"),
        ):
            await page.goto(f"/runs/{scene.gallery}/artifacts/{scene.artifacts[name]}")
            await expect(page.locator(f".artifact-body[data-shape={shape}]")).to_be_visible()
            await picture(page, f"artifact-{shape}", dark, width)
