"""/realtime/v1: the websocket, and broadcasting by a single request."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from opsroom.local.gateway.body import read_object
from opsroom.local.gateway.database import Database
from opsroom.local.gateway.errors import ApiError
from opsroom.local.gateway.identity import Gatekeeper
from opsroom.local.gateway.realtime.connection import Connection
from opsroom.local.gateway.realtime.hub import PREFIX, Hub
from opsroom.local.gateway.realtime.policies import permissions


class Realtime:
    def __init__(self, gatekeeper: Gatekeeper, database: Database, hub: Hub) -> None:
        self._gatekeeper = gatekeeper
        self._database = database
        self._hub = hub

    def routes(self) -> list[BaseRoute]:
        return [
            WebSocketRoute("/websocket", self.websocket),
            Route("/api/broadcast", self.broadcast, methods=["POST"]),
        ]

    async def websocket(self, websocket: WebSocket) -> None:
        key = websocket.query_params.get("apikey") or websocket.headers.get("apikey") or ""
        try:
            self._gatekeeper.caller_of_token(key)
        except ApiError:
            await websocket.close(4001, "Invalid API key")  # before accept: the client sees HTTP 403
            return
        await Connection(websocket, self._gatekeeper, self._database, self._hub, key).serve()

    async def broadcast(self, request: Request) -> Response:
        caller = self._gatekeeper.caller_of(request.headers, request.query_params)
        messages = (await read_object(request)).get("messages")
        if not isinstance(messages, list) or len(messages) > 1000:
            raise ApiError(422, {"message": "messages must be a list of at most 1000 messages"})
        checked = [_checked(message) for message in messages]
        for topic, private, _, _ in checked:
            if private and not (await permissions(self._database, caller, topic)).write:
                raise ApiError(403, {"message": f"You do not have permissions to write to this topic: {topic}"})
        for topic, private, event, payload in checked:
            self._hub.broadcast(topic, private, event, payload)
        return Response(status_code=202)


def _checked(message: Any) -> tuple[str, bool, str, Any]:
    if (
        not isinstance(message, dict)
        or not isinstance(message.get("topic"), str)
        or not isinstance(message.get("event"), str)
        or "\x00" in message["topic"]
    ):
        raise ApiError(422, {"message": "each message needs a topic, an event and a payload"})
    return message["topic"].removeprefix(PREFIX), bool(message.get("private")), message["event"], message.get("payload")
