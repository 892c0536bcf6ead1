"""The sweep: every worker ends stuck runs, whoever had them; the database lets one at a time do it."""

import asyncio
import logging
import random
from typing import Final

from opsroom.domain.errors import OpsRoomError
from workers.metrics import Metrics
from workers.store import Refused, Store, Swept, Unavailable

log = logging.getLogger(__name__)

AFTERWARDS: Final = 0.005
"""What is due is over only after that moment, and the answer's seconds are rounded."""


class Sweeper:
    """Sweeps every `interval` seconds or so, and sooner when something becomes due."""

    def __init__(self, store: Store, interval: float, metrics: Metrics) -> None:
        self._store = store
        self._interval = interval
        self._metrics = metrics
        self._held = False

    async def run(self) -> None:
        """Until cancelled."""
        due_in: float | None = None
        while True:
            await asyncio.sleep(self._pause(due_in))
            due_in = None
            try:
                swept = await self._store.sweep_runs()
            except (Unavailable, Refused, OpsRoomError) as error:
                log.warning("a sweep failed", extra={"error": str(error)})
            else:
                self._tell(swept)
                due_in = swept.due_in

    def _pause(self, due_in: float | None) -> float:
        # Jitter, so that the workers' sweeps do not meet.
        regular = self._interval * random.uniform(0.75, 1.25)  # noqa: S311
        return regular if due_in is None else min(regular, due_in + AFTERWARDS)

    def _tell(self, swept: Swept) -> None:
        for how, count in (("lost", swept.lost), ("timed_out", swept.timed_out), ("retried", swept.retried)):
            if count:
                self._metrics.swept.labels(how).inc(count)
                log.warning("a sweep ended stuck runs", extra={"how": how, "count": count})
        self._metrics.sweep_held.set(swept.held)
        if swept.held and not self._held:
            log.error("most leases or connections ended together: the sweep holds back for one lease")
        self._held = swept.held
