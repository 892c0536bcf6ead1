"""The read model of lanes' settings and of the fleet."""

import datetime as dt
from typing import Final

from opsroom.control_plane.models import Row, Worker
from opsroom.domain.lifecycle import Lane

CHECKPOINT_LATE: Final = dt.timedelta(minutes=20)
"""A checkpoint is due every five minutes, unless OPSROOM_CHECKPOINT_SECONDS says otherwise."""


class LaneSettings(Row):
    """How many runs of a lane go at once, and since when its queue is held back."""

    session_id: str
    lane: Lane
    capacity: int
    paused_at: dt.datetime | None = None


class FleetWorker(Worker):
    """A worker that was seen within the last minute.

    `attached`: the loss of its own connection is noticed at once; otherwise its leases tell. `missing_since`: its
    connection is gone. `active`: runs it holds now.
    """

    missing_since: dt.datetime | None = None
    attached: bool = False
    active: int = 0


class CheckpointStatus(Row):
    """The last checkpoint of the runs' chains, and since when something waits for the next one."""

    number: int
    at: dt.datetime
    waiting_since: dt.datetime | None = None

    def is_overdue(self, now: dt.datetime) -> bool:
        """Whether what ended was not published although several intervals have passed."""
        return self.waiting_since is not None and now - max(self.waiting_since, self.at) > CHECKPOINT_LATE


class Fleet(Row):
    """All workers and all queues at a glance, as of `read_at` by the database's clock.

    `queued` counts runs that may start now, `oldest_queued_at` is since when the first of them may. `stuck` counts
    runs whose lease is over. `held_until`: the sweep's circuit breaker is open till then.
    """

    read_at: dt.datetime
    workers: tuple[FleetWorker, ...] = ()
    queued: int = 0
    oldest_queued_at: dt.datetime | None = None
    active: int = 0
    stuck: int = 0
    last_sweep_at: dt.datetime | None = None
    held_until: dt.datetime | None = None
    checkpoint: CheckpointStatus | None = None
    """None while none was ever made: no worker has a signing key."""

    @property
    def slots(self) -> int:
        """Runs that the workers take at once; those that are drained or missing take none."""
        return sum(w.capacity for w in self.workers if w.draining_at is None and w.missing_since is None)
