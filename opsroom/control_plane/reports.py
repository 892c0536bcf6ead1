"""The read model of insights and of the fleet in full."""

import datetime as dt
from typing import Literal

from opsroom.control_plane.commands import as_uuid
from opsroom.control_plane.fleet import CheckpointStatus, FleetWorker
from opsroom.control_plane.models import Row
from opsroom.control_plane.search import Search
from opsroom.domain.lifecycle import Lane, Reason, RunStatus

WorkerState = Literal["online", "draining", "missing", "stopped"]


class Figures(Row):
    """What runs did. Waits and durations are in seconds, right within 10 %; None where there was nothing to measure.

    `lost`: their worker vanished. `recovered`: succeeded as a later attempt of a run that was lost.
    """

    at: dt.datetime | None = None
    template_slug: str | None = None
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    lost: int = 0
    recovered: int = 0
    waited_p50: float | None = None
    waited_p95: float | None = None
    took_p50: float | None = None
    took_p95: float | None = None

    @property
    def ended(self) -> int:
        """All that ended, however."""
        return self.succeeded + self.failed + self.cancelled + self.timed_out

    @property
    def success_rate(self) -> float | None:
        """The share that succeeded of those that nobody cancelled, 0 to 1; None when there were none."""
        judged = self.ended - self.cancelled
        return self.succeeded / judged if judged else None


class ReasonCount(Row):
    """How many runs ended for a reason."""

    reason: Reason
    n: int


class Insights(Row):
    """What happened from `from_` until `to`, by grains of `grain_seconds`. Grains without any run have no point."""

    read_at: dt.datetime
    to: dt.datetime
    grain_seconds: int
    complete: bool = True
    totals: Figures = Figures()
    points: tuple[Figures, ...] = ()
    templates: tuple[Figures, ...] = ()
    reasons: tuple[ReasonCount, ...] = ()


class HeldRun(Row):
    """A run in the hands of a worker."""

    id: str
    title: str
    status: RunStatus
    lane: Lane
    session_id: str
    claimed_at: dt.datetime
    started_at: dt.datetime | None = None


class KnownWorker(FleetWorker):
    """A worker of the last day, with the first 20 of the runs it holds."""

    state: WorkerState
    runs: tuple[HeldRun, ...] = ()


class SweepState(Row):
    """How the sweep goes. `held_until`: its circuit breaker is open till then; `held_count`: how often it ever was."""

    last_sweep_at: dt.datetime | None = None
    held_until: dt.datetime | None = None
    held_count: int = 0


class Workers(Row):
    """All workers of the last day, what waits, what is stuck, as of `read_at` by the database's clock."""

    read_at: dt.datetime
    workers: tuple[KnownWorker, ...] = ()
    queued: int = 0
    oldest_queued_at: dt.datetime | None = None
    stuck: int = 0
    sweep: SweepState = SweepState()
    checkpoint: CheckpointStatus | None = None


class Reports(Search):
    """Queries over everything."""

    async def read_insights(
        self,
        since: dt.datetime,
        *,
        until: dt.datetime | None = None,
        template: str | None = None,
        session_id: str | None = None,
    ) -> Insights:
        """What runs did, of all or of one template or session. Raises InvalidArgument for more than 400 days."""
        arguments = {
            "p_from": since.isoformat(),
            "p_to": until.isoformat() if until else None,
            "p_template": template,
            "p_session_id": as_uuid(session_id, "session") if session_id else None,
        }
        return Insights.model_validate(await self._rest.rpc("read_insights", arguments))

    async def read_workers(self) -> Workers:
        """The fleet in full."""
        return Workers.model_validate(await self._rest.rpc("read_workers"))
