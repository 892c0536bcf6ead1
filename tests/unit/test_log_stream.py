"""The log stream reads whenever there may be more, also when one ring stands for two."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from opsroom.control_plane.models import EventPage, RunEvent
from opsroom.control_plane.rings import Ring
from opsroom.room.log_stream import log_stream

AT = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


class Story:
    """A control plane whose run has written `pages`, one more each time it is asked."""

    def __init__(self, rings: list[Ring], *pages: EventPage) -> None:
        self._rings, self._pages, self.reads = rings, list(pages), 0

    @asynccontextmanager
    async def feed(self, *_: str) -> AsyncIterator[AsyncIterator[Ring]]:
        async def rung() -> AsyncIterator[Ring]:
            for ring in self._rings:
                yield ring

        yield rung()

    async def read_events(self, *_: Any, **__: Any) -> EventPage:
        self.reads += 1
        return self._pages.pop(0)


def page(seq: int, *, terminal: bool) -> EventPage:
    event = RunEvent(run_id="r", seq=seq, at=AT, type="log", message=f"line {seq}")
    return EventPage(events=(event,), last_seq=seq, terminal=terminal)


async def told(story: Story) -> list[str]:
    sign_in: Any = SimpleNamespace(control_plane=story)
    return [message async for message in log_stream(sign_in, "r", 0)]


async def test_a_ring_about_events_that_are_told_is_no_reason_to_read() -> None:
    stale = Ring("run:r", "changed", what=frozenset({"events"}), seq=1)
    story = Story([Ring("run:r", "resync"), stale], page(1, terminal=False))
    await told(story)
    assert story.reads == 1


async def test_the_end_of_a_run_is_told_though_its_ring_melted_into_an_older_one() -> None:
    melted = Ring("run:r", "changed", what=frozenset({"events"}), seq=1).merge(
        Ring("run:r", "changed", what=frozenset({"run"}))
    )
    messages = await told(Story([Ring("run:r", "resync"), melted], page(1, terminal=False), page(2, terminal=True)))
    assert "line 2" in "".join(messages)
    assert "event: end" in messages[-1]
