"""Searching all runs through the typed client: pages, filters, the same command for many, insights and the fleet."""

import datetime as dt
import uuid

import pytest

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from opsroom.control_plane.search import RunFilter, cursor_of
from opsroom.domain import errors

URL = {"url": "http://127.0.0.1:9/needle"}


async def test_pages_lead_to_older_runs_and_a_page_is_refreshed(operator: ControlPlane, session: Session) -> None:
    made = [await operator.create_run(session.id, "http-healthcheck", URL, lane="B") for _ in range(5)]
    wanted = RunFilter(session_id=session.id, limit=2)
    first = await operator.search_runs(wanted)
    assert [run.id for run in first.runs] == [made[4].id, made[3].id]
    assert first.next and first.searched_to is None
    second = await operator.search_runs(RunFilter(session_id=session.id, limit=2, before=first.next))
    assert [run.id for run in second.runs] == [made[2].id, made[1].id]
    assert [run.id for run in await operator.runs(RunFilter(session_id=session.id, limit=4))] == [
        run.id for run in reversed(made[1:])
    ]
    await operator.cancel_run(made[1].id)
    fresh = await operator.refresh_runs(
        [run.id for run in second.runs], RunFilter(session_id=session.id), cursor_of(second.runs[0])
    )
    assert [(run.id, run.status) for run in fresh.runs] == [(made[2].id, "queued"), (made[1].id, "cancelled")]
    assert fresh.newer == 2


async def test_text_times_and_people_narrow_the_search(operator: ControlPlane, session: Session) -> None:
    run = await operator.create_run(session.id, "http-healthcheck", URL, title="Look for the hay")
    me = operator.credentials.tokens.user_id

    async def finds(**more: object) -> bool:
        return bool(await operator.runs(RunFilter(session_id=session.id, **more)))  # pyright: ignore[reportArgumentType]

    assert await finds(text="NEEDLE") and await finds(text="the hay") and not await finds(text="thread")
    assert await finds(person=me) and not await finds(person=str(uuid.uuid4()))
    assert await finds(since=run.queued_at) and not await finds(until=run.queued_at)
    assert not await finds(dead_letters=True)
    with pytest.raises(errors.InvalidArgument, match="person id"):
        await finds(person="me")


async def test_each_run_of_many_has_its_own_outcome(operator: ControlPlane, session: Session) -> None:
    runs = [await operator.create_run(session.id, "http-healthcheck", URL) for _ in range(3)]
    gone = str(uuid.uuid4())
    outcomes = await operator.cancel_runs([runs[0].id, gone, runs[1].id, "no id", runs[0].id], "All at once")
    assert [outcome.run_id for outcome in outcomes] == [runs[0].id, gone, runs[1].id, "no id"]
    assert [outcome.run.status if outcome.run else type(outcome.error).__name__ for outcome in outcomes] == [
        "cancelled",
        "RunNotFound",
        "cancelled",
        "InvalidArgument",
    ]
    retried = await operator.retry_runs([runs[0].id, runs[2].id])
    assert retried[0].run and retried[0].run.retry_of == runs[0].id
    assert isinstance(retried[1].error, errors.RunNotFinished)
    with pytest.raises(errors.InvalidArgument, match="101"):
        await operator.cancel_runs([str(uuid.uuid4()) for _ in range(101)])


async def test_insights_and_the_fleet_are_read(operator: ControlPlane, session: Session) -> None:
    run = await operator.create_run(session.id, "http-healthcheck", URL)
    await operator.cancel_run(run.id)
    insights = await operator.read_insights(run.queued_at - dt.timedelta(hours=1), session_id=session.id)
    assert (insights.totals.cancelled, insights.totals.ended, insights.totals.success_rate) == (1, 1, None)
    assert [item.reason for item in insights.reasons] == ["cancelled_by_person"]
    assert (await operator.read_workers()).read_at > run.queued_at
