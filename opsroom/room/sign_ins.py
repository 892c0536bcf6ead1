"""Who is signed in. The browser holds an opaque id in an HttpOnly cookie; Supabase's tokens stay here and never leave
this process but for a file that only its owner may read, so that a restart signs nobody out.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Mapping
from functools import cache
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final

import httpx
from pydantic import ValidationError

from opsroom.control_plane.auth import Auth, Credentials, Tokens
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.config import Connection, find_connection, state_dir
from opsroom.control_plane.models import Member
from opsroom.control_plane.rest import open_http
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.domain.lifecycle import at_least

log = logging.getLogger(__name__)

COOKIE: Final = "opsroom_session"
MAX_AGE_SECONDS: Final = 30 * 24 * 3600
MEMBER_SECONDS: Final = 30.0
"""How long a member's role is taken as read before it is asked for again."""


class SignIn:
    """One signed-in browser: the control plane as that person."""

    def __init__(self, key: str, created_at: float, credentials: Credentials, control_plane: ControlPlane) -> None:
        self.key = key
        self.created_at = created_at
        self.credentials = credentials
        self.control_plane = control_plane
        self._member: Member | None = None
        self._asked_at = 0.0

    async def member(self) -> Member:
        """The person, with the role that holds now, give or take `MEMBER_SECONDS`."""
        if self._member is None or time.monotonic() - self._asked_at > MEMBER_SECONDS:
            self._member = await self.control_plane.whoami()
            self._asked_at = time.monotonic()
        return self._member

    async def may_operate(self) -> bool:
        """Whether the person may launch, cancel and retry. The database decides again on every command."""
        return at_least((await self.member()).role, "operator")


class SignIns:
    """All sign-ins of this server, kept in `path` between starts."""

    def __init__(self, connection: Connection, http: httpx.AsyncClient, path: Path) -> None:
        self.connection = connection
        self._http = http
        self._auth = Auth(connection, http)
        self._path = path
        self._open: dict[str, SignIn] = {}
        self._lock = asyncio.Lock()
        self._load()

    def find(self, cookie: str | None) -> SignIn | None:
        """The sign-in that a cookie's value stands for, if it has not ended."""
        found = self._open.get(_key(cookie)) if cookie else None
        return found if found and time.time() - found.created_at < MAX_AGE_SECONDS else None

    async def open(self, email: str, password: str) -> str:
        """Sign in; the answer is the cookie's value. Raises NotAuthenticated or ControlPlaneUnreachable."""
        tokens = await self._auth.sign_in(email, password)
        cookie = secrets.token_urlsafe(32)
        sign_in = self._add(_key(cookie), time.time(), tokens)
        try:
            await sign_in.member()  # somebody with an account but not of this room is told so now
        except OpsRoomError:
            del self._open[sign_in.key]
            raise
        await self._save()
        return cookie

    async def close(self, cookie: str | None) -> None:
        """Sign out, here and on the control plane. Being out already is fine."""
        sign_in = self.find(cookie)
        if sign_in is None:
            return
        del self._open[sign_in.key]
        await self._save()
        with contextlib.suppress(OpsRoomError):  # out here in any case; the token runs out by itself
            await sign_in.credentials.sign_out()

    async def forget(self, sign_in: SignIn) -> None:
        """Drop a sign-in that the control plane has ended."""
        if self._open.pop(sign_in.key, None):
            await self._save()

    def is_open(self, sign_in: SignIn) -> bool:
        """Whether nobody has signed out of it."""
        return self._open.get(sign_in.key) is sign_in

    def _add(self, key: str, created_at: float, tokens: Tokens) -> SignIn:
        async def save(_: Tokens) -> None:
            await self._save()

        credentials = Credentials(self._auth, tokens, save=save)
        sign_in = SignIn(key, created_at, credentials, ControlPlane(self.connection, credentials, self._http))
        self._open[key] = sign_in
        return sign_in

    def _load(self) -> None:
        try:
            kept = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return
        for key, entry in kept.items() if isinstance(kept, dict) else ():
            with contextlib.suppress(ValidationError, KeyError, TypeError):
                if time.time() - entry["created_at"] < MAX_AGE_SECONDS and entry["url"] == self.connection.url:
                    self._add(key, entry["created_at"], Tokens.model_validate(entry["tokens"]))

    async def _save(self) -> None:
        async with self._lock:
            kept = {
                key: {
                    "created_at": sign_in.created_at,
                    "url": self.connection.url,
                    "tokens": sign_in.credentials.tokens.model_dump(),
                }
                for key, sign_in in self._open.items()
            }
            try:
                await asyncio.to_thread(_write_private, self._path, json.dumps(kept))
            except OSError as error:
                log.warning("sign-ins are not kept", extra={"path": str(self._path), "reason": str(error)})


def _key(cookie: str) -> str:
    # What is on the disk cannot be used as a cookie.
    return hashlib.sha256(cookie.encode()).hexdigest()


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


@cache
def sign_ins() -> SignIns:
    """The sign-ins of this server process. Raises NotConfigured when no control plane is known."""
    return SignIns(find_connection(), open_http(), state_dir() / "sign-ins.json")


def cookie_of(headers: Mapping[str, str]) -> str | None:
    """The sign-in cookie's value in request headers, of which names are in lower case."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def require(cookie: str | None) -> SignIn:
    """The sign-in for a cookie. Raises NotAuthenticated when there is none."""
    sign_in = sign_ins().find(cookie)
    if sign_in is None:
        raise NotAuthenticated("You are not signed in.", hint="Sign in and try again.")
    return sign_in
