"""The artifact viewer: every kind is shown as it should be, and nothing in it runs."""

import hashlib
import uuid
from dataclasses import dataclass

import httpx
import pytest
from playwright.async_api import Page, expect

from opsroom.control_plane.models import Artifact
from opsroom.local.services import Service
from opsroom.room.sign_ins import COOKIE
from tests.support.room import Room
from tests.ui.conftest import finished, operator_room
from tests.ui.gallery import BIG_LINES, FILES, gallery


@dataclass
class Left:
    """What the run left, by name."""

    run: str
    artifacts: dict[str, Artifact]

    def page(self, name: str) -> str:
        return f"/runs/{self.run}/artifacts/{self.artifacts[name].id}"

    def api(self, name: str) -> str:
        return f"/api{self.page(name)}"


@pytest.fixture(scope="module")
async def left(room: Room, worker: Service) -> Left:
    async with operator_room(room) as plane:
        await plane.save_template(gallery())
        session = await plane.create_session("Gallery")
        run = await plane.create_run(session.id, "gallery", {}, title="Leave artifacts")
        detail = await finished(plane, run.id)
    assert detail.run.status == "succeeded", detail.run.message
    return Left(run.id, {item.name: item for item in detail.artifacts})


async def open_artifact(page: Page, left: Left, name: str, shape: str) -> None:
    await page.goto(left.page(name))
    await expect(page.locator(f".artifact-body[data-shape={shape}]")).to_be_visible()


async def unharmed(page: Page) -> None:
    assert await page.evaluate("window.hacked") is None


async def test_markdown_is_rendered_and_nothing_in_it_runs(page: Page, left: Left) -> None:
    await open_artifact(page, left, "report.md", "markdown")
    prose = page.locator(".prose")
    await expect(prose.get_by_role("heading", name="Upgraded")).to_be_visible()
    await expect(prose.locator("strong")).to_have_text("well")
    link = prose.get_by_role("link", name="the book")
    assert "noopener" in (await link.get_attribute("rel") or "")
    assert await prose.locator("script, img, a[href^=javascript]").count() == 0
    await page.get_by_role("button", name="Source").click()
    await expect(page.get_by_text("<script>window.hacked = 1</script>")).to_be_visible()
    await unharmed(page)


async def test_json_is_a_tree_with_search(page: Page, left: Left) -> None:
    await open_artifact(page, left, "result.json", "json")
    await expect(page.get_by_text("12345678901234567890", exact=True)).to_be_visible()
    await page.get_by_role("button", name="modules").click()
    await expect(page.get_by_text('"sale"')).to_be_hidden()
    await page.get_by_role("searchbox", name="Search in the document").fill("SALE")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text('"sale"')).to_be_visible()
    await expect(page.locator(".tree-row[data-hit]")).to_contain_text("sale")
    await unharmed(page)
    await page.goto(left.page("broken.json"))
    await expect(page.get_by_text("line 1 column 7")).to_be_visible()
    await expect(page.locator(".text-line")).to_contain_text('{"a": }')


async def test_a_diff_stands_in_one_column_or_two(page: Page, left: Left) -> None:
    await open_artifact(page, left, "config.diff", "diff")
    await expect(page.locator(".patch-counts")).to_contain_text("1 file · +2")
    await expect(page.locator(".patch-row[data-kind=added]")).to_have_count(2)
    await page.get_by_role("button", name="Side by side").click()
    changed = page.locator(".patch-row[data-layout=split]").nth(1)
    await expect(changed).to_contain_text("TIMEOUT = 30")
    await expect(changed).to_contain_text("TIMEOUT = 60")
    await expect(page.get_by_text('URL = "<b>x</b>"').first).to_be_visible()


async def test_pictures_are_shown_and_run_nothing(page: Page, left: Left) -> None:
    for name in ("chart.png", "evil.svg"):
        await open_artifact(page, left, name, "image")
        picture = page.get_by_role("img", name=name)
        await expect(picture).to_be_visible()
        assert await picture.evaluate("node => node.decode().then(() => node.naturalWidth)") in (120, 240)
    await page.goto(f"{left.api('evil.svg')}?inline")
    await unharmed(page)
    await open_artifact(page, left, "not-a-picture.png", "image")
    await expect(page.get_by_text("not a picture that a browser can show")).to_be_visible()
    await unharmed(page)


async def test_html_is_shown_in_a_box_without_its_scripts(page: Page, left: Left) -> None:
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    await open_artifact(page, left, "report.html", "html")
    frame = page.frame_locator(".artifact-frame")
    await expect(frame.get_by_role("heading", name="All gates hold")).to_be_visible()
    assert await frame.locator("h1").evaluate("node => getComputedStyle(node).color") == "rgb(0, 128, 128)"
    await expect(frame.locator("#told")).to_have_text("untouched")
    await unharmed(page)
    async with page.expect_event("requestfailed", lambda request: "tracker" in request.url) as blocked:
        await page.goto(f"{left.api('report.html')}?inline")
    assert (await blocked.value).failure == "csp"
    await expect(page.locator("#told")).to_have_text("untouched")
    assert not [url for url in answered if "tracker" in url or "whoami" in url]


async def test_tables_and_archives_are_listed(page: Page, left: Left) -> None:
    await open_artifact(page, left, "modules.csv", "table")
    await expect(page.get_by_role("columnheader", name="files")).to_be_visible()
    await expect(page.get_by_role("cell", name="<script>window.hacked=1</script>")).to_be_visible()
    await open_artifact(page, left, "bundle.zip", "archive")
    await expect(page.get_by_text("3 entries")).to_be_visible()
    await expect(page.get_by_role("row", name="../../etc/cron.d/evil")).to_contain_text("leaves the folder")
    await expect(page.get_by_role("row", name="report/index.html")).to_contain_text("5.0 kB")
    await open_artifact(page, left, "logs.tgz", "archive")
    await expect(page.get_by_role("row", name="current")).to_contain_text("/etc/shadow")
    await unharmed(page)


async def test_a_long_text_is_read_by_parts(page: Page, left: Left) -> None:
    read: list[str] = []
    page.on("response", lambda r: read.append(r.headers.get("content-range", "")) if "artifacts" in r.url else None)
    await open_artifact(page, left, "long.log", "text")
    await expect(page.get_by_text("line 000001 of a long log")).to_be_visible()
    size = left.artifacts["long.log"].size_bytes
    assert f"bytes 0-262143/{size}" in read
    assert all(part.startswith("bytes 0-") for part in read if part), "no more was read than is looked at"
    await page.get_by_role("button", name="The end").click()
    await expect(page.get_by_text(f"line {BIG_LINES:06d} of a long log")).to_be_visible()
    for name, told in (("empty.txt", "This file is empty."), ("core.bin", "This is not text.")):
        await page.goto(left.page(name))
        await expect(page.get_by_text(told)).to_be_visible()


async def test_the_digest_is_checked_in_the_browser(page: Page, left: Left, room: Room) -> None:
    await page.goto(left.page("report.md"))
    digest = hashlib.sha256(FILES["report.md"][1]).hexdigest()
    await expect(page.locator(".artifact-digest code")).to_have_text(digest)
    await page.get_by_role("button", name="Check").click()
    await expect(page.get_by_text("Match:")).to_be_visible()
    stored = [path for path in room.gateway.stack.state.storage.rglob("*") if path.is_file()]
    changed = [path for path in stored if path.read_bytes() == FILES["config.diff"][1]]
    assert changed
    try:
        for path in changed:
            path.write_bytes(FILES["config.diff"][1].replace(b"60", b"99"))
        await page.goto(left.page("config.diff"))
        await page.get_by_role("button", name="Check").click()
        await expect(page.get_by_text("Mismatch: the store has")).to_be_visible()
        for path in changed:
            path.unlink()
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("Storage has no object")
    finally:
        for path in changed:
            path.write_bytes(FILES["config.diff"][1])


async def test_bytes_come_harmless_and_in_parts(page: Page, left: Left, room: Room) -> None:
    cookie = next(item for item in await page.context.cookies() if item.get("name") == COOKIE)
    async with httpx.AsyncClient(base_url=room.url, cookies={COOKIE: str(cookie.get("value"))}) as http:
        for name in ("report.md", "report.html", "evil.svg"):
            answer = await http.get(left.api(name))
            assert answer.content == FILES[name][1]
            assert answer.headers["content-disposition"].startswith("attachment")
            assert answer.headers["content-type"] == "application/octet-stream"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert "sandbox" in answer.headers["content-security-policy"]
        boxed = await http.get(f"{left.api('report.html')}?inline")
        assert boxed.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert "script-src" not in boxed.headers["content-security-policy"]
        assert (await http.get(f"{left.api('report.md')}?inline")).headers["content-type"] == "application/octet-stream"
        content = FILES["report.md"][1]
        for part, expected in (("bytes=2-9", content[2:10]), ("bytes=20-", content[20:]), ("bytes=-5", content[-5:])):
            answer = await http.get(left.api("report.md"), headers={"Range": part})
            assert (answer.status_code, answer.content) == (206, expected)
            assert answer.headers["content-range"].endswith(f"/{len(content)}")
        assert (await http.get(left.api("report.md"), headers={"Range": "bytes=9999-"})).status_code == 416
        for odd in ("bytes=a-b", "lines=1-2", "bytes=0-1,4-5"):
            answer = await http.get(left.api("report.md"), headers={"Range": odd})
            assert (answer.status_code, answer.content) == (200, content)
        assert (await http.get(f"/api/runs/{left.run}/artifacts/{uuid.uuid4()}/view")).status_code == 404
    async with httpx.AsyncClient(base_url=room.url) as stranger:
        for path in (left.api("report.md"), f"{left.api('report.md')}/view", f"/api/runs/{left.run}/log.txt"):
            assert (await stranger.get(path)).status_code == 401


async def test_an_unknown_artifact_says_so(page: Page, left: Left) -> None:
    await page.goto(f"/runs/{left.run}/artifacts/{uuid.uuid4()}")
    await expect(page.get_by_role("alert")).to_contain_text("no such artifact")
    await page.get_by_role("link", name="Go to the run").click()
    await expect(page.get_by_role("heading", name="Leave artifacts")).to_be_visible()


async def test_an_artifact_opens_below_the_log_and_by_its_link(page: Page, left: Left) -> None:
    await page.goto(f"/runs/{left.run}")
    await page.get_by_role("button", name="Show report.md").click()
    shown = page.get_by_role("region", name="Artifact", exact=True)
    await expect(shown.get_by_role("heading", name="Upgraded")).to_be_visible()
    await page.wait_for_url("**?artifact=*")
    await page.reload()
    await expect(shown.get_by_role("heading", name="Upgraded")).to_be_visible()
    await shown.get_by_role("button", name="Close").click()
    await expect(shown).to_have_count(0)
    assert "artifact" not in page.url
    async with page.expect_download() as caught:
        await page.get_by_role("link", name="Download report.md").click()
    assert (await (await caught.value).path()).read_bytes() == FILES["report.md"][1]
