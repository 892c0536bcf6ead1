"""Realtime through the unmodified supabase-py: doorbells from the database, private topics, tokens that end."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from realtime import AsyncRealtimeChannel, RealtimeSubscribeStates
from websockets.asyncio.client import ClientConnection, connect

from tests.gateway.project import Person, Project
from tests.support.stack import Stack

WAIT = 10


def own_topic(person: Person) -> str:
    """A private topic of `person` that no test has joined: the answer to leaving it may come after the next join."""
    return f"contract:{person.id}:{uuid.uuid4()}"


@asynccontextmanager
async def subscribed(
    person: Person, topic: str, *, private: bool = True, own: bool = False
) -> AsyncIterator[tuple[AsyncRealtimeChannel, asyncio.Queue[dict[str, Any]]]]:
    """A joined channel and the queue of what it receives; left for good at the end."""
    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    config = {"config": {"private": private, "broadcast": {"ack": False, "self": own}}}
    channel = person.client.channel(topic, config)  # type: ignore[arg-type]
    channel.on_broadcast("changed", received.put_nowait)  # type: ignore[arg-type]
    states: asyncio.Queue[tuple[RealtimeSubscribeStates, Exception | None]] = asyncio.Queue()
    await channel.subscribe(lambda state, error: states.put_nowait((state, error)))
    state, error = await asyncio.wait_for(states.get(), WAIT)
    assert state == RealtimeSubscribeStates.SUBSCRIBED, error
    yield channel, received
    await channel.unsubscribe()
    while state != RealtimeSubscribeStates.CLOSED:
        state, _ = await asyncio.wait_for(states.get(), WAIT)


async def test_the_database_rings_a_private_topic(ada: Person) -> None:
    topic = own_topic(ada)
    async with subscribed(ada, topic) as (_, received):
        await ada.client.rpc("contract_ring", {"topic": topic}).execute()
        message = await asyncio.wait_for(received.get(), WAIT)
    assert message["event"] == "changed" and message["payload"]["text"] == "x"
    assert message["payload"]["id"]


async def test_a_message_beyond_the_size_of_a_notification_arrives_whole(ada: Person) -> None:
    topic = own_topic(ada)
    async with subscribed(ada, topic) as (_, received):
        await ada.client.rpc("contract_ring", {"topic": topic, "size": 100_000}).execute()
        message = await asyncio.wait_for(received.get(), WAIT)
    assert len(message["payload"]["text"]) == 100_000


async def test_a_private_topic_is_closed_to_others(ada: Person, bob: Person) -> None:
    states: asyncio.Queue[tuple[RealtimeSubscribeStates, Exception | None]] = asyncio.Queue()
    channel = bob.client.channel(f"contract:{ada.id}", {"config": {"private": True}})  # type: ignore[arg-type]
    waiting = asyncio.create_task(channel.subscribe(lambda state, error: states.put_nowait((state, error))))
    state, error = await asyncio.wait_for(states.get(), WAIT)
    assert state == RealtimeSubscribeStates.CHANNEL_ERROR
    assert "do not have permissions to read" in str(error)
    await _drop(bob, channel)
    waiting.cancel()


async def test_a_private_message_does_not_reach_the_public_topic_of_the_same_name(ada: Person, bob: Person) -> None:
    topic = own_topic(ada)
    async with subscribed(bob, topic, private=False) as (_, heard), subscribed(ada, topic) as (_, received):
        await ada.client.rpc("contract_ring", {"topic": topic}).execute()
        await asyncio.wait_for(received.get(), WAIT)
        async with subscribed(bob, "contract-later", private=False, own=True) as (later, echoed):
            await later.send_broadcast("changed", {})
            await asyncio.wait_for(echoed.get(), WAIT)  # on the same socket: what was sent before has arrived
        assert heard.empty()


async def test_people_can_talk_on_a_public_topic(ada: Person, bob: Person) -> None:
    async with (
        subscribed(ada, "contract-talk", private=False, own=True) as (speaker, heard_by_ada),
        subscribed(bob, "contract-talk", private=False) as (_, heard_by_bob),
    ):
        await speaker.send_broadcast("changed", {"said": "hello ✓"})
        assert (await asyncio.wait_for(heard_by_bob.get(), WAIT))["payload"] == {"said": "hello ✓"}
        assert (await asyncio.wait_for(heard_by_ada.get(), WAIT))["payload"] == {"said": "hello ✓"}


async def test_many_doorbells_arrive_in_order_and_quickly(ada: Person, embedded_only: None) -> None:
    topic = own_topic(ada)
    delays: list[float] = []
    async with subscribed(ada, topic) as (_, received):
        for size in range(1, 51):
            started = time.perf_counter()
            await ada.client.rpc("contract_ring", {"topic": topic, "size": size}).execute()
            message = await asyncio.wait_for(received.get(), WAIT)
            delays.append(time.perf_counter() - started)
            assert len(message["payload"]["text"]) == size
    assert sorted(delays)[47] < 0.3


async def _drop(person: Person, channel: AsyncRealtimeChannel) -> None:
    """Stop the client from joining a refused topic again and again."""
    channel.rejoin_timer.reset()
    await person.client.realtime.remove_channel(channel)


# What the client library hides is asked over a bare socket.


class Socket:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, topic: str, event: str, payload: dict[str, Any], ref: str | None = "1") -> None:
        await self.socket.send(
            json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref, "join_ref": ref})
        )

    async def next(self) -> dict[str, Any]:
        return json.loads(await asyncio.wait_for(self.socket.recv(), WAIT))

    async def join(self, topic: str, token: str, *, private: bool = True) -> dict[str, Any]:
        config = {"broadcast": {"self": False, "ack": True}, "private": private, "postgres_changes": []}
        await self.send(f"realtime:{topic}", "phx_join", {"config": config, "access_token": token})
        return await self.next()


@asynccontextmanager
async def bare_socket(project: Project) -> AsyncIterator[Socket]:
    address = project.address.url.replace("http", "ws", 1)
    path = f"/realtime/v1/websocket?apikey={project.address.anon_key}&vsn=1.0.0"
    async with connect(address + path) as socket:
        yield Socket(socket)


async def test_a_heartbeat_is_answered(project: Project) -> None:
    async with bare_socket(project) as socket:
        await socket.send("phoenix", "heartbeat", {}, "7")
        reply = await socket.next()
        assert (reply["event"], reply["ref"], reply["payload"]["status"]) == ("phx_reply", "7", "ok")


async def test_reading_does_not_include_writing(project: Project, ada: Person) -> None:
    async with bare_socket(project) as reader, bare_socket(project) as writer:
        topic = f"contract-read:{ada.id}"
        assert (await reader.join(topic, ada.token))["payload"]["status"] == "ok"
        assert (await writer.join(topic, ada.token))["payload"]["status"] == "ok"
        message = {"type": "broadcast", "event": "changed", "payload": {}}
        await writer.send(f"realtime:{topic}", "broadcast", message, "2")
        await ada.client.rpc("contract_ring", {"topic": topic}).execute()
        heard = await reader.next()
        while heard["event"] != "broadcast":
            heard = await reader.next()
        assert heard["payload"]["payload"]["text"] == "x"  # the database's doorbell, not the writer's message


async def test_a_socket_without_a_key_is_refused(project: Project) -> None:
    address = project.address.url.replace("http", "ws", 1)
    for query in ("", "?apikey=wrong"):
        with pytest.raises(Exception, match=r"HTTP (401|403)"):
            async with connect(f"{address}/realtime/v1/websocket{query}"):
                pass


async def test_garbage_closes_only_its_own_socket(project: Project, ada: Person, embedded_only: None) -> None:
    async with bare_socket(project) as good:
        for garbage in ("not json", "[]", '{"topic":1}', "x" * 300_000, b"\x09\x00", b"\x03" * 40):
            async with bare_socket(project) as bad:
                await bad.socket.send(garbage)
                await asyncio.wait_for(bad.socket.wait_closed(), WAIT)
        assert (await good.join(f"contract:{ada.id}", ada.token))["payload"]["status"] == "ok"


async def test_a_channel_ends_with_its_token(project: Project, ada: Person, stack: Stack, embedded_only: None) -> None:
    claims = jwt.decode(ada.token, options={"verify_signature": False}) | {"exp": int(time.time()) + 2}
    token = jwt.encode(claims, stack.secrets.jwt, algorithm="HS256")
    async with bare_socket(project) as socket:
        topic = own_topic(ada)
        assert (await socket.join(topic, token))["payload"]["status"] == "ok"
        ended = await socket.next()
        assert ended["event"] == "system" and ended["payload"]["message"] == "Token has expired"
        assert (await socket.next())["event"] == "phx_close"


async def test_a_new_token_keeps_the_channel_and_a_strangers_ends_it(
    project: Project, ada: Person, bob: Person, embedded_only: None
) -> None:
    async with bare_socket(project) as socket:
        topic = own_topic(ada)
        await socket.join(topic, ada.token)
        await socket.send(f"realtime:{topic}", "access_token", {"access_token": ada.token}, "2")
        await ada.client.rpc("contract_ring", {"topic": topic}).execute()
        assert (await socket.next())["event"] == "broadcast"
        await socket.send(f"realtime:{topic}", "access_token", {"access_token": bob.token}, "3")
        assert "do not have permissions" in (await socket.next())["payload"]["message"]
        await ada.client.rpc("contract_ring", {"topic": topic}).execute()
        assert (await socket.next())["event"] == "phx_close"
        await socket.send("phoenix", "heartbeat", {}, "4")
        assert (await socket.next())["event"] == "phx_reply"
