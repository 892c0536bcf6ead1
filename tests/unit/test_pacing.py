"""When a topic may ring: told by a clock that the test moves."""

import pytest

from opsroom.control_plane import pacing
from opsroom.control_plane.pacing import LONGEST_REST_SECONDS, REST_SHARE, SETTLE_SECONDS, SETTLE_SHARE, Pace


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def test_the_first_change_decides_and_those_after_it_do_not_put_it_off(clock: Clock) -> None:
    pace = Pace()
    pace.changed()
    clock.now += SETTLE_SECONDS / 2
    pace.changed()
    assert pace.wait() == pytest.approx(SETTLE_SECONDS / 2)
    clock.now += SETTLE_SECONDS
    assert pace.wait() <= 0


@pytest.mark.parametrize(("took", "rest"), [(0.2, 0.2 * REST_SHARE), (60, LONGEST_REST_SECONDS)])
def test_after_a_read_it_rests_in_proportion_but_not_for_ever(clock: Clock, took: float, rest: float) -> None:
    pace = Pace()
    pace.changed()
    pace.rang()
    clock.now += took
    pace.changed()
    pace.was_read()
    assert pace.wait() == pytest.approx(rest)


def test_what_need_not_be_read_often_is_read_neither_often_nor_first(clock: Clock) -> None:
    pace = Pace(least=2.0)
    pace.changed()
    assert pace.wait() == pytest.approx(2.0 * SETTLE_SHARE)
    pace.rang()
    pace.was_read()
    pace.changed()
    clock.now += 1.5
    assert pace.wait() == pytest.approx(0.5)
