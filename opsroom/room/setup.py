"""Is there anything to work with? Settings, address, key, database, people: looked at one after the other, with the
exact command for what is missing. Anybody may ask, so nothing secret is told: no key, no path, no name of a person.
"""

import asyncio
import base64
import binascii
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from opsroom.components.library_views import CheckRow
from opsroom.control_plane.config import REPOSITORY, Connection
from opsroom.control_plane.errors import NotConfigured
from opsroom.control_plane.library import Setup
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.room.sign_ins import SignIn, sign_ins

LANDMARKS: Final = ("whoami", "read_workers", "list_specs", "read_setup")
"""Functions that need no argument, oldest migration first: the first that is missing tells how far the database is."""

KEEP_SECONDS: Final = 1.0
"""How long an answer is good for all who ask; at least as long as it took to get."""

TIMEOUT: Final = 5.0
NAMES: Final = ("Settings", "Address", "Key", "Database", "You", "Work")
SETTINGS: Final = [
    "export SUPABASE_URL=https://PROJECT.supabase.co",
    "export SUPABASE_PUBLISHABLE_KEY=sb_publishable_…",
]
FIRST_ADMIN: Final = "select public.set_member('you@example.org', 'admin');"


@dataclass(frozen=True)
class Looked:
    """All that was looked at. `ready`: the room can be used, or at least signed in to."""

    rows: list[CheckRow]
    ready: bool


async def look(sign_in: SignIn | None) -> Looked:
    """Look at everything, as far as the one before lets; what concerns everybody at most once a second."""
    rows = [*await _shared()]
    if len(rows) == NAMES.index("You") and rows[-1].state == "succeeded":
        async for row in _as_person(sign_in):
            rows.append(row)
    ready = not any(row.state == "failed" for row in rows)
    waiting = (CheckRow(name, "pending", "Waits for the one above.") for name in NAMES[len(rows) :])
    return Looked([*rows, *waiting], ready)


_lock = asyncio.Lock()
_kept: tuple[float, list[CheckRow]] = (0.0, [])  # until when, and what


async def _shared() -> list[CheckRow]:
    global _kept  # noqa: PLW0603 - one answer for all who wait on the page, so that they do not add up to a flood
    async with _lock:
        started = time.monotonic()
        if started > _kept[0]:
            rows = [row async for row in _public()]
            now = time.monotonic()
            _kept = (now + max(KEEP_SECONDS, now - started), rows)
        return _kept[1]


async def _public() -> AsyncGenerator[CheckRow]:
    """What can be seen without signing in; ends at the first that fails."""
    try:
        connection = sign_ins().connection
    except NotConfigured as error:
        # Other messages name folders of this machine.
        named = error.message.startswith("SUPABASE_URL")
        found = error.message if named else "SUPABASE_URL is not set, and no embedded stack runs here."
        advice = "Start the embedded stack, or name a project and start the room anew."
        yield CheckRow("Settings", "failed", found, advice, ["make up", *SETTINGS])
        return
    yield CheckRow("Settings", "succeeded", "A control plane is named.")
    async with httpx.AsyncClient(timeout=TIMEOUT) as http:
        address = await _address(connection, http)
        yield address
        if address.state == "failed":
            return
        key = await _key(connection, http)
        yield key
        if key.state == "failed":
            return
        yield await _database(connection, http)


async def _address(connection: Connection, http: httpx.AsyncClient) -> CheckRow:
    here = urlsplit(connection.url).hostname in ("127.0.0.1", "localhost", "::1")
    started = time.monotonic()
    try:
        answer = await http.get(f"{connection.url}/auth/v1/health", headers={"apikey": connection.key})
    except httpx.HTTPError as error:
        words = "does not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
        if here:
            return CheckRow("Address", "failed", f"{connection.url} {words}.", "Start the embedded stack.", ["make up"])
        advice = "Check the address and the network; a project that was paused is restored in its dashboard."
        return CheckRow("Address", "failed", f"{connection.url} {words}.", advice, [SETTINGS[0]])
    if answer.status_code >= 500:
        advice = "Its services are not ready. Look at the logs of the stack, or at the status of the project."
        return CheckRow("Address", "failed", f"{connection.url} answers {answer.status_code}.", advice)
    took = (time.monotonic() - started) * 1000
    return CheckRow("Address", "succeeded", f"{connection.url} answers in {took:.0f} ms.")


async def _key(connection: Connection, http: httpx.AsyncClient) -> CheckRow:
    public = "Copy the publishable (or anon) key of the project's API settings, and start the room anew."
    if _is_secret(connection.key):
        found = "The key is a secret one: it may do everything, and must not be given to the room."
        return CheckRow("Key", "failed", found, public, [SETTINGS[1]])
    answer = await _call(connection, http, LANDMARKS[0])
    if answer.status_code in (401, 403) and _code(answer) != "42501":
        return CheckRow("Key", "failed", "The control plane refuses the key.", public, [SETTINGS[1]])
    return CheckRow("Key", "succeeded", "The key is public, and is taken.")


async def _database(connection: Connection, http: httpx.AsyncClient) -> CheckRow:
    migrate = ["opsroom up", "supabase db push"]
    how = "Apply the migrations: the embedded stack does it when it starts, a project by the Supabase CLI."
    for name in LANDMARKS:
        answer = await _call(connection, http, name)
        if _code(answer) in ("PGRST202", "PGRST205", "42883") or answer.status_code == 404:
            first = name == LANDMARKS[0]
            found = "The database is not migrated." if first else "The database is older than this version of the room."
            return CheckRow("Database", "failed", found, how, migrate)
        if answer.status_code >= 500:
            found = f"The database does not answer ({_code(answer) or answer.status_code})."
            return CheckRow(
                "Database", "failed", found, "Look at Postgres: its logs, or the status of the project.", []
            )
    return CheckRow("Database", "succeeded", "It has the functions that this version needs.")


async def _call(connection: Connection, http: httpx.AsyncClient, function: str) -> httpx.Response:
    """Call a function as nobody. One that is there refuses, and that is the answer wanted."""
    headers = {"apikey": connection.key, "Authorization": f"Bearer {connection.key}"}
    if connection.key.startswith("sb_"):
        del headers["Authorization"]  # such a key is no token
    try:
        return await http.post(f"{connection.url}/rest/v1/rpc/{function}", headers=headers, json={})
    except httpx.HTTPError:
        return httpx.Response(503)


def _code(answer: httpx.Response) -> str:
    try:
        body: Any = answer.json()
        return str(body.get("code") or "")
    except (ValueError, AttributeError):
        return ""


def _is_secret(key: str) -> bool:
    if key.startswith("sb_secret_"):
        return True
    try:
        payload = key.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims.get("role") == "service_role"
    except (IndexError, ValueError, binascii.Error, AttributeError):
        return False


async def _as_person(sign_in: SignIn | None) -> AsyncGenerator[CheckRow]:
    """What only a member is told."""
    if sign_in is None:
        advice = "Accounts come from Supabase Auth. Nobody is an admin yet? Make the first one in the SQL editor:"
        yield CheckRow("You", "info", "You are not signed in.", advice, [FIRST_ADMIN])
        return
    try:
        member = await sign_in.member()
        yield CheckRow("You", "succeeded", f"You are signed in; your role is {member.role}.")
        yield _work(await sign_in.control_plane.read_setup())
    except NotAuthenticated:
        yield CheckRow("You", "info", "Your sign-in has ended.")
    except OpsRoomError as error:
        yield CheckRow("You", "failed", error.message, error.hint or "")


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _work(setup: Setup) -> CheckRow:
    newest = max(
        (path.name.split("_")[0] for path in (REPOSITORY / "supabase" / "migrations").glob("*.sql")), default=""
    )
    templates, workers = _counted(setup.templates, "template"), _counted(setup.workers, "worker")
    row = CheckRow("Work", "succeeded", f"{templates}, {workers}.")
    if setup.migration and newest and setup.migration < newest:
        found = f"The database is at migration {setup.migration}; this version comes with {newest}."
        return replace(row, state="warn", found=found, advice="Apply the migrations.", commands=["supabase db push"])
    if not setup.templates:
        found, advice = "There are no templates.", "Load supabase/seed.sql, or save one:"
        commands = ["opsroom templates save templates/http-healthcheck.yaml"]
        return replace(row, state="warn", found=found, advice=advice, commands=commands)
    if not setup.workers:
        found, advice = "No worker was seen within the last minute: runs wait.", "Start one where the service key is:"
        return replace(row, state="warn", found=found, advice=advice, commands=["opsroom worker"])
    return row
