"""One Realtime connection of supabase-py, used so that none of its known faults can silence us.

Measured with realtime 2.34.1: its own reconnecting gives up after five tries; a callback that raises ends all delivery
while the client still calls itself connected; joins need the person's token set beforehand; a rejoin replays nothing.
Hence: no reconnecting here (the owner makes a new socket instead), wrapped callbacks, a watch on the listening task,
the token first.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self, cast

from realtime import AsyncRealtimeChannel, AsyncRealtimeClient, BroadcastPayload, RealtimeSubscribeStates

from opsroom.control_plane.auth import Credentials
from opsroom.control_plane.config import Connection
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import Forbidden

log = logging.getLogger(__name__)

JOIN_TIMEOUT_SECONDS: Final = 5
DOORBELL_EVENT: Final = "changed"
MAX_TOPICS: Final = 100
"""Hosted Realtime allows this many channels for one connection."""

Heard = Callable[[str, Mapping[str, Any]], None]


class TopicSocket:
    """A connection with subscriptions to private topics. Async context manager; it is lost once, not repaired."""

    def __init__(self, connection: Connection, credentials: Credentials, heard: Heard) -> None:
        self._connection = connection
        self._credentials = credentials
        self._heard = heard
        self._token = ""
        self._renew_at = 0.0
        self._channels: dict[str, AsyncRealtimeChannel] = {}
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._client = AsyncRealtimeClient(
            f"{connection.url}/realtime/v1", token=connection.key, auto_reconnect=False, timeout=JOIN_TIMEOUT_SECONDS
        )

    async def __aenter__(self) -> Self:
        try:
            await self._client.connect()
            await self._renew_token()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def set_topics(self, topics: frozenset[str]) -> frozenset[str]:
        """Subscribe to exactly `topics`; gives those that are newly joined. Raises if one is refused or not answered in
        time.
        """
        if len(topics) > MAX_TOPICS:
            raise ValueError(f"{len(topics)} topics are more than the {MAX_TOPICS} one connection may have")
        for topic in set(self._channels) - topics:
            await self._channels.pop(topic).unsubscribe()
        added = topics - set(self._channels)
        for outcome in await asyncio.gather(*(self._subscribe(topic) for topic in added), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        return added

    async def wait(self, changed: asyncio.Event) -> None:
        """Wait until `changed` is set, and renew the token when it is due. Raises when the connection is lost."""
        listening = self._task("_listen_task")
        if listening is None:
            raise ControlPlaneUnreachable("The realtime connection is not listening.")
        waiter = asyncio.create_task(changed.wait())
        try:
            while not changed.is_set():
                due = max(self._renew_at - time.monotonic(), 1.0)
                await asyncio.wait({listening, waiter, self._lost}, timeout=due, return_when=asyncio.FIRST_COMPLETED)
                if listening.done() or self._lost.done():
                    raise self._loss(listening)
                await self._renew_token()
        finally:
            waiter.cancel()

    async def _subscribe(self, topic: str) -> None:
        channel = self._client.channel(
            topic,
            {
                "config": {
                    "private": True,
                    "broadcast": {"ack": False, "self": False},
                    "presence": {"key": "", "enabled": False},
                }
            },
        )
        self._channels[topic] = channel
        outcome: list[tuple[RealtimeSubscribeStates, Exception | None]] = []

        def on_doorbell(message: BroadcastPayload) -> None:
            try:
                self._heard(topic, message["payload"])
            except Exception:  # one raised here would end all delivery, silently
                log.exception("a doorbell could not be handled", extra={"topic": topic})

        def on_status(status: RealtimeSubscribeStates, error: Exception | None) -> None:
            outcome.append((status, error))
            if self._channels.get(topic) is channel and status is not RealtimeSubscribeStates.SUBSCRIBED:
                self._lose(f"topic {topic}: {status.value.lower()}{f': {error}' if error else ''}")

        channel.on_broadcast(DOORBELL_EVENT, on_doorbell)
        await channel.subscribe(on_status)
        if not outcome or outcome[-1][0] is not RealtimeSubscribeStates.SUBSCRIBED:
            error = outcome[-1][1] if outcome else None
            if error and "nauthorized" in str(error):
                raise Forbidden(f"Realtime refused the topic {topic}: {error}")
            raise ControlPlaneUnreachable(f"Realtime did not let us join {topic}: {error or 'no answer in time'}.")

    async def _renew_token(self) -> None:
        if time.monotonic() < self._renew_at:
            return
        token = await self._credentials.token()
        # Of this token, whoever else may renew theirs meanwhile.
        self._renew_at = time.monotonic() + self._credentials.seconds_left
        if token != self._token:
            self._token = token
            await self._client.set_auth(token)

    def _lose(self, why: str) -> None:
        if not self._lost.done():
            self._lost.set_exception(ControlPlaneUnreachable(f"The realtime connection broke ({why})."))
            self._lost.exception()  # marks it as seen: whoever waits raises it

    def _loss(self, listening: asyncio.Task[Any]) -> Exception:
        cause = self._lost.exception() if self._lost.done() else None
        if cause is None and listening.done() and not listening.cancelled():
            cause = listening.exception()
        return cause if isinstance(cause, Exception) else ControlPlaneUnreachable("The realtime connection was closed.")

    def _task(self, name: str) -> asyncio.Task[Any] | None:
        # The client tells nobody when its listening task dies; tests/control_plane checks that the attributes are still
        # there.
        return cast("asyncio.Task[Any] | None", vars(self._client).get(name))

    async def _close(self) -> None:
        channels = list(self._channels.values())
        self._channels.clear()
        for channel in channels:  # their timers would outlive the socket
            channel.rejoin_timer.reset()
            channel.join_push.destroy()
            for push in list(channel.messages_waiting_for_ack.values()):
                push.destroy()
        tasks = [task for name in ("_listen_task", "_heartbeat_task") if (task := self._task(name))]
        with contextlib.suppress(Exception):
            await self._client.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
