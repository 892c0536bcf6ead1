"""One websocket: joins, heartbeats, tokens and broadcasts of one client."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import psycopg
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from opsroom.local.gateway.database import Database
from opsroom.local.gateway.errors import ApiError
from opsroom.local.gateway.identity import Caller, Gatekeeper
from opsroom.local.gateway.realtime.frames import BadFrame, Frame, decode, encode
from opsroom.local.gateway.realtime.hub import PREFIX, Channel, Hub
from opsroom.local.gateway.realtime.policies import permissions

# Limits of a hosted project: https://supabase.com/docs/guides/realtime/quotas
MAX_CHANNELS = 100
MAX_FRAME_BYTES = 256 * 1024
# A client that reads this slowly is disconnected; it will rejoin and read the tables.
_OUTBOX_FRAMES = 2000


class Connection:
    def __init__(self, websocket: WebSocket, gatekeeper: Gatekeeper, database: Database, hub: Hub, key: str) -> None:
        self._websocket = websocket
        self._gatekeeper = gatekeeper
        self._database = database
        self._hub = hub
        self._key = key
        self._version = "2.0.0" if websocket.query_params.get("vsn", "").startswith("2") else "1.0.0"
        self._channels: dict[str, Channel] = {}
        self._outbox: asyncio.Queue[Frame] = asyncio.Queue(_OUTBOX_FRAMES)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Until the client goes away."""
        await self._websocket.accept()
        self._hub.connect(self)
        writer = asyncio.create_task(self._write())
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                text: str | None = message.get("text")
                data: str | bytes = text if text is not None else message.get("bytes") or b""
                if len(data) > MAX_FRAME_BYTES:
                    await self.close(1009, "frame too large")
                    break
                await self._handle(decode(data, self._version))
        except BadFrame as error:
            await self.close(1002, str(error))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._hub.disconnect(self)
            for channel in tuple(self._channels.values()):
                self._leave(channel)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await writer

    def send(self, frame: Frame) -> None:
        try:
            self._outbox.put_nowait(frame)
        except asyncio.QueueFull:
            task = asyncio.create_task(self.close(1013, "the client reads too slowly"))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self, code: int, reason: str) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await self._websocket.close(code, reason)

    async def _write(self) -> None:
        while True:
            frame = await self._outbox.get()
            await self._websocket.send_text(encode(frame, self._version))

    async def _handle(self, frame: Frame) -> None:
        if frame.topic == "phoenix":
            if frame.event == "heartbeat":
                self._reply(frame, "ok", {})
            return
        channel = self._channels.get(frame.topic)
        match frame.event:
            case "phx_join":
                await self._join(frame)
            case "phx_leave":
                if channel is not None:
                    self._leave(channel)
                self._reply(frame, "ok", {})
                self.send(Frame(frame.topic, "phx_close", {}, frame.ref, frame.join_ref))
            case "access_token" if channel is not None:
                await self._renew(channel, frame)
            case "broadcast" if channel is not None:
                self._broadcast(channel, frame)
            case "presence":
                self._reply(frame, "ok", {})  # not part of the subset: accepted, and shown to nobody
            case _:
                self._reply(frame, "error", {"reason": "unmatched topic"})

    async def _join(self, frame: Frame) -> None:  # noqa: PLR0911
        config = _dictionary(frame.payload.get("config"))
        topic = frame.topic.removeprefix(PREFIX)
        if not frame.topic.startswith(PREFIX) or not topic or "\x00" in topic:
            return self._refuse(frame, "InvalidTopic: a topic starts with 'realtime:' and has a name")
        if config.get("postgres_changes"):
            return self._refuse(
                frame, "NotSupported: the embedded stack has no postgres_changes, use broadcast from the database"
            )
        if frame.topic not in self._channels and len(self._channels) >= MAX_CHANNELS:
            return self._refuse(frame, f"ChannelRateLimitReached: at most {MAX_CHANNELS} channels per connection")
        private, may_write = bool(config.get("private")), True
        try:
            caller = self._caller(frame.payload.get("access_token"))
            if private:
                given = await permissions(self._database, caller, topic)
                may_write = given.write
                if not given.read:
                    return self._refuse(frame, _unauthorized(topic))
        except ApiError as error:
            return self._refuse(frame, f"InvalidJWTToken: {error.body.get('message')}")
        except psycopg.Error:
            return self._refuse(frame, "DatabaseUnavailable: try again")
        old = self._channels.pop(frame.topic, None)
        if old is not None:
            self._leave(old)
        broadcast = _dictionary(config.get("broadcast"))
        channel = Channel(
            self,
            topic,
            private,
            frame.join_ref or frame.ref,
            bool(broadcast.get("self")),
            bool(broadcast.get("ack")),
            may_write,
        )
        self._channels[frame.topic] = channel
        self._hub.join(channel)
        self._expire_with(channel, caller)
        self._reply(frame, "ok", {"postgres_changes": []})
        return None

    async def _renew(self, channel: Channel, frame: Frame) -> None:
        """A new token on an open channel: the policies are asked again, as the rights may have changed."""
        try:
            caller = self._caller(frame.payload.get("access_token"))
            if channel.private:
                given = await permissions(self._database, caller, channel.topic)
                channel.may_write = given.write
                if not given.read:
                    return self._shut(channel, _unauthorized(channel.topic))
        except ApiError as error:
            return self._shut(channel, f"InvalidJWTToken: {error.body.get('message')}")
        except psycopg.Error:
            return self._shut(channel, "DatabaseUnavailable: try again")
        return self._expire_with(channel, caller)

    def _broadcast(self, channel: Channel, frame: Frame) -> None:
        event = frame.payload.get("event")
        if not channel.may_write or not isinstance(event, str):
            if channel.acknowledges:
                reason = "Unauthorized" if not channel.may_write else "event must be a string"
                self._reply(frame, "error", {"reason": reason})
            return
        self._hub.broadcast(channel.topic, channel.private, event, frame.payload.get("payload"), sender=channel)
        if channel.acknowledges:
            self._reply(frame, "ok", {})

    def _caller(self, token: Any) -> Caller:
        # A token that is one of the API keys means: no user, use the key of the connection.
        usable = isinstance(token, str) and bool(token) and not token.startswith("sb_")
        return self._gatekeeper.caller_of_token(token if usable else self._key)

    def _expire_with(self, channel: Channel, caller: Caller) -> None:
        if channel.expiry is not None:
            channel.expiry.cancel()
            channel.expiry = None
        if caller.expires_at is not None:
            delay = max(0.0, caller.expires_at - time.time())
            channel.expiry = asyncio.get_running_loop().call_later(delay, self._shut, channel, "Token has expired")

    def _shut(self, channel: Channel, message: str) -> None:
        topic = PREFIX + channel.topic
        body = {"extension": "system", "status": "error", "message": message, "channel": channel.topic}
        self.send(Frame(topic, "system", body))
        self.send(Frame(topic, "phx_close", {}, channel.join_ref, channel.join_ref))
        self._leave(channel)

    def _leave(self, channel: Channel) -> None:
        self._hub.leave(channel)
        if self._channels.get(PREFIX + channel.topic) is channel:
            del self._channels[PREFIX + channel.topic]

    def _refuse(self, frame: Frame, reason: str) -> None:
        self._reply(frame, "error", {"reason": reason})

    def _reply(self, frame: Frame, status: str, response: dict[str, Any]) -> None:
        body = {"status": status, "response": response}
        self.send(Frame(frame.topic, "phx_reply", body, frame.ref, frame.join_ref))


def _unauthorized(topic: str) -> str:
    return f"Unauthorized: You do not have permissions to read from this Channel topic: {topic}"


def _dictionary(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
