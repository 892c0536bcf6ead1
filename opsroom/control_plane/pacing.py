"""When a topic may ring its reader: soon after a change, but so that a burst of changes costs one read, and so that a
reader whose reads take long is not kept busy with nothing else.
"""

import time
from typing import Final

SETTLE_SECONDS: Final = 0.01
"""From the first of several changes until their reader is told: those that come together are read together."""
SETTLE_SHARE: Final = 0.25
"""Of `least`: what need not be read often need not be read first."""
REST_SHARE: Final = 0.25
"""Of the time that a read took: for so long its topic rests after it, so that the rest of the room has its turn."""
LONGEST_REST_SECONDS: Final = 0.5


class Pace:
    """The pace of one topic's rings: at least `least` seconds from one to the next, and after each read a rest
    that is in proportion to it.
    """

    def __init__(self, least: float = 0.0) -> None:
        self._least = least
        self._changed_at: float | None = None
        self._rang_at = 0.0
        self._rests_until = 0.0

    def changed(self) -> None:
        """There is something to ring for."""
        if self._changed_at is None:
            self._changed_at = time.monotonic()

    def rang(self) -> None:
        """The reader was told, and reads."""
        self._changed_at, self._rang_at = None, time.monotonic()

    def was_read(self) -> None:
        """The reader has done so."""
        now = time.monotonic()
        self._rests_until = now + min((now - self._rang_at) * REST_SHARE, LONGEST_REST_SECONDS)

    def wait(self) -> float:
        """Seconds until the next ring is due; not positive when it is."""
        now = time.monotonic()
        due = max((self._changed_at or now) + max(SETTLE_SECONDS, self._least * SETTLE_SHARE), self._rests_until)
        if self._rang_at:
            due = max(due, self._rang_at + self._least)
        return due - now
