"""Fixtures of the room's tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from opsroom.control_plane.auth import Auth, Credentials
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.rest import open_http
from opsroom.local.environment import LOCAL_EMAIL
from tests.support.gateway import gateway
from tests.support.room import Room, chromium, page, room, worker

__all__ = ["chromium", "gateway", "page", "room", "worker"]

SLEEPER = {
    "slug": "test-sleeper",
    "title": "Sleep",
    "description": "Writes a line a second for a while.",
    "risk": "info",
    "params": {
        "type": "object",
        "properties": {
            "seconds": {"type": "integer", "title": "Seconds", "minimum": 1, "maximum": 600, "default": 120},
            "word": {"type": "string", "title": "Word", "pattern": "^[a-z]+$", "maxLength": 12},
            "mode": {"type": "string", "title": "Mode", "enum": ["quiet", "loud"], "default": "quiet"},
            "exit": {"type": "integer", "title": "Exit code", "default": 0},
        },
    },
    "steps": [
        {
            "id": "sleep",
            "title": "Sleep for a while",
            "kind": "shell",
            "with": {
                "script": 'echo "going to sleep"; echo "a warning" >&2; for i in $(seq "$PARAM_SECONDS"); do '
                'sleep 1; echo "slept $i"; done; printf "# Slept\\n\\n<script>alert(1)</script> **well**\\n" > report.md; '
                'exit "$PARAM_EXIT"'
            },
            "artifacts": [{"path": "report.md", "kind": "markdown", "required": False}],
        }
    ],
}


@asynccontextmanager
async def operator_room(room: Room) -> AsyncIterator[ControlPlane]:
    """The control plane as the local operator, beside the browser."""
    connection = room.gateway.connection
    async with open_http() as http:
        auth = Auth(connection, http)
        tokens = await auth.sign_in(LOCAL_EMAIL, room.gateway.stack.secrets.operator)
        yield ControlPlane(connection, Credentials(auth, tokens), http)


@pytest.fixture(scope="session")
async def sleeper(room: Room) -> str:
    """A template that takes as long as it is told."""
    async with operator_room(room) as control_plane:
        await control_plane.save_template(SLEEPER)  # pyright: ignore[reportArgumentType] - plain JSON
    return str(SLEEPER["slug"])


@pytest.fixture(scope="session")
async def viewer_plane(room: Room) -> tuple[str, str]:
    """E-mail and password of a viewer."""
    person = await room.gateway.person("viewer")
    return person.email, person.password
