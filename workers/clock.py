"""The run's own time: its timeout does not count while a gate waits for a person."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager


class RunClock:
    """Counts down `seconds`, stands still while it is stopped, and calls `on_end` when they are over."""

    def __init__(self, seconds: float, on_end: Callable[[], object]) -> None:
        self._left = seconds
        self._on_end = on_end
        self._stops = 0
        self._go()

    def close(self) -> None:
        """Nothing is called any more."""
        self._alarm.cancel()

    @contextmanager
    def stopped(self) -> Generator[None]:
        """While this is open no time passes."""
        if self._stops == 0:
            self._alarm.cancel()
            self._left -= asyncio.get_running_loop().time() - self._began
        self._stops += 1
        try:
            yield
        finally:
            self._stops -= 1
            if self._stops == 0:
                self._go()

    def _go(self) -> None:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._alarm = loop.call_later(max(0.0, self._left), self._on_end)
