"""Who listens to which topic, and the delivery of broadcasts to them."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Protocol

from opsroom.local.gateway.realtime.frames import Frame

PREFIX = "realtime:"


class Socket(Protocol):
    """One client's connection, as far as the hub sees it."""

    def send(self, frame: Frame) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


@dataclass(eq=False)
class Channel:
    """One joined topic of one socket."""

    socket: Socket
    topic: str  # without the prefix
    private: bool
    join_ref: str | None
    receives_own: bool
    acknowledges: bool
    may_write: bool
    expiry: asyncio.TimerHandle | None = field(default=None)


class Hub:
    def __init__(self) -> None:
        # Private and public channels of one name are strangers to each other.
        self._channels: dict[tuple[str, bool], set[Channel]] = defaultdict(set)
        self._sockets: set[Socket] = set()

    def connect(self, socket: Socket) -> None:
        self._sockets.add(socket)

    def disconnect(self, socket: Socket) -> None:
        self._sockets.discard(socket)

    def join(self, channel: Channel) -> None:
        self._channels[channel.topic, channel.private].add(channel)

    def leave(self, channel: Channel) -> None:
        key = (channel.topic, channel.private)
        self._channels[key].discard(channel)
        if not self._channels[key]:
            del self._channels[key]
        if channel.expiry is not None:
            channel.expiry.cancel()

    def broadcast(
        self,
        topic: str,
        private: bool,
        event: str,
        payload: Any,
        *,
        sender: Channel | None = None,
        message_id: str | None = None,
    ) -> None:
        """Deliver to everybody in the topic; the sender only when it asked for its own messages."""
        body: dict[str, Any] = {"type": "broadcast", "event": event, "payload": payload}
        if sender is None:
            body["meta"] = {"id": message_id or str(uuid.uuid4())}
        for channel in tuple(self._channels.get((topic, private), ())):
            if channel is not sender or channel.receives_own:
                channel.socket.send(Frame(PREFIX + topic, "broadcast", body))

    async def disconnect_everybody(self, reason: str) -> None:
        """Close all sockets (1012, service restart): clients reconnect, rejoin and read what they missed."""
        await asyncio.gather(*(socket.close(1012, reason) for socket in tuple(self._sockets)))
