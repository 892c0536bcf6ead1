"""One room per test: its own session, so that lanes are free."""

from __future__ import annotations

import uuid
from pathlib import Path

import psycopg
import pytest

from tests.support.gateway import Gateway, gateway
from tests.support.stack import Stack, stack
from tests.worker.room import Room

__all__ = ["gateway", "stack"]


@pytest.fixture(scope="package")
async def person(stack: Stack) -> str:
    """The id of an admin."""
    user_id, email = str(uuid.uuid4()), f"worker-tests-{uuid.uuid4().hex[:6]}@example.com"
    async with await psycopg.AsyncConnection.connect(stack.database_url("supabase_admin"), autocommit=True) as admin:
        await admin.execute("insert into auth.users (id, email) values (%s, %s)", (user_id, email))
    async with await psycopg.AsyncConnection.connect(stack.database_url("postgres"), autocommit=True) as owner:
        await owner.execute("select set_member(%s, 'admin')", (email,))
    return user_id


@pytest.fixture
async def room(stack: Stack, person: str, tmp_path: Path) -> Room:
    room = Room(stack, tmp_path, person)
    room.session_id = await room.new_session()
    return room


@pytest.fixture
async def served_room(room: Room, gateway: Gateway) -> Room:
    """A room with the gateway in front: Storage for artifacts, REST for workers without a database port."""
    room.base_url = gateway.url
    return room
