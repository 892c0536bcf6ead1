"""Access tokens and refresh tokens, as Supabase Auth issues them."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

import jwt

from opsroom.local.gateway.database import Row
from opsroom.local.gateway.settings import JWT_LIFETIME_SECONDS, Settings


def access_token(settings: Settings, user: Row, session_id: str, method: str) -> tuple[str, int]:
    """A signed JWT (HS256) and its end in Unix seconds."""
    now = int(time.time())
    expires = now + JWT_LIFETIME_SECONDS
    claims: dict[str, Any] = {
        "iss": f"{settings.url}/auth/v1",
        "sub": str(user["id"]),
        "aud": "authenticated",
        "exp": expires,
        "iat": now,
        "email": user["email"] or "",
        "phone": user["phone"] or "",
        "app_metadata": user["raw_app_meta_data"] or {},
        "user_metadata": user["raw_user_meta_data"] or {},
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{"method": method, "timestamp": now}],
        "session_id": session_id,
        "is_anonymous": False,
    }
    return jwt.encode(claims, settings.jwt_secret, algorithm="HS256"), expires


def new_refresh_token() -> str:
    return secrets.token_urlsafe(24)


def digest(token: str) -> bytes:
    """What the database keeps of a refresh token. The token is random, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def user_json(user: Row) -> dict[str, Any]:
    """A user as clients receive it: no password hash."""

    def stamp(name: str) -> str | None:
        return user[name].isoformat().replace("+00:00", "Z") if user[name] else None

    identity = {
        "identity_id": str(user["id"]),
        "id": str(user["id"]),
        "user_id": str(user["id"]),
        "identity_data": {"email": user["email"], "sub": str(user["id"]), "email_verified": True},
        "provider": "email",
        "last_sign_in_at": stamp("last_sign_in_at"),
        "created_at": stamp("created_at"),
        "updated_at": stamp("updated_at"),
        "email": user["email"],
    }
    return {
        "id": str(user["id"]),
        "aud": "authenticated",
        "role": "authenticated",
        "email": user["email"],
        "email_confirmed_at": stamp("email_confirmed_at"),
        "confirmed_at": stamp("email_confirmed_at"),
        "phone": user["phone"] or "",
        "last_sign_in_at": stamp("last_sign_in_at"),
        "app_metadata": user["raw_app_meta_data"] or {},
        "user_metadata": user["raw_user_meta_data"] or {},
        "identities": [identity],
        "created_at": stamp("created_at"),
        "updated_at": stamp("updated_at"),
        "banned_until": stamp("banned_until"),
        "is_anonymous": False,
    }
