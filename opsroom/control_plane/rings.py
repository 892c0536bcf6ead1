"""What a feed hands out: rings, and how fresh the picture is."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Cause = Literal["changed", "resync", "tick"]
Liveness = Literal["live", "catching_up", "polling", "stale"]

_WEIGHT: Final[Mapping[Cause, int]] = {"tick": 0, "changed": 1, "resync": 2}


@dataclass(frozen=True, slots=True)
class Ring:
    """Read `topic` again. `ids` (runs or sessions), `what` and `lanes` name what changed, empty when anything may have;
    `seq` is the newest event told of.
    """

    topic: str
    cause: Cause
    ids: frozenset[str] = frozenset()
    what: frozenset[str] = frozenset()
    lanes: frozenset[str] = frozenset()
    seq: int | None = None

    def merge(self, later: "Ring") -> "Ring":
        """One ring that stands for both."""
        cause = max(self.cause, later.cause, key=_WEIGHT.__getitem__)
        told = cause == "changed" and self.cause == later.cause
        seqs = [seq for seq in (self.seq, later.seq) if seq is not None]
        return Ring(
            self.topic,
            cause,
            self.ids | later.ids if told else frozenset(),
            self.what | later.what if told else frozenset(),
            self.lanes | later.lanes if told and self.lanes and later.lanes else frozenset(),
            max(seqs, default=None),
        )


@dataclass(frozen=True, slots=True)
class FeedState:
    """How fresh the reader's picture is, since when, and why if it is not live.

    live: told of every change. catching_up: connected, not read since. polling: no Realtime, but reads at an interval
    succeed. stale: reads fail, so `since` is when the picture was last known to be true.
    """

    liveness: Liveness
    since: dt.datetime
    reason: str | None = None
