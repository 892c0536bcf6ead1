"""The page of a run whose evidence has expired: what is gone, what holds it, and that nothing pretends to be there."""

from __future__ import annotations

import psycopg
import pytest
from playwright.async_api import Page, expect

from opsroom.control_plane.models import RunDetail
from opsroom.local.services import Service
from tests.support.room import Room
from tests.ui.conftest import finished, operator_room
from tests.ui.test_screenshots import fits

TEMPLATE = {
    "slug": "kept-a-while",
    "title": "Nightly export",
    "retention": {"large_artifact_bytes": 20},
    "steps": [
        {
            "id": "export",
            "title": "Export the ledger",
            "kind": "shell",
            "with": {"script": "echo 12 rows read; echo 12 rows written; seq 1 40 > ledger.csv; echo ok > note.txt"},
            "artifacts": [{"path": "*.csv"}, {"path": "*.txt"}],
        }
    ],
}


async def grow_old(room: Room, run_id: str) -> None:
    """As if the run had been bundled, and had ended 100 days ago: past every trigger."""
    dsn = room.gateway.stack.database_url("supabase_admin")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute(
            "insert into public.bundles (run_id, events, chain_head, sha256, size_bytes, object_path, keyid, signed_at) "
            "select run_id, max(seq), max(hash), repeat('a', 64), 1, 'x', repeat('b', 64), now() from public.run_events "
            "where run_id = %s group by run_id on conflict do nothing",
            (run_id,),
        )
        await admin.execute("select private.plan_retention(%s)", (run_id,))
        await admin.execute(
            "update private.retention set logs_due_at = logs_due_at - interval '100 days', "
            "artifacts_due_at = artifacts_due_at - interval '100 days' where run_id = %s",
            (run_id,),
        )


@pytest.fixture(scope="module")
async def expired(room: Room, worker: Service) -> RunDetail:
    async with operator_room(room) as plane:
        await plane.save_template(TEMPLATE)
        session = await plane.create_session("Month end")
        run = await plane.create_run(session.id, "kept-a-while", {}, title="Nightly export of the ledger")
        await finished(plane, run.id)
        await grow_old(room, run.id)
        while (await plane.collect()).more:
            pass
        await plane.place_hold("Matter 2026-17", run_id=run.id)
        return await plane.read_run(run.id)


async def test_a_run_says_what_has_expired_and_what_holds_it(page: Page, room: Room, expired: RunDetail) -> None:
    await page.goto(f"/runs/{expired.run.id}")
    await expect(page.locator(".run-message")).to_contain_text("On legal hold: “Matter 2026-17”")
    log = page.get_by_role("log")
    await expect(log.get_by_text("The text of this log expired on")).to_have_count(1)
    await expect(log.get_by_text("rows written")).to_have_count(0)
    await expect(log.get_by_text("Export the ledger")).to_be_visible()
    large = page.locator(".artifact").filter(has_text="ledger.csv")
    await expect(large).to_contain_text("expired")
    await expect(large.get_by_role("link", name="Download ledger.csv")).to_have_count(0)
    await expect(page.get_by_role("link", name="Download note.txt")).to_be_visible()
    await large.get_by_role("button", name="Show ledger.csv").click()
    viewer = page.locator(".artifact-view")
    await expect(viewer).to_contain_text("The bytes of artifact 'ledger.csv' expired on")
    await expect(viewer.get_by_role("button", name="Try again")).to_have_count(0)
    await expect(viewer.get_by_role("link", name="Download")).to_have_count(0)
    story = page.locator(".deeds")
    for words in ("Retention removed the text of its log", "gave up its large artifacts", "put it on legal hold"):
        await expect(story).to_contain_text(words)
    await expect(page.locator(".run-side .facts").last).to_contain_text("expired on")
    gone = next(item for item in expired.artifacts if item.name == "ledger.csv")
    assert (await page.request.get(f"/api/runs/{expired.run.id}/artifacts/{gone.id}")).status == 410
    text = await (await page.request.get(f"/api/runs/{expired.run.id}/log.txt")).text()
    assert "expired on" in text and "rows written" not in text
    await page.set_viewport_size({"width": 390, "height": 800})
    await fits(page)
