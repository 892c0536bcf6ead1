"""Sign-in sessions: refresh tokens that change on every use, and what happens when an old one comes back."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from opsroom.local.gateway.auth import tokens
from opsroom.local.gateway.database import Row, one
from opsroom.local.gateway.errors import AuthError
from opsroom.local.gateway.settings import JWT_LIFETIME_SECONDS, Settings

# Two tabs may refresh with the same token at the same moment; Supabase Auth allows 10 s for that.
REUSE_SECONDS = 10


async def begin(connection: AsyncConnection[Row], settings: Settings, user: Row, user_agent: str) -> dict[str, Any]:
    """A new session for `user`, with its first tokens."""
    session = await one(
        connection,
        "insert into auth.sessions (user_id, user_agent) values ($1, $2) returning id",
        (user["id"], user_agent[:500]),
    )
    assert session is not None
    signed_in = await one(
        connection, "update auth.users set last_sign_in_at = now() where id = $1 returning *", (user["id"],)
    )
    assert signed_in is not None
    return await _issue(connection, settings, signed_in, session["id"], None)


async def refresh(connection: AsyncConnection[Row], settings: Settings, token: str) -> dict[str, Any] | None:
    """New tokens for an old one. None when a used token came back late: the session is then ended for everybody."""
    # The session's row is the lock: two refreshes of one session go one after the other.
    row = await one(
        connection,
        "select t.id, t.session_id, s.user_id, t.revoked_at is not null as used, "
        "t.revoked_at < clock_timestamp() - make_interval(secs => $2) as stale "
        "from auth.refresh_tokens t join auth.sessions s on s.id = t.session_id where t.token_sha256 = $1 "
        "for update of s, t",
        (tokens.digest(token), REUSE_SECONDS),
    )
    if row is None:
        raise AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
    if row["used"] and row["stale"]:
        await connection.execute("delete from auth.sessions where id = $1", (row["session_id"],))
        return None
    user = await one(
        connection,
        "select *, coalesce(banned_until > now(), false) as banned from auth.users "
        "where id = $1 and deleted_at is null",
        (row["user_id"],),
    )
    if user is None or user["banned"]:
        raise AuthError(400, "user_banned", "User is banned")
    await connection.execute(
        "update auth.refresh_tokens set revoked_at = coalesce(revoked_at, clock_timestamp()) where id = $1",
        (row["id"],),
    )
    await connection.execute("update auth.sessions set refreshed_at = now() where id = $1", (row["session_id"],))
    return await _issue(connection, settings, user, row["session_id"], row["id"])


async def _issue(
    connection: AsyncConnection[Row], settings: Settings, user: Row, session_id: Any, parent: int | None
) -> dict[str, Any]:
    token = tokens.new_refresh_token()
    await connection.execute(
        "insert into auth.refresh_tokens (token_sha256, parent_id, session_id) values ($1, $2, $3)",
        (tokens.digest(token), parent, session_id),
    )
    access, expires = tokens.access_token(settings, user, str(session_id), "password")
    return {
        "access_token": access,
        "token_type": "bearer",
        "expires_in": JWT_LIFETIME_SECONDS,
        "expires_at": expires,
        "refresh_token": token,
        "user": tokens.user_json(user),
    }


async def end(connection: AsyncConnection[Row], claims: dict[str, Any], scope: str) -> None:
    """Sign out: this session (`local`), the others (`others`) or all (`global`)."""
    if scope == "local":
        await connection.execute("delete from auth.sessions where id = $1", (claims["session_id"],))
    elif scope == "others":
        await connection.execute(
            "delete from auth.sessions where user_id = $1 and id <> $2", (claims["sub"], claims["session_id"])
        )
    else:
        await connection.execute("delete from auth.sessions where user_id = $1", (claims["sub"],))


async def require(connection: AsyncConnection[Row], claims: dict[str, Any]) -> None:
    """A signed token is not enough for Auth's own routes: its session must not have been ended."""
    row = await one(
        connection,
        "select 1 as found from auth.sessions where id = $1 and user_id = $2",
        (claims.get("session_id"), claims.get("sub")),
    )
    if row is None:
        raise AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist")
