"""/auth/v1: passwords, sessions, the signed-in user, and the administration of users."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opsroom.local.gateway.auth import sessions, tokens, users
from opsroom.local.gateway.body import read_object
from opsroom.local.gateway.database import Database, many, one
from opsroom.local.gateway.errors import AuthError, RestError
from opsroom.local.gateway.identity import Caller, Gatekeeper
from opsroom.local.gateway.settings import Settings

PAGE_SIZE = 50


class Auth:
    def __init__(self, gatekeeper: Gatekeeper, database: Database, settings: Settings) -> None:
        self._gatekeeper = gatekeeper
        self._database = database
        self._settings = settings

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/settings", self.settings, methods=["GET"]),
            Route("/token", self.token, methods=["POST"]),
            Route("/signup", self.signup, methods=["POST"]),
            Route("/user", self.read_user, methods=["GET"]),
            Route("/user", self.change_user, methods=["PUT"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/admin/users", self.list_users, methods=["GET"]),
            Route("/admin/users", self.create_user, methods=["POST"]),
            Route("/admin/users/{id}", self.read_any_user, methods=["GET"]),
            Route("/admin/users/{id}", self.change_any_user, methods=["PUT"]),
            Route("/admin/users/{id}", self.delete_user, methods=["DELETE"]),
        ]

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"name": "GoTrue", "description": "opsroom embedded auth", "version": "embedded"})

    async def settings(self, request: Request) -> Response:
        self._caller(request)
        return JSONResponse(
            {"external": {"email": True}, "disable_signup": not self._settings.allow_signup, "mailer_autoconfirm": True}
        )

    async def token(self, request: Request) -> Response:
        self._caller(request)
        body = await read_object(request)
        match request.query_params.get("grant_type"):
            case "password":
                return await self._sign_in(request, body)
            case "refresh_token":
                token = body.get("refresh_token")
                if not isinstance(token, str) or not token:
                    raise AuthError(400, "validation_failed", "refresh_token is required")
                async with self._database.as_admin() as connection:
                    session = await sessions.refresh(connection, self._settings, token)
                if session is None:
                    raise AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
                return JSONResponse(session)
            case _:
                raise AuthError(400, "invalid_credentials", "unsupported_grant_type")

    async def _sign_in(self, request: Request, body: dict[str, Any]) -> Response:
        email = body.get("email")
        async with self._database.as_admin() as connection:
            known = isinstance(email, str) and "\x00" not in email
            user = await users.by_email(connection, str(email)) if known else None
        # Outside the transaction: hashing is slow and must hold no connection.
        if not await users.password_matches(user, body.get("password")) or user is None:
            raise AuthError(400, "invalid_credentials", "Invalid login credentials")
        if user["email_confirmed_at"] is None:
            raise AuthError(400, "email_not_confirmed", "Email not confirmed")
        async with self._database.as_admin() as connection:
            banned = await one(
                connection, "select 1 as yes from auth.users where id = $1 and banned_until > now()", (user["id"],)
            )
            if banned:
                raise AuthError(400, "user_banned", "User is banned")
            agent = request.headers.get("user-agent", "")
            return JSONResponse(await sessions.begin(connection, self._settings, user, agent))

    async def signup(self, request: Request) -> Response:
        self._caller(request)
        if not self._settings.allow_signup:
            raise AuthError(422, "signup_disabled", "Signups not allowed for this instance")
        body = await read_object(request)
        email, password = users.checked_email(body.get("email")), self._password(body)
        async with self._database.as_admin() as connection:
            if await users.by_email(connection, email):
                raise AuthError(422, "user_already_exists", "User already registered")
            user = await users.create(
                connection,
                email=email,
                password=password,
                user_metadata=users.metadata(body, "data"),
                app_metadata={},
            )
            agent = request.headers.get("user-agent", "")
            return JSONResponse(await sessions.begin(connection, self._settings, user, agent))

    async def read_user(self, request: Request) -> Response:
        claims = self._signed_in(request)
        async with self._database.as_admin() as connection:
            await sessions.require(connection, claims)
            return JSONResponse(tokens.user_json(await users.by_id(connection, claims["sub"])))

    async def change_user(self, request: Request) -> Response:
        claims = self._signed_in(request)
        body = await read_object(request)
        async with self._database.as_admin() as connection:
            await sessions.require(connection, claims)
            user = await users.by_id(connection, claims["sub"])
            changed = await users.change(connection, user, body, self._settings.min_password_length, admin=False)
            if body.get("password") is not None:
                await sessions.end(connection, claims, "others")
            return JSONResponse(tokens.user_json(changed))

    async def logout(self, request: Request) -> Response:
        claims = self._signed_in(request)
        async with self._database.as_admin() as connection:
            await sessions.end(connection, claims, request.query_params.get("scope", "global"))
        return Response(status_code=204)

    async def list_users(self, request: Request) -> Response:
        self._require_admin(request)
        page = _page_number(request, "page", 1)
        size = min(_page_number(request, "per_page", PAGE_SIZE), 1000)
        async with self._database.as_admin() as connection:
            rows = await many(
                connection,
                "select * from auth.users where deleted_at is null order by created_at desc, id limit $1 offset $2",
                (size, (page - 1) * size),
            )
            total = await one(connection, "select count(*) as n from auth.users where deleted_at is null")
        headers = {"X-Total-Count": str(total["n"] if total else 0)}
        return JSONResponse({"users": [tokens.user_json(row) for row in rows], "aud": "authenticated"}, headers=headers)

    async def create_user(self, request: Request) -> Response:
        self._require_admin(request)
        body = await read_object(request)
        password = self._password(body) if body.get("password") is not None else None
        async with self._database.as_admin() as connection:
            user = await users.create(
                connection,
                email=users.checked_email(body.get("email")),
                password=password,
                user_metadata=users.metadata(body, "user_metadata"),
                app_metadata=users.metadata(body, "app_metadata"),
                confirmed=bool(body.get("email_confirm")),
                user_id=users.checked_id(str(body["id"])) if body.get("id") else None,
            )
        return JSONResponse(tokens.user_json(user))

    async def read_any_user(self, request: Request) -> Response:
        self._require_admin(request)
        async with self._database.as_admin() as connection:
            user = await users.by_id(connection, users.checked_id(request.path_params["id"]))
        return JSONResponse(tokens.user_json(user))

    async def change_any_user(self, request: Request) -> Response:
        self._require_admin(request)
        user_id = users.checked_id(request.path_params["id"])
        body = await read_object(request)
        async with self._database.as_admin() as connection:
            user = await users.by_id(connection, user_id)
            changed = await users.change(connection, user, body, self._settings.min_password_length, admin=True)
            if body.get("email_confirm"):
                await connection.execute(
                    "update auth.users set email_confirmed_at = coalesce(email_confirmed_at, now()) where id = $1",
                    (user_id,),
                )
                changed = await users.by_id(connection, user_id)
        return JSONResponse(tokens.user_json(changed))

    async def delete_user(self, request: Request) -> Response:
        self._require_admin(request)
        user_id = users.checked_id(request.path_params["id"])
        async with self._database.as_admin() as connection:
            user = await users.by_id(connection, user_id)
            await connection.execute("delete from auth.users where id = $1", (user_id,))
        return JSONResponse(tokens.user_json(user))

    def _caller(self, request: Request) -> Caller:
        try:
            return self._gatekeeper.caller_of(request.headers, request.query_params)
        except RestError as error:
            message = str(error.body["message"])
            raise AuthError(403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {message}") from error

    def _password(self, body: dict[str, Any]) -> bytes:
        return users.checked_password(body.get("password"), self._settings.min_password_length)

    def _signed_in(self, request: Request) -> dict[str, Any]:
        caller = self._caller(request)
        if caller.user_id is None:
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
        return caller.claims

    def _require_admin(self, request: Request) -> None:
        if self._caller(request).role != "service_role":
            raise AuthError(403, "not_admin", "User not allowed")


def _page_number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 9 and int(text) > 0 else default
