"""A run's whole life through the executor, and every call of it again: a lost answer must not matter."""

import hashlib
import uuid

from tests.functions.room import EXECUTOR, Room


async def test_a_run_lives_its_whole_life_through_the_executor(room: Room, worker_id: str) -> None:
    session_id = await room.new_session()
    create = {
        "session_id": session_id,
        "template": "echo",
        "params": {"text": "hello", "times": 2},
        "lane": "B",
        "priority": 100,
        "title": "Say hello",
        "idempotency_key": str(uuid.uuid4()),
    }
    run = await room.answer("runs.create", create, "operator")
    assert (run["status"], run["lane"], run["title"], run["params"]) == ("queued", "B", "Say hello", create["params"])
    assert (await room.answer("runs.create", create, "operator"))["id"] == run["id"]

    claim = {"worker_id": worker_id, "limit": 1, "request_id": str(uuid.uuid4())}
    claimed = await room.answer("runs.claim", claim, "service")
    assert [each["run_id"] for each in claimed["runs"]] == [run["id"]]
    assert claimed["runs"][0]["spec"]["steps"][0]["id"] == "say"
    assert await room.answer("runs.claim", claim, "service") == claimed

    held = {"run_id": run["id"], "claim_token": claimed["runs"][0]["claim_token"]}
    for _ in range(2):
        assert (await room.answer("runs.start", held, "service"))["verdict"] == "started"

    beat = await room.answer("runs.heartbeat", {"worker_id": worker_id, "runs": [held]}, "service")
    assert [(each["run_id"], each["verdict"]) for each in beat["runs"]] == [(run["id"], "ok")]

    first = [
        {"type": "step.started", "step": "say", "level": "info", "message": "", "data": {}},
        {"type": "output", "step": "say", "level": "info", "message": "hello ☃\n", "data": {"stream": "stdout"}},
    ]
    appended = await room.answer("events.append", {**held, "batch": 1, "events": first}, "service")
    assert appended["verdict"] == "ok"
    assert await room.answer("events.append", {**held, "batch": 1, "events": first}, "service") == appended
    last = [{"type": "step.finished", "step": "say", "data": {"status": "succeeded", "exit_code": 0}}]
    again = await room.answer("events.append", {**held, "batch": 2, "events": last}, "service")
    assert again["last_seq"] == appended["last_seq"] + 1

    content = b"hello\nhello\n"
    digest = hashlib.sha256(content).hexdigest()
    artifact = {
        "name": "greeting.txt",
        "kind": "file",
        "media_type": "text/plain",
        "sha256": digest,
        "size_bytes": len(content),
        "step": "say",
    }
    early = await room.call("artifacts.put", {**held, "artifact": artifact}, "service")
    assert early.status_code in (409, 422), early.text
    uploaded = await room.http.post(
        f"/storage/v1/object/artifacts/{run['id']}/{digest}",
        content=content,
        headers={
            "apikey": room.service_key,
            "authorization": f"Bearer {room.service_key}",
            "content-type": "text/plain",
        },
    )
    assert uploaded.is_success, uploaded.text
    put = await room.answer("artifacts.put", {**held, "artifact": artifact}, "service")
    assert put["verdict"] == "ok"
    assert await room.answer("artifacts.put", {**held, "artifact": artifact}, "service") == put

    finish = {**held, "status": "succeeded", "exit_code": 0}
    for _ in range(2):
        assert await room.answer("runs.finish", finish, "service") == {"verdict": "ok", "status": "succeeded"}

    read = await room.rpc("read_run", {"p_run_id": run["id"]}, "viewer")
    assert read["run"]["status"] == "succeeded"
    assert [step["status"] for step in read["steps"]] == ["succeeded"]
    assert [each["sha256"] for each in read["artifacts"]] == [digest]
    events = (await room.rpc("read_events", {"p_run_id": run["id"]}, "viewer"))["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["message"] for event in events if event["type"] == "output"] == ["hello ☃\n"]


async def test_cancelling_a_queued_run_ends_it_and_an_active_one_is_asked_to_stop(room: Room, worker_id: str) -> None:
    queued = await room.new_run()
    for _ in range(2):
        cancelled = await room.answer("runs.cancel", {"run_id": queued["id"], "reason": "not today"}, "operator")
        assert (cancelled["status"], cancelled["cancel_reason"]) == ("cancelled", "not today")

    held = await room.claimed(worker_id)
    await room.answer("runs.start", held, "service")
    asked = await room.answer("runs.cancel", {"run_id": held["run_id"]}, "operator")
    assert asked["status"] == "running"
    assert asked["cancel_requested_at"] is not None
    beat = await room.answer("runs.heartbeat", {"worker_id": worker_id, "runs": [held]}, "service")
    assert beat["runs"][0]["verdict"] == "cancel"
    finish = {**held, "status": "cancelled", "reason": "cancelled_by_person"}
    assert (await room.answer("runs.finish", finish, "service"))["status"] == "cancelled"


async def test_a_wrong_claim_token_holds_nothing(room: Room, worker_id: str) -> None:
    held = await room.claimed(worker_id)
    forged = {**held, "claim_token": str(uuid.uuid4())}
    async with room.nothing_stored():
        assert (await room.answer("runs.start", forged, "service"))["verdict"] == "lost"
        events = [{"type": "log", "message": "forged"}]
        appended = await room.call("events.append", {**forged, "batch": 1, "events": events}, "service")
        assert appended.json().get("verdict") == "lost", appended.text
        finished = await room.call("runs.finish", {**forged, "status": "succeeded"}, "service")
        assert finished.json().get("verdict") == "lost", finished.text


async def test_a_batch_out_of_order_is_refused_with_its_code(room: Room, worker_id: str) -> None:
    held = await room.claimed(worker_id)
    await room.answer("runs.start", held, "service")
    async with room.nothing_stored():
        body = {**held, "batch": 3, "events": [{"type": "log", "message": "too early"}]}
        gap = await room.call("events.append", body, "service")
    assert (gap.status_code, gap.json()["code"]) == (409, "batch_gap")


async def test_health_and_the_description_are_open_to_anyone(room: Room) -> None:
    health = await room.http.get(f"{EXECUTOR}/health")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    description = (await room.http.get(f"{EXECUTOR}/openapi.json")).json()
    assert description["openapi"].startswith("3.1")
    assert {"/runs.create", "/runs.claim", "/artifacts.put"} <= set(description["paths"])
