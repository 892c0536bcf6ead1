"""Fixtures of the room's tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from opsroom.control_plane.auth import Auth, Credentials
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import RunDetail
from opsroom.control_plane.rest import open_http
from opsroom.local.environment import LOCAL_EMAIL
from tests.support.room import Room, chromium, page, room, worker
from tests.support.stack import stack

__all__ = ["chromium", "page", "room", "stack", "worker"]

MODULE_UPGRADE = {
    "slug": "module-upgrade",
    "title": "Upgrade a module",
    "description": "Loads the data files of a module, one a second, and writes down how it went.",
    "risk": "warn",
    "params": {
        "type": "object",
        "properties": {
            "seconds": {"type": "integer", "title": "Data files", "minimum": 1, "maximum": 600, "default": 120},
            "module": {"type": "string", "title": "Module", "pattern": "^[a-z]+$", "maxLength": 12},
            "mode": {"type": "string", "title": "Mode", "enum": ["update", "reinstall"], "default": "update"},
            "exit": {"type": "integer", "title": "Exit code", "default": 0},
        },
    },
    "steps": [
        {
            "id": "check",
            "title": "Check the ground",
            "kind": "shell",
            "with": {"script": 'echo "17 modules installed"'},
        },
        {
            "id": "upgrade",
            "title": "Load the data files",
            "kind": "shell",
            "needs": ["check"],
            "with": {
                "script": 'echo "loading"; echo "a deprecated field" >&2; for i in $(seq "$PARAM_SECONDS"); do sleep 1; '
                'echo "file $i loaded"; done; printf "# Upgraded\\n\\n<script>alert(1)</script> **well**\\n" > report.md; '
                'exit "$PARAM_EXIT"'
            },
            "artifacts": [{"path": "report.md", "kind": "markdown", "required": False}],
        },
        {
            "id": "prove",
            "title": "Prove the gate",
            "kind": "shell",
            "needs": ["upgrade"],
            "with": {"script": 'echo "gate holds"'},
        },
    ],
}
"""A runbook that takes as many seconds as it is told, and ends as it is told."""


@asynccontextmanager
async def operator_room(room: Room) -> AsyncIterator[ControlPlane]:
    """The control plane as the local operator, beside the browser."""
    connection = room.gateway.connection
    async with open_http() as http:
        auth = Auth(connection, http)
        tokens = await auth.sign_in(LOCAL_EMAIL, room.gateway.stack.secrets.operator)
        yield ControlPlane(connection, Credentials(auth, tokens), http)


async def finished(plane: ControlPlane, run_id: str) -> RunDetail:
    """The run, once it is over. Its bell says when to look."""
    async with asyncio.timeout(60), plane.feed(f"run:{run_id}") as feed:
        async for _ in feed:
            detail = await plane.read_run(run_id)
            if not detail.run.is_live:
                return detail
    raise AssertionError("the feed ended")


@pytest.fixture(scope="package")
async def upgrade(room: Room) -> str:
    """A template that takes as long as it is told."""
    async with operator_room(room) as control_plane:
        await control_plane.save_template(MODULE_UPGRADE)  # pyright: ignore[reportArgumentType] - plain JSON
    return str(MODULE_UPGRADE["slug"])


@pytest.fixture(scope="package")
async def viewer_plane(room: Room) -> tuple[str, str]:
    """E-mail and password of a viewer."""
    person = await room.gateway.person("viewer")
    return person.email, person.password
