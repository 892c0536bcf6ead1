"""Retention on the real Storage: what is past its time goes by itself, what is bundled still holds, nothing else goes."""

from __future__ import annotations

import uuid
import zipfile
from pathlib import Path

import httpx
import psycopg
import pytest

from opsroom.domain.events import Event, first_break
from opsroom.domain.evidence.verify import verify
from tests.worker.room import Room, eventually
from tests.worker.test_bundles import bundle_of, signing

__all__ = ["signing"]

STEPS = [
    {
        "with": {"script": "echo hello; head -c 3000 /dev/zero > large.bin; echo small > small.txt"},
        "artifacts": [{"path": "*.bin"}, {"path": "*.txt"}],
    }
]
RETENTION = {"logs_days": 30, "artifacts_days": 30, "large_artifact_bytes": 2000}


async def age(room: Room, run_id: str, days: int) -> None:
    """As if the run had ended so long ago: past every trigger."""
    async with await psycopg.AsyncConnection.connect(
        room.stack.database_url("supabase_admin"), autocommit=True
    ) as admin:
        await admin.execute(
            "update private.retention set logs_due_at = logs_due_at - make_interval(days => %s), "
            "artifacts_due_at = artifacts_due_at - make_interval(days => %s) where run_id = %s",
            (days, days, run_id),
        )


async def objects(room: Room, run_id: str) -> set[str]:
    rows = await room.sql("select bucket_id, name from storage.objects where name like %s", f"{run_id}/%")
    return {f"{row['bucket_id']}/{row['name'].split('/')[1]}" for row in rows}


async def upload(room: Room) -> str:
    """An object of a run that never was; its name."""
    name, key = f"{uuid.uuid4()}/{'e' * 64}", room.stack.secrets.service_role_key
    async with httpx.AsyncClient(headers={"apikey": key, "authorization": f"Bearer {key}"}) as http:
        answer = await http.post(f"{room.base_url}/storage/v1/object/artifacts/{name}", content=b"left over")
        assert answer.is_success, answer.text
    return name


@pytest.mark.parametrize("transport", ["postgres", "https"])
async def test_a_worker_collects_what_is_past_its_time_and_the_bundle_proves_it_all(
    served_room: Room, signing: dict[str, str], tmp_path: Path, transport: str
) -> None:
    room = served_room
    slug = await room.template(STEPS, retention=RETENTION)
    old, held, young = [await room.launch(slug) for _ in range(3)]
    async with room.worker(transport, OPSROOM_WORKER_COLLECT_SECONDS="1", **signing) as worker:
        for run_id in (old, held, young):
            assert (await room.until(run_id))["status"] == "succeeded"
            await bundle_of(room, run_id, tmp_path)
        before = await objects(room, old)
        found = await room.artifacts(old)
        hold = await room.call("select place_hold(p_run_id => %s, p_reason => 'Matter 1')", held)
        stray, fresh = await upload(room), await upload(room)
        await room.sql("update storage.objects set created_at = now() - interval '2 days' where name = %s", stray)
        await age(room, old, 31)
        await age(room, held, 31)
        await room.call("select collect_evidence()")  # by hand: uploads that nothing names are looked for at once

        async def collected() -> bool:
            return found["large.bin"]["sha256"] not in "".join(await objects(room, old))

        await eventually(collected, "the large artifact to be deleted", 30)
        large = f"artifacts/{found['large.bin']['sha256']}"
        assert before - await objects(room, old) == {large}
        assert await room.stored(old, "small.txt") == b"small\n"
        rows = await room.artifacts(old)
        assert rows["large.bin"]["expired_at"] and rows["large.bin"]["sha256"] == found["large.bin"]["sha256"]
        assert len(await objects(room, held)) == len(await objects(room, young)) == 3
        assert await room.output(held) == await room.output(young) == "hello\n"

        events = [Event.model_validate(event) for event in (await room.call("select read_events(%s)", old))["events"]]
        assert first_break(events) is None
        assert [event.message for event in events if event.type == "output"] == [""]
        path = await bundle_of(room, old, tmp_path)
        verdict = verify(str(path), str(tmp_path / "root.json"))
        assert (verdict.chain_head, verdict.left_out) == (events[-1].hash, 0)
        with zipfile.ZipFile(path) as archive:
            assert b'"message":"hello"' in archive.read("events.jsonl")
            assert len(archive.read("artifacts/large.bin")) == 3000

        async def swept() -> bool:
            return not await objects(room, stray.split("/")[0])

        await eventually(swept, "an upload that nothing names to be deleted", 30)
        assert await objects(room, fresh.split("/")[0]), "it may still get its row"
        await room.call("select release_hold(%s, 'Settled')", hold["id"])

        async def released() -> bool:
            return len(await objects(room, held)) == 2

        await eventually(released, "what was held to be collected", 30)
        assert "a collection failed" not in worker.said


async def test_what_storage_did_not_delete_is_tried_again(
    served_room: Room, signing: dict[str, str], tmp_path: Path
) -> None:
    room = served_room
    run_id = await room.launch(await room.template(STEPS, retention=RETENTION))
    async with room.worker(**signing):
        await room.until(run_id)
        await bundle_of(room, run_id, tmp_path)
    await age(room, run_id, 31)
    large = f"artifacts/{(await room.artifacts(run_id))['large.bin']['sha256']}"
    soon = {"OPSROOM_WORKER_COLLECT_SECONDS": "1"}
    async with room.worker(SUPABASE_URL="http://127.0.0.1:9", **soon) as worker:
        await worker.until_said("a collection failed")
    assert (await room.artifacts(run_id))["large.bin"]["expired_at"], "decided before anything is deleted"
    assert large in await objects(room, run_id)
    await room.sql("update private.doomed_objects set retry_at = now() where run_id = %s", run_id)
    async with room.worker(**soon):

        async def gone() -> bool:
            listed = await room.sql("select from private.doomed_objects where run_id = %s", run_id)
            return not listed and large not in await objects(room, run_id)

        await eventually(gone, "the object to be deleted and forgotten", 30)
    assert await room.stored(run_id, "small.txt") == b"small\n"
