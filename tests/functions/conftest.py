"""The executor under real Deno, behind the gateway, on the real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.functions.room import Room, open_room
from tests.support.stack import Stack, stack

__all__ = ["stack"]


@pytest.fixture(scope="package")
async def room(stack: Stack) -> AsyncIterator[Room]:
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=30) as http:
        yield await open_room(http, stack.secrets.anon_key, stack.secrets.service_role_key, stack.database_url())


@pytest.fixture
async def worker_id(room: Room) -> AsyncIterator[str]:
    worker_id = await room.new_worker()
    yield worker_id
    await room.rpc("stop_worker", {"p_worker_id": worker_id}, "service")
