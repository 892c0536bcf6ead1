"""Evidence: a run's events, written by one writer in numbered batches.

Batches are numbered 1, 2, 3… and a batch whose acknowledgement was lost is sent again under its number, so nothing is
lost and nothing is written twice. Whoever emits waits when too much is unwritten; heartbeats do not pass here. The
last batch goes with the run's end, in one call: of a short run it is the only one.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pydantic import JsonValue

from opsroom.domain.errors import OpsRoomError
from opsroom.domain.events import MAX_MESSAGE_BYTES, Level, WorkerEventType
from workers.lease import Lease
from workers.metrics import Metrics
from workers.secrets import Masker
from workers.store import Batch, Store

LINGER_SECONDS: Final = 0.02
"""What a run says waits so long for company: it may be all that there is."""
QUIET_SECONDS: Final = 0.25
"""What nobody has said, that a step began or ended, waits so long for what is said, or for the run's end."""
SAID: Final = frozenset({"output", "log", "metric"})
BATCH_SECONDS: Final = 0.1
"""Between two batches of a run, unless they are full."""
BATCH_EVENTS: Final = 500
BATCH_BYTES: Final = 1 << 20
LAST_BATCH_BYTES: Final = 1 << 16
"""Of a batch that goes with the run's end, in one call with the ends of other runs."""
UNWRITTEN_BYTES: Final = 4 << 20
EVENT_OVERHEAD: Final = 200

_Event = dict[str, JsonValue]


class Evidence:
    """The events of one run, from its start to its end."""

    def __init__(self, store: Store, lease: Lease[Any], masker: Masker, metrics: Metrics) -> None:
        self._store = store
        self._lease = lease
        self._masker = masker
        self._metrics = metrics
        self._unwritten: deque[_Event] = deque()
        self._bytes = 0
        self._batch = 0
        self._due = math.inf
        """When the unwritten has to be on its way, on the monotonic clock."""
        self._closing = False
        self._wake = asyncio.Event()
        """Set when the writer has to look at the above again."""
        self._room = asyncio.Event()
        self._room.set()
        self._written = asyncio.Event()
        self._written.set()
        self.on_broken: Callable[[], object] = lambda: None
        """Called when the control plane refuses the events; `conclude` then raises why."""
        self._writer: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None

    async def emit(
        self,
        kind: WorkerEventType,
        step: str | None,
        message: str = "",
        *,
        level: Level = "info",
        data: dict[str, JsonValue] | None = None,
    ) -> None:
        """Add one event; masked, cut to the longest message there may be."""
        self._add(kind, step, shortened(self._masker.mask(message)), level, data or {})
        await self._wait_for_room()

    async def output(self, step: str, stream: str, text: str, partial: bool) -> None:
        """Add output that is masked and cut already; joined with the chunk before where both fit into one event."""
        last = self._unwritten[-1] if self._unwritten else None
        data: dict[str, JsonValue] = {"stream": stream, "partial": True} if partial else {"stream": stream}
        if last and last["type"] == "output" and last["step"] == step and last["data"] == {"stream": stream}:
            joined = f"{last['message']}\n{text}"
            if len(joined) * 4 <= MAX_MESSAGE_BYTES or len(joined.encode()) <= MAX_MESSAGE_BYTES:
                last["message"], last["data"] = joined, data
                self._bytes += len(text)
                await self._wait_for_room()
                return
        self._add("output", step, text, "info", data)
        await self._wait_for_room()

    async def flush(self) -> None:
        """Returns when everything so far is in the database, or the writer has ended."""
        if self._unwritten:
            self._write_by(0)
        await self._written.wait()

    async def conclude(self) -> Batch | None:
        """Write all but the last batch; that one is handed out, to go with the run's end.

        Raises what the writer died of.
        """
        self._closing = True
        if self._linger:
            self._linger.cancel()
        if self._bytes > LAST_BATCH_BYTES:
            self._begin_writing()
        if self._writer:
            self._wake.set()
            await self._writer
        return self._next_batch() if self._unwritten else None

    def abandon(self) -> None:
        """Stop writing: the run is not this worker's any more, or it is concluded."""
        if self._linger:
            self._linger.cancel()
        if self._writer:
            self._writer.cancel()
        self._room.set()

    def _add(self, kind: str, step: str | None, message: str, level: str, data: dict[str, JsonValue]) -> None:
        self._unwritten.append({"type": kind, "step": step, "level": level, "message": message, "data": data})
        self._bytes += len(message) + EVENT_OVERHEAD
        self._written.clear()
        self._write_by(time.monotonic() + (LINGER_SECONDS if kind in SAID else QUIET_SECONDS))
        if self._bytes >= BATCH_BYTES:
            self._wake.set()

    def _write_by(self, due: float) -> None:
        """At the latest. Most runs are over before they need a writer: then there is none."""
        if due >= self._due:
            return
        self._due = due
        if self._writer:
            self._wake.set()
        else:
            if self._linger:
                self._linger.cancel()
            self._linger = asyncio.get_running_loop().call_later(due - time.monotonic(), self._begin_writing)

    def _begin_writing(self) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_for_ever())

    async def _wait_for_room(self) -> None:
        if self._bytes > UNWRITTEN_BYTES and not (self._writer and self._writer.done()):
            self._begin_writing()
            self._room.clear()
            await self._room.wait()

    async def _write_for_ever(self) -> None:
        last = -math.inf
        try:
            while True:
                await self._until_due(last + BATCH_SECONDS)
                if self._closing and self._bytes <= LAST_BATCH_BYTES:
                    return
                last = time.monotonic()
                held = await self._store.append_events(self._lease.claim, self._next_batch())
                if held.verdict == "lost":
                    self._lease.lose()
                    return
                if not self._unwritten:
                    self._written.set()
        except OpsRoomError:
            self.on_broken()
            raise
        finally:
            self._room.set()
            self._written.set()

    async def _until_due(self, earliest: float) -> None:
        """Until there is something to write that is due, or much, or the run is over."""
        while not self._closing and self._bytes < BATCH_BYTES:
            wait = max(earliest, self._due) - time.monotonic()
            if wait <= 0:
                return
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait if wait < math.inf else None):
                    await self._wake.wait()

    def _next_batch(self) -> Batch:
        events = self._take()
        self._batch += 1
        self._metrics.event_batches.inc()
        self._metrics.events.inc(len(events))
        return Batch(self._batch, events)

    def _take(self) -> list[_Event]:
        events: list[_Event] = []
        size = 0
        while self._unwritten and len(events) < BATCH_EVENTS and size < BATCH_BYTES:
            event = self._unwritten.popleft()
            size += len(str(event["message"])) + EVENT_OVERHEAD
            events.append(event)
        self._bytes = max(0, self._bytes - size) if self._unwritten else 0
        if not self._unwritten:
            self._due = math.inf
        if self._bytes <= UNWRITTEN_BYTES // 2:
            self._room.set()
        return events


def shortened(message: str) -> str:
    """Without NUL characters, and cut to the longest message there may be."""
    data = message.replace("\x00", "\ufffd").encode(errors="replace")
    if len(data) <= MAX_MESSAGE_BYTES:
        return data.decode()
    return data[: MAX_MESSAGE_BYTES - 4].decode(errors="ignore") + "…"
