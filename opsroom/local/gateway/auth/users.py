"""Users and their passwords: every statement on auth.users, and the checks before it."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from datetime import timedelta
from typing import Any

import bcrypt
import psycopg
from psycopg import AsyncConnection

from opsroom.local.gateway.database import Row, one
from opsroom.local.gateway.errors import AuthError

MAX_PASSWORD_BYTES = 72  # bcrypt's own limit
_EMAIL = re.compile(r"^[^@\s\x00]{1,64}@[^@\s\x00]{1,255}$")
_DURATION = re.compile(r"^(\d{1,9})(h|m|s)$")
# Compared with when there is no such user, so that both answers take the same time.
_NOBODY = bcrypt.hashpw(b"nobody", bcrypt.gensalt(10))


def checked_email(value: Any) -> str:
    if not isinstance(value, str) or not _EMAIL.match(value.strip()):
        raise AuthError(400, "validation_failed", "Unable to validate email address: invalid format")
    return value.strip().lower()


def checked_password(value: Any, shortest: int) -> bytes:
    if not isinstance(value, str) or len(value) < shortest:
        raise AuthError(422, "weak_password", f"Password should be at least {shortest} characters.")
    encoded = value.encode("utf-8", "surrogatepass")
    if len(encoded) > MAX_PASSWORD_BYTES or b"\x00" in encoded:
        raise AuthError(400, "validation_failed", f"Password cannot be longer than {MAX_PASSWORD_BYTES} characters")
    return encoded


def checked_id(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise AuthError(400, "validation_failed", "user_id must be an UUID") from error


async def hash_password(password: bytes) -> str:
    # In a thread: it takes about 50 ms by design, and other requests must not wait for it.
    return (await asyncio.to_thread(bcrypt.hashpw, password, bcrypt.gensalt(10))).decode()


async def password_matches(user: Row | None, password: Any) -> bool:
    given = password.encode("utf-8", "surrogatepass") if isinstance(password, str) else b""
    stored = user["encrypted_password"] if user else None
    usable = len(given) <= MAX_PASSWORD_BYTES and b"\x00" not in given
    matched = await asyncio.to_thread(bcrypt.checkpw, given if usable else b"", stored.encode() if stored else _NOBODY)
    return matched and usable and bool(stored)


async def by_email(connection: AsyncConnection[Row], email: str) -> Row | None:
    return await one(
        connection, "select * from auth.users where email = $1 and deleted_at is null", (email.strip().lower(),)
    )


async def by_id(connection: AsyncConnection[Row], user_id: str) -> Row:
    row = await one(connection, "select * from auth.users where id = $1 and deleted_at is null", (user_id,))
    if row is None:
        raise AuthError(404, "user_not_found", "User not found")
    return row


async def create(
    connection: AsyncConnection[Row],
    *,
    email: str,
    password: bytes | None,
    user_metadata: dict[str, Any],
    app_metadata: dict[str, Any],
    confirmed: bool = True,
    user_id: str | None = None,
) -> Row:
    encrypted = await hash_password(password) if password is not None else None
    app = {"provider": "email", "providers": ["email"], **app_metadata}
    try:
        row = await one(
            connection,
            "insert into auth.users (id, email, encrypted_password, email_confirmed_at, raw_app_meta_data, "
            "raw_user_meta_data) values (coalesce($1::uuid, gen_random_uuid()), $2, $3, "
            "case when $4::boolean then now() end, $5::jsonb, $6::jsonb) returning *",
            (user_id, email, encrypted, confirmed, json.dumps(app), json.dumps(user_metadata)),
        )
        assert row is not None
        await connection.execute(
            "insert into auth.identities (provider_id, user_id, identity_data, provider) values "
            "($1, $2, jsonb_build_object('sub', $1::text, 'email', $3::text, 'email_verified', true), 'email')",
            (str(row["id"]), row["id"], email),
        )
    except psycopg.errors.UniqueViolation as error:
        raise AuthError(422, "email_exists", "A user with this email address has already been registered") from error
    return row


async def change(
    connection: AsyncConnection[Row], user: Row, body: dict[str, Any], shortest_password: int, *, admin: bool
) -> Row:
    """Apply the fields a person may change of themselves, and with `admin` the others too."""
    email = checked_email(body["email"]) if body.get("email") else user["email"]
    encrypted = user["encrypted_password"]
    if body.get("password") is not None:
        encrypted = await hash_password(checked_password(body["password"], shortest_password))
    user_metadata = {**(user["raw_user_meta_data"] or {}), **_object(body, "user_metadata" if admin else "data")}
    app_metadata = dict(user["raw_app_meta_data"] or {})
    banned: timedelta | str | None = None
    if admin:
        app_metadata |= _object(body, "app_metadata")
        banned = _ban(body.get("ban_duration"))
    try:
        row = await one(
            connection,
            "update auth.users set email = $2, encrypted_password = $3, raw_user_meta_data = $4::jsonb, "
            "raw_app_meta_data = $5::jsonb, updated_at = now(), banned_until = case when $6::text = 'none' then null "
            "when $6::text is null then banned_until else now() + $6::text::interval end where id = $1 returning *",
            (user["id"], email, encrypted, json.dumps(user_metadata), json.dumps(app_metadata), banned),
        )
    except psycopg.errors.UniqueViolation as error:
        raise AuthError(422, "email_exists", "A user with this email address has already been registered") from error
    assert row is not None
    return row


def _object(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name) or {}
    if not isinstance(value, dict) or "\\u0000" in json.dumps(value):
        raise AuthError(400, "validation_failed", f"{name} must be an object without NUL characters")
    return value


def metadata(body: dict[str, Any], name: str) -> dict[str, Any]:
    return _object(body, name)


def _ban(value: Any) -> str | None:
    if value is None:
        return None
    if value == "none":
        return "none"
    match = _DURATION.match(str(value))
    if match is None:
        raise AuthError(400, "validation_failed", "invalid format for ban duration: use for instance 24h, or none")
    return f"{match[1]} {'hours' if match[2] == 'h' else 'minutes' if match[2] == 'm' else 'seconds'}"
