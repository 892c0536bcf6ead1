"""Operations: workers out of service and back, and the runs that retries did not save."""

import json

from tests.database.conftest import TEMPLATE, Person, Room, Worker


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


async def test_a_dead_letter_is_a_last_attempt_that_nothing_retries(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    spec = TEMPLATE | {"slug": "given-up", "retry": {"attempts": 2, "on": ["failed"], "backoff_seconds": 0}}
    await room.owner.execute("select private.seed_template(%s::json)", (json.dumps(spec),))
    await operator.call("create_run", p_session_id=session_id, p_template="given-up", p_params={"name": "ada"})

    async def fail() -> str:
        (claim,) = await worker.claim()
        await worker.start(claim)
        await worker.finish(claim, "failed", "step_failed")
        return claim["run_id"]

    async def dead() -> list[str]:
        letters = await operator.call("list_dead_letters", p_session_id=session_id)
        assert all(letter["dead_letter"] for letter in letters)
        return [letter["id"] for letter in letters]

    await fail()
    assert await dead() == []
    last = await fail()
    assert await dead() == [last]
    assert last in [letter["id"] for letter in await operator.call("list_dead_letters")]
    await operator.call("retry_run", p_run_id=last)
    assert await dead() == []
