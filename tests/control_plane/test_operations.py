"""What an operator does in the lifecycle, through the typed client: places, pauses, force, resume, the fleet."""

import uuid

import psycopg
import pytest

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from opsroom.domain import errors
from tests.support.gateway import Gateway

URL = {"url": "https://example.org/health"}


async def new_worker(gateway: Gateway) -> str:
    """A worker that registers and then does nothing."""
    worker_id = str(uuid.uuid4())
    await as_service(
        gateway, "select register_worker(%s, %s, 'host', 1, '0', 4, 'postgres')", worker_id, f"idle-{worker_id[:6]}"
    )
    return worker_id


async def as_service(gateway: Gateway, query: str, *arguments: object) -> object:
    url = gateway.stack.database_url("worker")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as database:
        await database.execute("set role service_role")
        row = await (await database.execute(query.encode(), arguments)).fetchone()
        return row[0] if row else None


async def test_a_queued_run_is_moved_and_keeps_its_age(operator: ControlPlane, session: Session) -> None:
    run = await operator.create_run(session.id, "http-healthcheck", URL)
    moved = await operator.move_run(run.id, lane="C", priority=9)
    assert (moved.lane, moved.priority, moved.queued_at) == ("C", 9, run.queued_at)
    assert (await operator.move_run(run.id, priority=1)).lane == "C"
    await operator.cancel_run(run.id)
    with pytest.raises(errors.IllegalTransition):
        await operator.move_run(run.id, lane="A")


async def test_lanes_and_sessions_are_paused_and_sized(operator: ControlPlane, session: Session) -> None:
    lane = await operator.set_lane(session.id, "B", capacity=3, paused=True)
    assert (lane.capacity, lane.paused_at is not None) == (3, True)
    assert (await operator.set_lane(session.id, "B", paused=False)).capacity == 3
    assert (await operator.set_session_paused(session.id, True)).paused_at
    board = await operator.read_board(session.id)
    assert board.session.paused_at
    assert (board.lane("B").capacity, board.lane("B").paused_at) == (3, None)
    assert (await operator.set_session_paused(session.id, False)).paused_at is None
    with pytest.raises(errors.InvalidArgument):
        await operator.set_lane(session.id, "B", capacity=0)


async def test_force_ends_a_run_that_its_worker_does_not_end(
    operator: ControlPlane, session: Session, gateway: Gateway
) -> None:
    run = await operator.create_run(session.id, "http-healthcheck", URL, priority=100)
    worker = await new_worker(gateway)
    await as_service(gateway, "select claim_runs(%s, 1000, gen_random_uuid())", worker)
    asked = await operator.cancel_run(run.id, "too slow")
    assert (asked.status, asked.cancel_reason) == ("claimed", "too slow")
    ended = await operator.cancel_run(run.id, force=True)
    assert (ended.status, ended.reason) == ("cancelled", "cancelled_by_person")
    retried = await operator.retry_run(run.id, resume=True)
    assert (retried.attempt, retried.status) == (2, "queued")


async def test_the_fleet_shows_workers_queues_and_the_sweep(
    operator: ControlPlane, admin: ControlPlane, session: Session, gateway: Gateway
) -> None:
    worker = await new_worker(gateway)
    await as_service(gateway, "select sweep_runs()")
    run = await operator.create_run(session.id, "http-healthcheck", URL)
    fleet = await operator.read_fleet()
    mine = next(w for w in fleet.workers if w.id == worker)
    assert (mine.capacity, mine.attached, mine.active) == (4, False, 0)
    assert fleet.queued >= 1
    assert fleet.oldest_queued_at and fleet.oldest_queued_at <= run.queued_at
    assert fleet.last_sweep_at
    with pytest.raises(errors.Forbidden):
        await operator.drain_worker(worker)
    assert (await admin.drain_worker(worker)).draining_at
    drained = await operator.read_fleet()
    assert drained.slots == fleet.slots - 4
    assert (await admin.resume_worker(worker)).draining_at is None
    with pytest.raises(errors.WorkerNotFound):
        await admin.drain_worker(str(uuid.uuid4()))
    await operator.cancel_run(run.id)


async def test_a_run_is_placed_and_its_end_is_seen(operator: ControlPlane, session: Session) -> None:
    first, second = [await operator.create_run(session.id, "http-healthcheck", URL, lane="B") for _ in range(2)]
    await operator.place_run(second.id, "B", before=first.id)
    assert [run.id for run in (await operator.read_board(session.id)).lane("B").queue] == [second.id, first.id]
    await operator.place_run(second.id, "B")
    assert [run.id for run in (await operator.read_board(session.id)).lane("B").queue] == [first.id, second.id]
    await operator.cancel_run(first.id)
    assert await operator.mark_seen([first.id, second.id]) == 1
    assert (await operator.read_run(first.id)).run.seen
    assert await operator.mark_seen(session_id=session.id) == 0
