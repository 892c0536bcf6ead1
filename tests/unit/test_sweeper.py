"""When a worker sweeps again: told by a clock that never waits."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from workers import sweep
from workers.metrics import Metrics
from workers.store import Refused, Store, Swept, Unavailable
from workers.sweep import AFTERWARDS, Sweeper

INTERVAL = 10.0
NOTHING = Swept(lost=0, timed_out=0, retried=0)
REGULAR = pytest.approx(INTERVAL, rel=0.25)


class Sleeps:
    """In asyncio's place: writes down how long it was to sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Database:
    """Gives its answers one after the other, and then the worker ends."""

    def __init__(self, answers: Sequence[Swept | Exception]) -> None:
        self._answers = iter(answers)

    async def sweep_runs(self) -> Swept:
        answer = next(self._answers, asyncio.CancelledError())
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def pauses(monkeypatch: pytest.MonkeyPatch, *answers: Swept | Exception) -> list[float]:
    sleeps = Sleeps()
    monkeypatch.setattr(sweep, "asyncio", sleeps)
    with pytest.raises(asyncio.CancelledError):
        await Sweeper(cast("Store", Database(answers)), INTERVAL, Metrics()).run()
    return sleeps.slept


def due(seconds: float) -> Swept:
    return NOTHING.model_copy(update={"due_in": seconds})


async def test_it_sweeps_about_every_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = await pauses(monkeypatch, *[NOTHING] * 50)
    assert slept == [REGULAR] * 51
    assert len(set(slept)) > 1, "with jitter"


async def test_it_sweeps_as_soon_as_something_is_due_and_then_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = await pauses(monkeypatch, NOTHING, due(0.7), NOTHING, due(0), due(1000))
    assert slept == [REGULAR, REGULAR, 0.7 + AFTERWARDS, REGULAR, AFTERWARDS, REGULAR]


@pytest.mark.parametrize("trouble", [Unavailable("the database is away"), Refused("no such function")])
async def test_after_a_sweep_that_failed_it_waits_as_usual(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    assert await pauses(monkeypatch, due(0.5), trouble) == [REGULAR, 0.5 + AFTERWARDS, REGULAR]


def test_a_database_that_does_not_tell_is_swept_about_every_interval() -> None:
    answer: dict[str, Any] = {"lost": 0, "timed_out": 0, "retried": 0, "held": False}
    assert Swept.model_validate(answer).due_in is None
