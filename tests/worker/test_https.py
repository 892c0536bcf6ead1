"""A worker with no database port: everything over HTTPS and the service key."""

from __future__ import annotations

import uuid

import pytest

from opsroom.domain.errors import WorkerNotFound
from tests.support.gateway import Gateway
from tests.worker.room import Room, processes_with
from workers.store import Store
from workers.store.https import HttpsTransport
from workers.store.transport import Refused, Unavailable


async def test_a_run_succeeds_and_its_output_arrives(served_room: Room) -> None:
    run_id = await served_room.launch_script("echo hello; printf 'a\\0b\\n'")
    async with served_room.worker("https"):
        run = await served_room.until(run_id)
    assert (run["status"], run["exit_code"]) == ("succeeded", 0)
    assert await served_room.output(run_id) == "hello\na\ufffdb\n"
    rows = await served_room.sql("select transport from workers where id = %s", run["claimed_by"])
    assert rows[0]["transport"] == "https"


async def test_cancel_arrives_with_the_next_heartbeat(served_room: Room) -> None:
    run_id = await served_room.launch_script("echo ready; sleep 60")
    async with served_room.worker("https", OPSROOM_WORKER_HEARTBEAT_SECONDS="0.5"):
        await served_room.until_output(run_id, "ready")
        await served_room.call("select cancel_run(%s)", run_id)
        assert (await served_room.until(run_id))["status"] == "cancelled"
    assert not processes_with(run_id)


async def test_an_outage_of_the_api_loses_no_output(served_room: Room, gateway: Gateway) -> None:
    room = served_room
    slug = await room.template(
        [
            {
                "with": {"script": "for i in $(seq 30); do echo line $i; sleep 0.1; done; echo end > e.txt"},
                "artifacts": [{"path": "e.txt"}],
            }
        ]
    )
    run_id = await room.launch(slug)
    async with room.worker("https"):
        await room.until_output(run_id, "line 3\n")
        await gateway.stop()
        await gateway.start()
        assert (await room.until(run_id, seconds=30))["status"] == "succeeded"
    assert await room.output(run_id) == "".join(f"line {i}\n" for i in range(1, 31))
    assert list(await room.artifacts(run_id)) == ["e.txt"]


async def test_errors_keep_their_meaning(served_room: Room) -> None:
    key = served_room.stack.secrets.service_role_key
    store = Store(HttpsTransport(served_room.base_url, key, 2), str(uuid.uuid4()))
    with pytest.raises(WorkerNotFound):
        await store.heartbeat([])
    await store.close()
    nobody = Store(HttpsTransport("http://127.0.0.1:9", key, 2), str(uuid.uuid4()))
    with pytest.raises(Unavailable):
        await nobody.heartbeat([])
    await nobody.close()
    stranger = Store(HttpsTransport(served_room.base_url, "sb_secret_of_another_project", 2), str(uuid.uuid4()))
    with pytest.raises(Refused):
        await stranger.heartbeat([])
    await stranger.close()


async def test_a_wrong_key_ends_the_start_with_one_sentence(served_room: Room) -> None:
    async with served_room.worker("https", SUPABASE_SERVICE_ROLE_KEY="sb_secret_wrong") as worker:
        assert await worker.ended() == 1
        assert "The worker can not start: the control plane answered 401" in worker.said
        assert "Traceback" not in worker.said
