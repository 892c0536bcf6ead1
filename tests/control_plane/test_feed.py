"""The feed: rings for every change, says how fresh it is, and comes back from everything."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest
from realtime import AsyncRealtimeClient

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.control_plane.models import Session
from opsroom.control_plane.realtime import Feed, FeedState, Liveness, Ring
from opsroom.control_plane.topic_socket import TopicSocket
from tests.support.gateway import Gateway

URL = {"url": "https://example.org/health"}


@pytest.fixture
async def own_gateway(gateway: Gateway) -> AsyncIterator[Gateway]:
    """A second gateway for the same database, to be stopped without disturbing other tests."""
    own = Gateway(gateway.stack)
    await own.start()
    yield own
    await own.stop()


class Watcher:
    """A reader as a page is one: reads at each ring, and says when a read did not succeed."""

    def __init__(
        self,
        room: ControlPlane,
        topics: tuple[str, ...],
        read: Callable[[Ring], object],
        poll_seconds: float,
        least_seconds: float,
    ) -> None:
        self.rings: list[Ring] = []
        self.states: list[FeedState] = []
        self._read = read
        self._moved = asyncio.Event()
        self.feed = room.feed(
            *topics, poll_seconds=poll_seconds, least_seconds=least_seconds, on_state=self.state_changed
        )

    def state_changed(self, state: FeedState) -> None:
        self.states.append(state)
        self._moved.set()

    async def run(self) -> None:
        async for ring in self.feed:
            self.rings.append(ring)
            self._moved.set()
            try:
                result = self._read(ring)
                if asyncio.iscoroutine(result):
                    await result
            except ControlPlaneUnreachable:
                self.feed.failed(ring)

    async def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    async def until_liveness(self, liveness: Liveness, seconds: float = 30) -> None:
        await self.until(lambda: self.feed.state.liveness == liveness, seconds)


@contextlib.asynccontextmanager
async def watching(
    room: ControlPlane,
    *topics: str,
    read: Callable[[Ring], object] = lambda _: None,
    poll_seconds: float = 0.3,
    least_seconds: float = 0.0,
) -> AsyncIterator[Watcher]:
    watcher = Watcher(room, topics, read, poll_seconds, least_seconds)
    async with watcher.feed:
        task = asyncio.create_task(watcher.run())
        try:
            yield watcher
        finally:
            await watcher.feed.close()
            await task


async def test_a_change_rings_with_what_changed(operator: ControlPlane, session: Session) -> None:
    async with watching(operator, f"session:{session.id}") as watcher:
        await watcher.until_liveness("live")
        watcher.rings.clear()
        run = await operator.create_run(session.id, "http-healthcheck", URL)
        await watcher.until(lambda: any(ring.cause == "changed" and run.id in ring.ids for ring in watcher.rings), 5)


async def test_a_change_is_heard_within_300_milliseconds(operator: ControlPlane, session: Session) -> None:
    run = await operator.create_run(session.id, "http-healthcheck", URL)
    async with watching(operator, f"run:{run.id}", poll_seconds=60) as watcher:
        await watcher.until_liveness("live")
        watcher.rings.clear()
        started = time.monotonic()
        await operator.cancel_run(run.id)
        await watcher.until(lambda: bool(watcher.rings), 5)
        assert time.monotonic() - started < 0.3


async def test_a_burst_melts_into_few_rings(operator: ControlPlane, session: Session) -> None:
    async with watching(operator, f"session:{session.id}", poll_seconds=60, least_seconds=0.1) as watcher:
        await watcher.until_liveness("live")
        watcher.rings.clear()
        started = time.monotonic()
        runs = await asyncio.gather(*(operator.create_run(session.id, "http-healthcheck", URL) for _ in range(20)))
        await watcher.until(lambda: {run.id for run in runs} <= {i for ring in watcher.rings for i in ring.ids}, 10)
        assert len(watcher.rings) <= 2 + (time.monotonic() - started) / 0.1


async def test_a_topic_can_be_added_and_dropped(operator: ControlPlane, session: Session) -> None:
    async with watching(operator, "sessions", poll_seconds=60) as watcher:
        await watcher.until_liveness("live")
        watcher.feed.watch(f"session:{session.id}")
        joined = [Ring(f"session:{session.id}", "resync")] * 2  # at once, and again when the topic was joined
        await watcher.until(lambda: [r for r in watcher.rings if r.topic != "sessions"] == joined, 5)
        await watcher.until_liveness("live")
        await operator.create_run(session.id, "http-healthcheck", URL)
        await watcher.until(lambda: watcher.rings[-1].cause == "changed", 5)
        watcher.feed.unwatch(f"session:{session.id}")
        watcher.rings.clear()
        await operator.create_run(session.id, "http-healthcheck", URL)
        await watcher.until(lambda: any(ring.topic == "sessions" for ring in watcher.rings), 5)
        assert {ring.topic for ring in watcher.rings} == {"sessions"}


def _fail(_: FeedState) -> None:
    raise ValueError("a reader's own mistake")


async def test_a_state_callback_that_raises_does_not_silence_the_feed(operator: ControlPlane, session: Session) -> None:
    feed = Feed(operator.connection, operator.credentials, [f"session:{session.id}"], on_state=_fail)
    async with feed, asyncio.timeout(10):
        while feed.state.liveness != "live":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(anext(feed), 0.2)
        run = await operator.create_run(session.id, "http-healthcheck", URL)
        while run.id not in (await anext(feed)).ids:
            pass


@pytest.mark.timeout(120)
async def test_it_comes_back_after_an_outage_longer_than_the_library_survives(
    own_gateway: Gateway, operator: ControlPlane, session: Session
) -> None:
    """supabase-py gives up for good after about 15 seconds; what happened meanwhile must be read afterwards."""
    person = await own_gateway.person("operator")
    async with own_gateway.room(person) as room:
        seen: set[str] = set()

        async def read(_: Ring) -> None:
            board = await room.read_board(session.id)
            seen.update(card.id for lane in board.lanes for card in lane.queue)

        async with watching(room, f"session:{session.id}", read=read) as watcher:
            await watcher.until_liveness("live")
            await own_gateway.stop()
            stopped = time.monotonic()
            await watcher.until_liveness("stale")
            missed = await operator.create_run(session.id, "http-healthcheck", URL)
            await asyncio.sleep(max(0, 16 - (time.monotonic() - stopped)))  # the outage itself is what is tested
            assert watcher.feed.state.liveness == "stale"
            assert missed.id not in seen
            await own_gateway.start()
            await watcher.until_liveness("live", 30)
            assert missed.id in seen
            later = await operator.create_run(session.id, "http-healthcheck", URL)
            await watcher.until(
                lambda: later.id in seen or bool(watcher.rings and later.id in watcher.rings[-1].ids), 5
            )


async def test_without_realtime_it_polls(
    operator: ControlPlane, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: AsyncRealtimeClient) -> None:
        raise OSError("no way through for websockets")

    monkeypatch.setattr(AsyncRealtimeClient, "connect", refuse)
    async with watching(operator, f"session:{session.id}", poll_seconds=0.2) as watcher:
        await watcher.until(lambda: sum(ring.cause == "tick" for ring in watcher.rings) >= 3)
        assert watcher.feed.state.liveness == "polling"
        assert "no way through" in (watcher.feed.state.reason or "")
        monkeypatch.undo()
        await watcher.until_liveness("live")


async def test_a_dead_listening_task_is_noticed(
    operator: ControlPlane, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client still calls itself connected then; only the task tells."""
    clients: list[AsyncRealtimeClient] = []
    connect = AsyncRealtimeClient.connect

    async def remember(client: AsyncRealtimeClient) -> None:
        clients.append(client)
        await connect(client)

    monkeypatch.setattr(AsyncRealtimeClient, "connect", remember)
    async with watching(operator, f"session:{session.id}", poll_seconds=60) as watcher:
        await watcher.until_liveness("live")
        listening = vars(clients[0])["_listen_task"]
        assert isinstance(listening, asyncio.Task), "TopicSocket watches this attribute of the client"
        listening.cancel()
        await watcher.until(lambda: len(clients) == 2 and watcher.feed.state.liveness == "live", 10)
        run = await operator.create_run(session.id, "http-healthcheck", URL)
        await watcher.until(lambda: any(run.id in ring.ids for ring in watcher.rings), 5)


async def test_a_failed_read_rings_again(operator: ControlPlane, session: Session) -> None:
    attempts = 0

    def read(_: Ring) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise ControlPlaneUnreachable("not now")

    async with watching(operator, f"session:{session.id}", read=read, poll_seconds=0.1) as watcher:
        await watcher.until(lambda: "stale" in [state.liveness for state in watcher.states])
        await watcher.until_liveness("live")
        assert attempts >= 4


async def test_a_renewed_token_reaches_the_open_socket(gateway: Gateway, session: Session) -> None:
    async with gateway.room(await gateway.person("operator")) as room:
        credentials = room.credentials
        heard: list[str] = []
        async with TopicSocket(room.connection, credentials, lambda topic, _: heard.append(topic)) as socket:
            await socket.set_topics(frozenset({f"session:{session.id}"}))
            first = credentials.tokens.access_token
            tokens = credentials.tokens.model_copy(update={"expires_at": 0.0})
            vars(credentials)["_tokens"] = tokens
            vars(socket)["_renew_at"] = 0.0
            waiting = asyncio.create_task(socket.wait(asyncio.Event()))
            async with asyncio.timeout(5):
                while vars(socket)["_token"] == first:
                    await asyncio.sleep(0.02)
            await room.create_run(session.id, "http-healthcheck", URL)
            async with asyncio.timeout(5):
                while not heard:
                    await asyncio.sleep(0.02)
            assert not waiting.done()
            waiting.cancel()


async def test_a_topic_of_strangers_is_refused(gateway: Gateway, session: Session) -> None:
    nobody = await gateway.person(None)
    async with gateway.room(nobody) as stranger, watching(stranger, f"session:{session.id}") as watcher:
        await watcher.until(lambda: "refused the topic" in (watcher.feed.state.reason or ""), 10)
        assert watcher.feed.state.liveness != "live"


async def test_closing_leaves_no_task_behind(operator: ControlPlane, session: Session) -> None:
    before = asyncio.all_tasks()
    async with watching(operator, f"session:{session.id}", "sessions") as watcher:
        await watcher.until_liveness("live")
        watcher.feed.unwatch("sessions")
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert not left
