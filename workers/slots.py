"""A worker's slots: the runs that it has under way, and when it is worth asking for more."""

import asyncio
import contextlib
import functools
import time
from typing import Final

from workers.execution import RunExecution
from workers.metrics import Metrics
from workers.store import LINGER_SECONDS

YOUNG_SECONDS: Final = 0.1
"""Runs that began so lately may be as short as that: a call is worth waiting a moment for half of them."""


class Slots:
    """`runs` and, of those that end together, how many they are: by the task that executes them."""

    def __init__(self, count: int, metrics: Metrics) -> None:
        self._count = count
        self._metrics = metrics
        self.runs: dict[asyncio.Task[None], RunExecution] = {}
        self.together: dict[asyncio.Task[None], int] = {}
        self._over: set[asyncio.Task[None]] = set()
        self.wake = asyncio.Event()
        """Set when there may be something to claim: a run is queued, a slot came free, the worker drains."""
        self.more = False
        """Whether there is probably more to claim than fitted the last time."""

    @property
    def active(self) -> int:
        return len(self.runs) + sum(self.together.values())

    @property
    def free(self) -> int:
        """A run whose end is being told takes no slot; but no more ends than slots are waited for in this way."""
        return self._count - self.active + min(len(self._over), self._count)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        return {*self.runs, *self.together}

    def take(self, task: asyncio.Task[None], taken: RunExecution | int) -> None:
        """Until the task ends, by one run or by so many that end together."""
        if isinstance(taken, int):
            self.together[task] = taken
        else:
            self.runs[task] = taken
            taken.on_over = functools.partial(self._leave, task)
        self._metrics.runs_active.set(self.active)
        task.add_done_callback(self._give_back)

    def _leave(self, task: asyncio.Task[None]) -> None:
        self._over.add(task)
        # Its lane has no free slot before its end is told: worth a look only if other lanes are waiting.
        if self.more:
            self.wake.set()

    def _give_back(self, task: asyncio.Task[None]) -> None:
        self.runs.pop(task, None)
        self.together.pop(task, None)
        self._over.discard(task)
        self._metrics.runs_active.set(self.active)
        # Its lane has a free slot now, and so has this worker.
        self.wake.set()

    def enough(self) -> int:
        """How many runs are worth a call: one, and half of those that may end in a moment."""
        lately = time.monotonic() - YOUNG_SECONDS
        return max(1, sum(execution.began > lately for execution in self.runs.values()) // 2)

    async def gather(self, draining: asyncio.Event) -> None:
        """Waits a moment while more slots are about to come free: runs that are claimed together start together too,
        and three calls for four runs cost little more than three for one.
        """
        until = time.monotonic() + LINGER_SECONDS
        while 0 < self.free < self.enough() and not draining.is_set() and (left := until - time.monotonic()) > 0:
            self.wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self.wake.wait()
