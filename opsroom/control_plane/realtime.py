"""The feed: doorbells that say "read again", and what to trust while they are silent.

Realtime is a doorbell, the tables are the truth. A `Feed` rings for each topic whenever its reader should read: a
change was broadcast, the connection was made anew and anything may have been missed, or there is no connection and it
is time to poll. Rings that arrive while the reader is busy melt into one. A change of a run's status rings its session,
by name: a feed of `run:<id>` hears that too, and passes on what concerns the run. So a reader is one loop::

    async with control_plane.feed("session:" + session_id) as feed:
        async for ring in feed:
            try:
                board = await control_plane.read_board(session_id)
            except ControlPlaneUnreachable:
                feed.failed(ring)  # rings again after a while
"""

import asyncio
import contextlib
import datetime as dt
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Self

from opsroom.control_plane.auth import Credentials
from opsroom.control_plane.config import Connection
from opsroom.control_plane.pacing import Pace
from opsroom.control_plane.rings import Cause, FeedState, Liveness, Ring
from opsroom.control_plane.topic_socket import TopicSocket
from opsroom.domain.errors import Forbidden, NotAMember, NotAuthenticated, OpsRoomError, RunNotFound

__all__ = ["Cause", "Feed", "FeedState", "Liveness", "Ring"]

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS: Final = 0.5
LAST_BACKOFF_SECONDS: Final = 2.5
"""Short, so that a feed is live again within 3 s of Realtime's return, however long that was gone."""

RUN: Final = "run:"


class Feed:
    """Rings for topics. An async context manager, for one reader; closing it leaves no task and no socket behind."""

    def __init__(
        self,
        connection: Connection,
        credentials: Credentials,
        topics: Iterable[str] = (),
        *,
        poll_seconds: float = 2.0,
        least_seconds: float = 0.0,
        on_state: Callable[[FeedState], None] | None = None,
        session_of: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        self._connection = connection
        self._credentials = credentials
        self._topics = set(topics)
        self._poll_seconds = poll_seconds
        self._least_seconds = least_seconds
        self._on_state = on_state
        self._session_of = session_of
        self._sessions: dict[str, str] = {}
        """The session's topic of each run's."""
        self._pending: dict[str, Ring] = {}
        self._paces: dict[str, Pace] = {}
        self._handed_out: Ring | None = None
        self._unread: set[str] = set(self._topics)
        self._failing: set[str] = set()
        self._rung = asyncio.Event()
        self._topics_changed = asyncio.Event()
        self._back = asyncio.Event()
        self._socket: TopicSocket | None = None
        self._reason: str | None = None
        self._ended: OpsRoomError | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._read_at = _now()
        self._state = FeedState("catching_up", self._read_at)

    @property
    def state(self) -> FeedState:
        """How fresh the reader's picture is."""
        return self._state

    # --- the reader's side ---

    async def __aenter__(self) -> Self:
        for topic in self._topics:
            self._ring(Ring(topic, "resync"))
        self._tasks = (
            asyncio.create_task(self._keep_connected(), name="feed: connection"),
            asyncio.create_task(self._poll(), name="feed: poll"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the feed: its iterator stops, its tasks and its socket are gone when this returns."""
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._rung.set()

    def watch(self, topic: str) -> None:
        """Add a topic; it rings at once, so that its reader starts from a read."""
        self._topics.add(topic)
        self._unread.add(topic)
        self._ring(Ring(topic, "resync"))
        self._topics_changed.set()

    def unwatch(self, topic: str) -> None:
        """Drop a topic; it does not ring any more."""
        self._topics.discard(topic)
        for known in (self._pending, self._paces, self._sessions):
            known.pop(topic, None)
        self._unread.discard(topic)
        self._failing.discard(topic)
        self._topics_changed.set()

    def ask(self, topic: str) -> None:
        """Ring for a topic now: for what changes without a doorbell, as heartbeats do."""
        self._ring(Ring(topic, "tick"))

    def failed(self, ring: Ring) -> None:
        """The read that `ring` asked for did not succeed: the feed is stale, and rings for it again at the poll
        interval.
        """
        if self._handed_out == ring:
            self._handed_out = None
        if ring.topic in self._topics:
            self._failing.add(ring.topic)
            self._unread.add(ring.topic)
        self._update_state()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Ring:
        """The next ring. Asking for it says that the one before was read. Raises NotAuthenticated when the sign-in has
        ended.
        """
        self._was_read()
        while self._tasks:
            if self._ended:
                raise self._ended
            self._rung.clear()
            if self._pending:
                topic, wait = self._soonest()
                if wait <= 0:
                    self._pace(topic).rang()
                    self._handed_out = self._pending.pop(topic)
                    return self._handed_out
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._rung.wait(), wait)
            else:
                await self._rung.wait()
        raise StopAsyncIteration

    def _soonest(self) -> tuple[str, float]:
        due = {
            topic: 0.0 if ring.cause == "resync" else self._pace(topic).wait() for topic, ring in self._pending.items()
        }
        topic = min(due, key=due.__getitem__)
        return topic, due[topic]

    def _pace(self, topic: str) -> Pace:
        return self._paces.setdefault(topic, Pace(self._least_seconds))

    def _was_read(self) -> None:
        ring, self._handed_out = self._handed_out, None
        if ring is None or ring.topic not in self._topics:
            return
        self._pace(ring.topic).was_read()
        self._read_at = _now()
        if ring.topic in self._failing:
            self._back.set()  # what answers reads again is likely to take connections again
        self._failing.discard(ring.topic)
        if ring.topic not in self._pending:
            self._unread.discard(ring.topic)
        self._update_state()

    # --- the connection's side ---

    def _ring(self, ring: Ring) -> None:
        if ring.topic not in self._topics:
            return
        waiting = self._pending.get(ring.topic)
        self._pending[ring.topic] = waiting.merge(ring) if waiting else ring
        self._pace(ring.topic).changed()
        if ring.cause == "resync":
            self._unread.add(ring.topic)
        self._rung.set()

    def _heard(self, topic: str, payload: Mapping[str, Any]) -> None:
        what, seq, named = payload.get("what"), payload.get("seq"), payload.get("run_ids")
        lanes: list[Any] = payload.get("lanes") or []
        told: list[Any] = [*named] if isinstance(named, list) else [payload.get("run_id"), payload.get("session_id")]
        ids = frozenset(item for item in told if isinstance(item, str))
        about = frozenset([what] if isinstance(what, str) else [])
        where = frozenset(lane for lane in lanes if isinstance(lane, str))
        self._ring(Ring(topic, "changed", ids, about, where, seq if isinstance(seq, int) else None))
        if what == "run":
            for run, session in self._sessions.items():
                if session == topic and (not ids or run.removeprefix(RUN) in ids):
                    self._ring(Ring(run, "changed", what=about))

    async def _keep_connected(self) -> None:
        """Hold a socket for ever: a new one after each loss, with backoff. A new socket has none of the old one's
        faults.
        """
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            try:
                async with TopicSocket(self._connection, self._credentials, self._heard) as socket:
                    await self._stay_connected(socket)
            except NotAuthenticated as error:
                self._ended = error
                self._rung.set()
                return
            except Exception as error:  # whatever the socket or the network does, the feed goes on
                self._reason = str(error) or type(error).__name__
                log.info("realtime connection lost", extra={"url": self._connection.url, "reason": self._reason})
            backoff = FIRST_BACKOFF_SECONDS if self._socket else min(backoff * 2, LAST_BACKOFF_SECONDS)
            self._socket = None
            self._update_state()
            self._back.clear()
            with contextlib.suppress(TimeoutError):  # the jitter spreads reconnects, and hides nothing
                await asyncio.wait_for(self._back.wait(), backoff * random.uniform(0.5, 1.0))  # noqa: S311

    async def _stay_connected(self, socket: TopicSocket) -> None:
        while True:
            self._topics_changed.clear()
            # A join replays nothing, so what happened before it must be read after it.
            await self._find_sessions()
            joined = await socket.set_topics(frozenset(self._topics) | frozenset(self._sessions.values()))
            for topic in self._topics:
                if topic in joined or self._sessions.get(topic) in joined:
                    self._ring(Ring(topic, "resync"))
            self._socket, self._reason = socket, None
            self._update_state()
            await socket.wait(self._topics_changed)

    async def _find_sessions(self) -> None:
        for topic in [topic for topic in self._topics if topic.startswith(RUN)]:
            if self._session_of and topic not in self._sessions:
                # Of one that is not there, or may not be read, the reader hears when it reads it.
                with contextlib.suppress(RunNotFound, Forbidden, NotAMember):
                    session = await self._session_of(topic.removeprefix(RUN))
                    if topic in self._topics:
                        self._sessions[topic] = f"session:{session}"

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            for topic in set(self._topics) if self._socket is None else set(self._failing):
                self._ring(Ring(topic, "tick" if self._socket is None else "resync"))

    def _update_state(self) -> None:
        if self._failing:
            liveness: Liveness = "stale"
        elif self._socket is None:
            liveness = "polling" if not self._unread else "catching_up"
        else:
            liveness = "catching_up" if self._unread else "live"
        if liveness == self._state.liveness and self._reason == self._state.reason:
            return
        since = self._state.since if liveness == self._state.liveness else _now()
        self._state = FeedState(liveness, self._read_at if liveness == "stale" else since, self._reason)
        if self._on_state:
            try:
                self._on_state(self._state)
            except Exception:
                log.exception("a feed's state callback failed")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
