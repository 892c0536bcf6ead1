"""The run's own time: its timeout does not count while a gate waits for a person."""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager


class RunClock:
    """Counts down `seconds`, and stands still while it is stopped."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._stops = 0
        self._changed = asyncio.Event()

    async def run_out(self) -> None:
        """Returns when the time is over."""
        while True:
            self._changed.clear()
            if self._stops:
                await self._changed.wait()
                continue
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._left):
                    await self._changed.wait()
            except TimeoutError:
                return
            self._left -= time.monotonic() - began

    @contextmanager
    def stopped(self) -> Generator[None]:
        """While this is open no time passes."""
        self._stops += 1
        self._changed.set()
        try:
            yield
        finally:
            self._stops -= 1
            self._changed.set()
