"""Collecting: what is past its retention goes, and so do objects that nothing names. The database decides, for one
worker at a time; this asks it, and deletes from Storage what it names, whose bytes only Storage can remove.
"""

import asyncio
import logging
import random

import httpx

from opsroom.domain.errors import OpsRoomError
from workers.services import Services
from workers.store import Collected, Refused, Unavailable
from workers.store.objects import DeleteRefused

log = logging.getLogger(__name__)


class Collector:
    """Collects every `OPSROOM_WORKER_COLLECT_SECONDS` or so, and when it is told to."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._objects = services.objects
        self._metrics = services.metrics
        self._seconds = services.settings.collect_seconds
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Somebody began a collection, and there are objects to delete."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                # Jitter, so that the workers do not come together; the first time as well.
                async with asyncio.timeout(self._seconds * random.uniform(0.5, 1)):  # noqa: S311  not a secret
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                while await self._collect():
                    pass
            except (Unavailable, Refused, OpsRoomError, DeleteRefused) as error:
                log.warning("a collection failed", extra={"error": str(error)})
            except httpx.TransportError as error:
                log.warning("a collection failed", extra={"error": str(error) or type(error).__name__})

    async def _collect(self) -> bool:
        """Whether there is more to do at once."""
        collected = await self._store.collect_evidence()
        self._tell(collected)
        for bucket in sorted({item.bucket for item in collected.objects}):
            await self._objects.delete(bucket, [item.name for item in collected.objects if item.bucket == bucket])
        if collected.objects:
            # What Storage has not deleted stays on the database's list, and is tried again later.
            gone = await self._store.forget_objects(collected.objects)
            self._metrics.collected.labels("objects").inc(gone)
        return collected.more

    def _tell(self, collected: Collected) -> None:
        counts = {
            "log_lines": collected.logs.lines,
            "artifacts": collected.artifacts.count,
            "orphans": collected.orphans,
        }
        for what, count in counts.items():
            self._metrics.collected.labels(what).inc(count)
        if any(counts.values()):
            log.info("evidence past its retention was collected", extra=counts)
