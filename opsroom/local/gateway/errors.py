"""The gateway's answers to failures, in the shape each Supabase service gives them."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from starlette.responses import JSONResponse, Response


class ApiError(Exception):
    """A failure with a ready answer. Each service subclasses it with its own body."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(body.get("message") or body.get("msg"))
        self.status = status
        self.body = body
        self.headers = headers or {}

    def response(self) -> Response:
        return JSONResponse(self.body, self.status, self.headers)


class RestError(ApiError):
    """PostgREST's error body: code, message, details, hint."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Any = None,
        *,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, {"code": code, "message": message, "details": details, "hint": hint}, headers)


class StorageError(ApiError):
    """Storage answers 400 to most failures and tells the real status in the body (500 stays 500)."""

    def __init__(self, status: int, error: str, message: str) -> None:
        outer = status if status in (413, 500, 503) else 400
        super().__init__(outer, {"statusCode": str(status), "error": error, "message": message})


class AuthError(ApiError):
    """Auth's error body, readable by clients of the 2024-01-01 API version and by older ones."""

    def __init__(self, status: int, code: str, message: str) -> None:
        body = {"code": code, "error_code": code, "msg": message, "message": message}
        super().__init__(status, body, {"X-Supabase-Api-Version": "2024-01-01"})


# https://docs.postgrest.org/en/stable/references/errors.html: the first matching prefix decides.
_STATUS_BY_SQLSTATE = (
    ("23503", 409),
    ("23505", 409),
    ("25006", 405),
    ("42883", 404),
    ("42P01", 404),
    ("42P17", 500),
    ("53400", 500),
    ("P0001", 400),
    ("08", 503),
    ("09", 500),
    ("0L", 403),
    ("0P", 403),
    ("25", 500),
    ("28", 403),
    ("2D", 500),
    ("38", 500),
    ("39", 500),
    ("3B", 500),
    ("40", 500),
    ("53", 503),
    ("54", 500),
    ("55", 500),
    ("57", 500),
    ("58", 500),
    ("F0", 500),
    ("HV", 500),
    ("P0", 500),
    ("XX", 500),
)


def from_database(error: psycopg.Error, *, anonymous: bool) -> RestError:
    """A database error as PostgREST reports it: the SQLSTATE is kept, the HTTP status follows from it."""
    code = error.sqlstate
    if code is None:
        return RestError(503, "PGRST000", "Database connection error. Retrying the connection.")
    message = error.diag.message_primary or str(error)
    detail, hint = error.diag.message_detail, error.diag.message_hint
    if code == "PGRST":
        return _raised_by_function(message, detail)
    if code == "42501":
        return RestError(401 if anonymous else 403, code, message, detail, hint=hint)
    if code.startswith("PT") and code[2:].isdecimal():
        return RestError(int(code[2:]), code, message, detail, hint=hint)
    status = next((status for prefix, status in _STATUS_BY_SQLSTATE if code.startswith(prefix)), 400)
    return RestError(status, code, message, detail, hint=hint)


def _raised_by_function(message: str, detail: str | None) -> RestError:
    """`raise sqlstate 'PGRST'` lets a function choose body (message) and status and headers (detail), both JSON."""
    try:
        body = json.loads(message)
        answer = json.loads(detail or "")
        return RestError(
            int(answer["status"]),
            str(body["code"]),
            str(body["message"]),
            body.get("details"),
            hint=body.get("hint"),
            headers={str(name): str(value) for name, value in answer.get("headers", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return RestError(500, "PGRST121", "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error", message)
