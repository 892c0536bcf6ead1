"""Who is calling: the API key opens the gateway, the bearer token names the caller and the database role."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt
from starlette.datastructures import Headers, QueryParams

from opsroom.local.gateway.errors import ApiError, RestError
from opsroom.local.gateway.settings import Settings

Role = Literal["anon", "authenticated", "service_role"]
_ROLES: tuple[Role, ...] = ("anon", "authenticated", "service_role")


@dataclass(frozen=True)
class Caller:
    """A verified caller. `claims` is what `auth.jwt()` returns in the database."""

    role: Role
    claims: dict[str, Any] = field(default_factory=dict)

    @property
    def claims_json(self) -> str:
        return json.dumps(self.claims, separators=(",", ":"))

    @property
    def user_id(self) -> str | None:
        return self.claims.get("sub")

    @property
    def expires_at(self) -> float | None:
        """Unix time in seconds; None for API keys, which do not expire."""
        return self.claims.get("exp")


@dataclass(frozen=True)
class Gatekeeper:
    settings: Settings

    def caller_of(self, headers: Headers, query: QueryParams) -> Caller:
        """The caller of a request. Raises a 401 with Supabase's own bodies."""
        key = headers.get("apikey") or query.get("apikey")
        bearer = bearer_token(headers)
        if key is None and bearer is not None and self._key_role(bearer):
            key = bearer
        if key is None:
            raise ApiError(
                401,
                {
                    "message": "No API key found in request",
                    "hint": "No `apikey` request header or url param was found.",
                },
            )
        role = self._key_role(key)
        if role is None:
            raise ApiError(
                401,
                {
                    "message": "Invalid API key",
                    "hint": "Double check your Supabase `anon` or `service_role` API key.",
                },
            )
        return self.caller_of_token(bearer or key)

    def caller_of_token(self, token: str) -> Caller:
        """The caller a bearer token stands for: one of the two keys, or a JWT signed by this installation."""
        if role := self._key_role(token):
            return Caller(role, {"role": role})
        claims = self.verify(token)
        role = claims.get("role", "anon")
        if role not in _ROLES:
            raise _invalid("PGRST301", f"The role {role!r} of the token is not one of this API.")
        return Caller(role, claims)

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a JWT. Only HS256 with this installation's secret is accepted, and it must expire."""
        try:
            return jwt.decode(
                token,
                self.settings.jwt_secret,
                algorithms=["HS256"],
                options={"require": ["exp"], "verify_aud": False, "verify_sub": False},
            )
        except jwt.ExpiredSignatureError as error:
            raise _invalid("PGRST303", "JWT expired") from error
        except jwt.InvalidTokenError as error:
            raise _invalid("PGRST301", f"No suitable key or wrong key type: {error}") from error

    def _key_role(self, key: str) -> Role | None:
        given = key.encode()
        if hmac.compare_digest(given, self.settings.anon_key.encode()):
            return "anon"
        if hmac.compare_digest(given, self.settings.service_role_key.encode()):
            return "service_role"
        return None


def bearer_token(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _invalid(code: str, message: str) -> RestError:
    header = f'Bearer error="invalid_token", error_description="{message.splitlines()[0]}"'
    return RestError(401, code, message, headers={"WWW-Authenticate": header.encode("ascii", "replace").decode()})
