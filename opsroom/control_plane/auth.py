"""Signing in, and the one place where a signed-in person's token is kept and renewed.

supabase-py's own session keeping is switched off: its refresh timer belongs to one client and dies with it, while here
one sign-in serves REST, Storage and the realtime feed together, and must survive processes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import httpx
from pydantic import BaseModel, ConfigDict
from supabase import AsyncClient, AsyncClientOptions
from supabase_auth.errors import AuthError
from supabase_auth.types import AuthResponse

from opsroom.control_plane.config import Connection
from opsroom.control_plane.errors import from_auth
from opsroom.domain.errors import NotAuthenticated

RENEW_BEFORE_SECONDS: Final = 60.0
"""A token with less time left than this is renewed before it is used."""


class Tokens(BaseModel):
    """One sign-in. `expires_at` is a Unix time in seconds by this machine's clock; `refresh_token` is good once."""

    model_config = ConfigDict(frozen=True)

    access_token: str
    refresh_token: str | None
    expires_at: float
    user_id: str
    email: str

    def __repr__(self) -> str:  # tokens must not end up in logs
        return f"Tokens({self.email}, expires_at={self.expires_at:.0f})"

    __str__ = __repr__


class Auth:
    """Supabase Auth of one control plane: password sign-in, renewal, sign-out."""

    def __init__(self, connection: Connection, http: httpx.AsyncClient) -> None:
        self._connection = connection
        self._http = http

    async def sign_in(self, email: str, password: str) -> Tokens:
        """Sign in with e-mail and password. Raises NotAuthenticated or ControlPlaneUnreachable."""
        if not email or not password:
            raise NotAuthenticated("E-mail and password are both needed.", hint="Give both and sign in again.")
        try:
            return _tokens(await self._client().auth.sign_in_with_password({"email": email, "password": password}))
        except AuthError as error:
            raise from_auth(error, self._connection.url) from error

    async def refresh(self, refresh_token: str) -> Tokens:
        """A new sign-in for a refresh token, which is used up by it."""
        try:
            return _tokens(await self._client().auth.refresh_session(refresh_token))
        except AuthError as error:
            raise from_auth(error, self._connection.url) from error

    async def sign_out(self, access_token: str) -> None:
        """End the sign-in that `access_token` belongs to; other sign-ins of the same person stay. Being out already is
        fine.
        """
        try:
            await self._client().auth.admin.sign_out(access_token, "local")
        except AuthError as error:
            if getattr(error, "status", None) not in (401, 403, 404):
                raise from_auth(error, self._connection.url) from error

    def _client(self) -> AsyncClient:
        # One for each call: the client remembers the session of its last call, and that must not leak into the next
        # person's.
        options = AsyncClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=self._http)
        return AsyncClient(self._connection.url, self._connection.key, options)


def _tokens(answer: AuthResponse) -> Tokens:
    session = answer.session
    if session is None:
        raise NotAuthenticated("Sign-in gave no session.", hint="Confirm the e-mail address, then sign in again.")
    return Tokens(
        access_token=session.access_token,
        refresh_token=session.refresh_token or None,
        # Counted from here: the server's clock may differ, and only the time that is left matters.
        expires_at=time.time() + session.expires_in,
        user_id=session.user.id,
        email=session.user.email or "",
    )


class Credentials:
    """A person's sign-in in use: hands out a token that is good, and renews it once for everybody who waits."""

    def __init__(
        self,
        auth: Auth,
        tokens: Tokens,
        *,
        renew: Callable[[Tokens], Awaitable[Tokens]] | None = None,
        save: Callable[[Tokens], Awaitable[None]] | None = None,
    ) -> None:
        """`renew` replaces the way to new tokens (say, to share a sign-in between processes); `save` keeps them."""
        self._auth = auth
        self._tokens = tokens
        self._renew = renew
        self._save = save
        self._lock = asyncio.Lock()

    @property
    def tokens(self) -> Tokens:
        """The sign-in as it is now."""
        return self._tokens

    @property
    def seconds_left(self) -> float:
        """Time until the token should be renewed; not positive when it is due."""
        return self._tokens.expires_at - time.time() - RENEW_BEFORE_SECONDS

    async def token(self) -> str:
        """An access token that is good for a while. Raises NotAuthenticated when the sign-in cannot be renewed any
        more.
        """
        if self.seconds_left > 0:
            return self._tokens.access_token
        return await self.renew(self._tokens.access_token)

    async def renew(self, refused: str) -> str:
        """A token other than `refused`, which the control plane does not take any more."""
        async with self._lock:
            if self._tokens.access_token != refused:
                return self._tokens.access_token
            self._tokens = await (self._renew or self._refresh)(self._tokens)
            if self._save:
                await self._save(self._tokens)
            return self._tokens.access_token

    async def sign_out(self) -> None:
        """End this sign-in on the control plane."""
        await self._auth.sign_out(self._tokens.access_token)

    async def _refresh(self, tokens: Tokens) -> Tokens:
        if tokens.refresh_token is None:
            raise NotAuthenticated("The sign-in has run out.", hint="Sign in again.")
        return await self._auth.refresh(tokens.refresh_token)
