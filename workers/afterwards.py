"""What a worker does about runs that have ended, in the background: bundles, checkpoints, verdicts about replays,
and the collection of what is past its time.
"""

from collections.abc import Coroutine, Iterator
from typing import Any

from opsroom.domain.lifecycle import TERMINAL
from workers.bundler import Bundler
from workers.checkpoints import publisher
from workers.collector import Collector
from workers.comparer import Comparer
from workers.services import Services


class Afterwards:
    """None of it delays a run. Without a signing key there are no bundles and no checkpoints."""

    def __init__(self, services: Services) -> None:
        key, root = services.settings.signing_key, services.settings.work_root
        self._bundler = Bundler(services.store, services.objects, key, root) if key else None
        self._publisher = publisher(services)
        self._comparer = Comparer(services, self._bundle)
        self._collector = Collector(services)

    def work(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What goes on until it is cancelled, by name."""
        yield "comparisons", self._comparer.run()
        yield "collection", self._collector.run()
        if self._bundler:
            yield "bundles", self._bundler.run()
        if self._publisher:
            yield "checkpoints", self._publisher.run()

    def ended(self, run_id: str, outcome: str) -> None:
        """A run of this worker has ended, or has left its hands."""
        if outcome in TERMINAL:
            self._bundle(run_id)

    def compare_now(self) -> None:
        """A replay has ended, this worker's or another's."""
        self._comparer.look()

    def collect_now(self) -> None:
        """Somebody began a collection."""
        self._collector.wake()

    def _bundle(self, run_id: str) -> None:
        if self._bundler:
            self._bundler.ended(run_id)

    async def finish(self, seconds: float) -> None:
        """Make what can not wait before the worker goes, for as long as that."""
        if self._bundler:
            await self._bundler.finish(seconds)
