"""Evidence bundles, made by a real worker from real runs, and checked as a stranger would."""

from __future__ import annotations

import zipfile
from pathlib import Path

import httpx
import pytest

from opsroom.domain.evidence.trust import TrustRoot, private_pem
from opsroom.domain.evidence.verify import DoesNotHold, verify
from tests.unit.evidence.made import key
from tests.worker.room import Room, eventually
from tests.worker.test_gates import decide

UNDO = {"title": "Undo", "kind": "shell", "with": {"argv": ["true"]}}
STEPS = [
    {
        "with": {"script": "echo hello; echo '# Report' > report.md; printf '\\0\\1' > dump.bin"},
        "artifacts": [{"path": "*.md"}, {"path": "*.bin"}],
        "verifiers": [{"name": "report", "kind": "file", "with": {"path": "*.md", "contains": "Report"}}],
        "rollback": UNDO,
    }
]


@pytest.fixture
def signing(tmp_path: Path) -> dict[str, str]:
    """A key for the worker, and beside it the trust root that trusts it."""
    (tmp_path / "key.pem").write_bytes(private_pem(key()))
    root = TrustRoot().trusting(key().public_key(), "the test's worker", "2026-01-01T00:00:00Z")
    (tmp_path / "root.json").write_text(root.text())
    return {"OPSROOM_SIGNING_KEY": str(tmp_path / "key.pem")}


async def bundle_of(room: Room, run_id: str, folder: Path) -> Path:
    async def there() -> str | None:
        rows = await room.sql("select object_path from bundles where run_id = %s order by events desc", run_id)
        return rows[0]["object_path"] if rows else None

    path = await eventually(there, "a bundle", 30)
    service = room.stack.secrets.service_role_key
    async with httpx.AsyncClient(headers={"apikey": service, "authorization": f"Bearer {service}"}) as http:
        answer = await http.get(f"{room.base_url}/storage/v1/object/authenticated/bundles/{path}")
        assert answer.is_success, answer.text
    target = folder / f"{run_id}.zip"
    target.write_bytes(answer.content)
    return target


async def test_a_run_ends_in_a_bundle_that_holds(served_room: Room, signing: dict[str, str], tmp_path: Path) -> None:
    room = served_room
    slug = await room.template(
        STEPS, risk="block", params={"properties": {"ratio": {"type": "number", "default": 0.1}}}
    )
    run_id = await room.launch(slug)
    await decide(room, run_id, "", "approved")
    async with room.worker(**signing):
        run = await room.until(run_id)
        assert run["status"] == "succeeded", run["message"]
        bundle = await bundle_of(room, run_id, tmp_path)
    verdict = verify(str(bundle), str(tmp_path / "root.json"))
    assert (verdict.run_id, verdict.status, verdict.owner) == (run_id, "succeeded", "the test's worker")
    assert (verdict.artifacts, verdict.left_out, verdict.proofs, verdict.approvals) == (2, 0, 1, 1)
    with zipfile.ZipFile(bundle) as archive:
        assert archive.read("artifacts/dump.bin") == b"\0\1"
        assert run_id in archive.read("report.html").decode()


async def test_runs_that_never_started_or_failed_have_one_too(
    served_room: Room, signing: dict[str, str], tmp_path: Path
) -> None:
    room = served_room
    slug = await room.template(
        [{"with": {"script": "exit 3"}}], retry={"attempts": 2, "on": ["failed"], "backoff_seconds": 0}
    )
    run_id = await room.launch(slug)
    cancelled = await room.launch(slug, lane="B")
    await room.call("select cancel_run(%s)", cancelled)
    # As if it had ended a while ago: what ended in this very minute is left to the worker that ended it.
    await room.sql("update private.bundle_state set ended_at = '-infinity'")
    await room.sql("insert into private.bundle_work (run_id) values (%s)", cancelled)
    async with room.worker(**signing):
        for one in (run_id, cancelled):
            bundle = await bundle_of(room, one, tmp_path)
            assert verify(str(bundle), str(tmp_path / "root.json")).status in ("failed", "cancelled")
    assert await room.sql("select 1 as left from private.bundle_work where run_id = %s", cancelled) == []


async def test_an_artifact_that_was_changed_in_storage_is_left_out_and_its_digest_stays(
    served_room: Room, signing: dict[str, str], tmp_path: Path
) -> None:
    room = served_room
    run_id = await room.launch(await room.template(STEPS))
    async with room.worker():
        await room.until(run_id)
    path = (await room.artifacts(run_id))["report.md"]["object_path"]
    service = room.stack.secrets.service_role_key
    headers = {
        "apikey": service,
        "authorization": f"Bearer {service}",
        "x-upsert": "true",
        "content-type": "text/markdown",
    }
    async with httpx.AsyncClient(headers=headers) as http:
        answer = await http.post(f"{room.base_url}/storage/v1/object/artifacts/{path}", content=b"# Rewrote")
        assert answer.is_success, answer.text
    await room.sql("insert into private.bundle_work (run_id) values (%s)", run_id)
    async with room.worker(**signing):
        bundle = await bundle_of(room, run_id, tmp_path)
    assert verify(str(bundle), str(tmp_path / "root.json")).left_out == 1
    with pytest.raises(DoesNotHold, match="not a key of the trust root"):
        other = TrustRoot().trusting(key(5).public_key(), "somebody", "2026-01-01T00:00:00Z")
        (tmp_path / "other.json").write_text(other.text())
        verify(str(bundle), str(tmp_path / "other.json"))


async def test_a_worker_without_a_key_makes_none_and_one_with_a_wrong_key_does_not_start(
    served_room: Room, tmp_path: Path
) -> None:
    room = served_room
    (tmp_path / "wrong.pem").write_text("no key")
    async with room.worker(OPSROOM_SIGNING_KEY=str(tmp_path / "wrong.pem")) as worker:
        assert await worker.ended() == 2
        assert "OPSROOM_SIGNING_KEY is" in worker.said and "Ed25519" in worker.said
    run_id = await room.launch_script("true")
    async with room.worker():
        await room.until(run_id)
    assert await room.sql("select 1 as there from bundles where run_id = %s", run_id) == []
