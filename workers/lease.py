"""Leases: how long this worker may go on with a run, and how it learns that it may not.

The database decides who holds a run; the worker only has to stop in time. Its own deadline is counted on the monotonic
clock from the *sending* of the last heartbeat that was answered, so it always passes before the database's lease does,
whatever the network does to the answer.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from opsroom.domain.errors import OpsRoomError, WorkerNotFound
from workers.metrics import Metrics
from workers.store import Beat, Hold, Refused, Store, Unavailable

log = logging.getLogger(__name__)

LONGEST_TRY_SECONDS: Final = 10.0

Held = TypeVar("Held", bound=Hold)


def usable(lease_seconds: float) -> float:
    """The part of a lease that a worker uses: killing takes time too, and has to be over when the lease is."""
    return lease_seconds - min(1.0, lease_seconds / 10)


class Lease(Generic[Held]):
    """One claim's time. `lost` and `cancelled` are set at most once and never cleared."""

    def __init__(self, claim: Held, counted_from: float) -> None:
        self.claim = claim
        self.deadline = counted_from + usable(claim.lease_seconds)
        self.lost = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.on_extend: Callable[[float], None] = lambda until: None
        self.on_lost: Callable[[], object] = lambda: None
        self.on_cancelled: Callable[[], object] = lambda: None

    def lose(self) -> None:
        """The run is not this worker's any more."""
        if not self.lost.is_set():
            self.lost.set()
            self.on_lost()

    def cancel(self) -> None:
        """Somebody asked for the run's end."""
        if not self.cancelled.is_set():
            self.cancelled.set()
            self.on_cancelled()

    def expired(self) -> bool:
        """Whether the run is lost, by verdict or by time; a worker that slept learns it here first."""
        if time.monotonic() >= self.deadline:
            self.lose()
        return self.lost.is_set()

    def extend(self, until: float) -> None:
        if until > self.deadline and not self.lost.is_set():
            self.deadline = until
            self.on_extend(until)


class LeaseKeeper:
    """One heartbeat for all runs of the worker, on its own connection and tasks."""

    def __init__(
        self, store: Store, interval: float, metrics: Metrics, register: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._interval = interval
        self._metrics = metrics
        self._register = register
        self._leases: dict[str, Lease[Any]] = {}
        self._due = asyncio.Event()
        self._changed = asyncio.Event()
        self.answered_at: float | None = None
        """When the last answered heartbeat was sent, on the monotonic clock."""

    def hold(self, claim: Held, counted_from: float) -> Lease[Held]:
        """Keep `claim` alive from now on."""
        lease = self._leases[claim.run_id] = Lease(claim, counted_from)
        self._changed.set()
        return lease

    def let_go(self, lease: Lease[Any]) -> None:
        self._leases.pop(lease.claim.run_id, None)

    def beat_now(self) -> None:
        """Do not wait for the next interval: there may be a cancellation to hear of."""
        self._due.set()

    async def run(self) -> None:
        """Heartbeats and deadlines, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat_for_ever())
            group.create_task(self._watch_deadlines())

    async def _beat_for_ever(self) -> None:
        while True:
            self._due.clear()
            sent = time.monotonic()
            # A heartbeat that hangs must not take the place of the next one for longer than that.
            try:
                async with asyncio.timeout(min(LONGEST_TRY_SECONDS, max(self._interval, 1.0))):
                    beats = await self._store.heartbeat(
                        [(lease.claim.run_id, lease.claim.claim_token) for lease in self._leases.values()]
                    )
                self.answered_at = sent
                self._metrics.heartbeat_answered(sent)
                self._apply(beats, sent)
            except WorkerNotFound:
                await self._register()
            except (Unavailable, Refused, TimeoutError, OpsRoomError) as error:
                self._metrics.heartbeats_failed.inc()
                log.warning("a heartbeat failed", extra={"error": str(error) or type(error).__name__})
            wait = max(0.0, self._interval - (time.monotonic() - sent))
            try:
                async with asyncio.timeout(wait):
                    await self._due.wait()
            except TimeoutError:
                pass

    def _apply(self, beats: list[Beat], sent: float) -> None:
        for beat in beats:
            lease = self._leases.get(beat.run_id)
            if lease is None:
                continue
            if beat.verdict == "lost":
                log.warning("a run was lost", extra={"run_id": beat.run_id})
                lease.lose()
                continue
            lease.extend(sent + usable(beat.lease_seconds or lease.claim.lease_seconds))
            if beat.verdict == "cancel":
                lease.cancel()

    async def _watch_deadlines(self) -> None:
        while True:
            self._changed.clear()
            now = time.monotonic()
            live = [lease for lease in self._leases.values() if not lease.lost.is_set()]
            for lease in live:
                if now >= lease.deadline:
                    log.error("a lease ran out without an answered heartbeat", extra={"run_id": lease.claim.run_id})
                    lease.lose()
            ahead = [lease.deadline - now for lease in live if not lease.lost.is_set()]
            try:
                async with asyncio.timeout(max(0.01, min(ahead)) if ahead else None):
                    await self._changed.wait()
            except TimeoutError:
                pass
