"""Live views: one subject (the session list, a board, a run) as one sign-in sees it, kept true in all tabs that show
it.

One reader per subject and sign-in: a doorbell, a poll or a tick makes it read the whole subject once, and what changed
is sent to all its tabs at once. A tab joins first and is given the picture second, so nothing can fall between the
two.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import reflex as rx

from opsroom.components.views import Freshness
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.control_plane.realtime import Feed, FeedState, Ring
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.room import broadcast
from opsroom.room.sign_ins import SignIn, sign_ins

log = logging.getLogger(__name__)

FIRST_READ_SECONDS: Final = 8.0
BUSY_SECONDS: Final = 2.5
IDLE_SECONDS: Final = 10.0
"""How often a subject is read without a doorbell. Heartbeats ring none, so a subject with live runs is read more
often.
"""


@dataclass(frozen=True)
class Picture:
    """All that a view shows, var by var. `busy`: something in it moves without ringing."""

    values: Mapping[str, Any]
    as_of: str
    busy: bool = False


@dataclass(frozen=True)
class Subject:
    """What is shown live: read whenever `topic` rings, into vars of `state`, its freshness into the var `freshness`.

    `name` tells it from others that the same topic rings for in the same state; a `lasting` one stays with a tab that
    goes to another page. `read_lanes`, where there is one, reads the vars of some lanes only, for a ring that names the
    lanes that changed. `pace` is the least time between two reads, in seconds, for what is dear to read and need not be
    of this moment.
    """

    topic: str
    read: Callable[[SignIn], Awaitable[Picture]]
    state: type[rx.State]
    freshness: str = "freshness"
    name: str = ""
    lasting: bool = False
    read_lanes: Callable[[SignIn, frozenset[str]], Awaitable[Picture]] | None = None
    pace: float = 0.0

    def room(self, sign_in: SignIn) -> str:
        """The tabs that show this to `sign_in`: one topic may be shown in several ways."""
        return f"{sign_in.key}:{self.topic}:{self.state.get_full_name()}.{self.freshness}:{self.name}"


class Live:
    """One subject for one sign-in. Runs from its first tab until a moment after its last one left."""

    def __init__(self, sign_in: SignIn, subject: Subject) -> None:
        self.room = subject.room(sign_in)
        self._sign_in = sign_in
        self._subject = subject
        self._values: dict[str, Any] = {}
        self._busy = False
        self._nothing = False
        self._as_of = ""
        self._feed: Feed | None = None
        self._first_read = asyncio.Event()
        self._problem: OpsRoomError | None = None
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun_after: list[asyncio.Future[None]] = []

    def start(self, ended: Callable[[], None]) -> None:
        """Begin to read; `ended` is called when it will not any more."""
        task = asyncio.create_task(self._run(ended), name=f"live: {self._subject.topic}")
        task.add_done_callback(lambda _: ended())
        self._keep(task)

    def look(self, sign_in: SignIn) -> None:
        """Read again now if this is a view of `sign_in`: it may have ended."""
        if sign_in is self._sign_in and self._feed:
            self._feed.ask(self._subject.topic)

    async def snapshot(self) -> dict[str, Any]:
        """The picture now. Raises what the first read raised, if it failed and nothing is known yet."""
        try:
            await asyncio.wait_for(self._first_read.wait(), FIRST_READ_SECONDS)
        except TimeoutError as error:
            raise ControlPlaneUnreachable(
                "The control plane did not answer in time.", hint="It is tried again all the time; wait a moment."
            ) from error
        if not self._values and self._problem:
            raise self._problem
        return {**self._values, self._subject.freshness: self._freshness()}

    async def renewed(self) -> None:
        """Wait for a read that begins after this call to be sent, or to fail; a while at most."""
        if self._feed is None:
            return
        self._begun_after.append(later := asyncio.get_running_loop().create_future())
        self._feed.ask(self._subject.topic)
        await asyncio.wait([later], timeout=FIRST_READ_SECONDS)

    async def show(self, target: str) -> None:
        """Send the whole picture to one tab: after joining, in the order of all that is sent."""
        if self._values:
            await self._send(target, self._values)

    def _freshness(self) -> Freshness:
        if self._nothing:
            return Freshness("none")
        state = self._feed.state if self._feed else None
        return Freshness(state.liveness, self._as_of, state.reason or "") if state else Freshness()

    async def _run(self, ended: Callable[[], None]) -> None:
        feed = self._feed = self._sign_in.control_plane.feed(
            self._subject.topic, least_seconds=self._subject.pace, on_state=self._liveness_changed
        )
        ticker = asyncio.create_task(self._tick(feed), name=f"live tick: {self._subject.topic}")
        try:
            async with feed:
                async for ring in feed:
                    if not sign_ins().is_open(self._sign_in):
                        raise NotAuthenticated("Signed out.")
                    waiting, self._begun_after = self._begun_after, []
                    try:
                        picture = await self._read(ring)
                    except NotAuthenticated:
                        raise
                    except OpsRoomError as error:
                        self._problem = error
                        self._first_read.set()
                        if not isinstance(error, ControlPlaneUnreachable) and not self._values:
                            self._nothing = True
                            await self._send(self.room, {})
                            break  # it does not exist, or may not be seen: reading again would not help
                        feed.failed(ring)
                    else:
                        await self._publish(picture)
                    finally:
                        _answer(waiting)
                    if broadcast.is_empty(self.room):
                        ended()  # before anything is awaited: a tab that joins from now on starts a new reader
                        break
        except NotAuthenticated as error:
            self._problem = error
            await sign_ins().forget(self._sign_in)
            await broadcast.send(
                self.room, self._subject.state, {self._subject.freshness: Freshness("signed_out", self._as_of)}
            )
        except Exception:
            log.exception("a live view ended", extra={"topic": self._subject.topic})
        finally:
            ticker.cancel()
            self._first_read.set()

    async def _read(self, ring: Ring) -> Picture:
        if not (self._subject.read_lanes and ring.lanes and self._values):
            return await self._subject.read(self._sign_in)
        part = await self._subject.read_lanes(self._sign_in, ring.lanes)
        return Picture({**self._values, **part.values}, part.as_of, busy=self._busy or part.busy)

    async def _tick(self, feed: Feed) -> None:
        silent = 0.0
        while True:
            await asyncio.sleep(BUSY_SECONDS)
            silent += BUSY_SECONDS
            if self._busy or silent >= IDLE_SECONDS:  # it may have become busy meanwhile
                silent = 0.0
                feed.ask(self._subject.topic)

    async def _publish(self, picture: Picture) -> None:
        changed = {name: value for name, value in picture.values.items() if self._values.get(name) != value}
        self._values = dict(picture.values)
        self._busy, self._as_of, self._problem = picture.busy, picture.as_of, None
        self._first_read.set()
        await self._send(self.room, changed)

    def _liveness_changed(self, _: FeedState) -> None:
        self._keep(asyncio.create_task(self._send(self.room, {})))

    async def _send(self, target: str, values: Mapping[str, Any]) -> None:
        async with self._sending:
            await broadcast.send(target, self._subject.state, {**values, self._subject.freshness: self._freshness()})

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _answer(waiting: list[asyncio.Future[None]]) -> None:
    for later in waiting:
        if not later.done():
            later.set_result(None)


_live: dict[str, Live] = {}
_rooms_of_tab: dict[str, set[str]] = {}


async def watch(tab: str, sign_in: SignIn, subject: Subject) -> Live:
    """Show a subject live in a tab: join its room, and start its reader if this is the first tab."""
    room = subject.room(sign_in)
    await broadcast.join(tab, room)
    if not subject.lasting:
        _rooms_of_tab.setdefault(tab, set()).add(room)
    live = _live.get(room)
    if live is None:
        live = _live[room] = Live(sign_in, subject)
        live.start(lambda: _ended(room, live))
    return live


async def unwatch(tab: str, sign_in: SignIn, subject: Subject) -> None:
    """Stop showing one subject in a tab that stays where it is."""
    room = subject.room(sign_in)
    _rooms_of_tab.get(tab, set()).discard(room)
    await broadcast.leave(tab, room)


async def renewed(sign_in: SignIn, subject: Subject) -> None:
    """Wait until what was committed before this call is on its way to the subject's tabs."""
    live = _live.get(subject.room(sign_in))
    if live is not None:
        await live.renewed()


async def leave(tab: str) -> None:
    """Stop showing anything live in a tab: it goes to another page."""
    for room in _rooms_of_tab.pop(tab, set()):
        await broadcast.leave(tab, room)


def signed_out(sign_in: SignIn) -> None:
    """Let all tabs of a sign-in know that it has ended."""
    for live in list(_live.values()):
        live.look(sign_in)


def _ended(room: str, live: Live | None) -> None:
    if _live.get(room) is live:
        del _live[room]
