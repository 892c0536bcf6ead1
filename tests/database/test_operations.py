"""Workers out of service and back."""

from tests.database.conftest import Person, Room, Worker


async def test_a_worker_out_of_service_gets_nothing_until_it_is_back(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    admin = await room.person("admin")
    seen = await room.value("select last_seen_at from public.workers where id = %s", worker.id)
    await operator.call("create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"})
    first, again = [await admin.call("set_worker_draining", p_worker_id=worker.id) for _ in range(2)]
    assert first["draining_at"] == again["draining_at"] is not None
    assert await room.value("select last_seen_at from public.workers where id = %s", worker.id) == seen
    assert await worker.claim() == []
    assert (await admin.call("set_worker_draining", p_worker_id=worker.id, p_draining=False))["draining_at"] is None
    assert len(await worker.claim()) == 1
    said = await room.column("select action from public.audit_log where target_id = %s order by id", str(worker.id))
    assert said == ["worker.drained", "worker.resumed"]


async def test_a_worker_that_has_stopped_stays_as_it_is(room: Room, worker: Worker) -> None:
    await worker.call("stop_worker", p_worker_id=worker.id)
    admin = await room.person("admin")
    assert (await admin.call("set_worker_draining", p_worker_id=worker.id))["draining_at"] is None
    assert await room.column("select action from public.audit_log where target_id = %s", str(worker.id)) == []
