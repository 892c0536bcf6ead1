"""The errors of reaching the control plane, as opposed to those it answers with (`opsroom.domain.errors`)."""

import json
from typing import Any

import httpx
from postgrest import APIError
from supabase_auth.errors import AuthError, AuthRetryableError

from opsroom.domain.errors import Forbidden, InvalidArgument, NotAuthenticated, OpsRoomError, from_sqlstate


class ControlPlaneUnreachable(OpsRoomError):
    """Nobody answered, or the answer did not come from the control plane. Nothing is known about whether a command took
    effect; all commands may be sent again.
    """

    code, status = "unreachable", 503


class ControlPlaneOutdated(OpsRoomError):
    """The control plane lacks a function or column this client needs: its migrations are older than the client."""

    code, status = "outdated", 500


class ControlPlaneFailed(OpsRoomError):
    """The control plane answered with an error that is none of the domain's: a defect, or a limit of the platform."""

    code, status = "failed", 500


class ArtifactDamaged(OpsRoomError):
    """The bytes of an artifact are not those its record promises."""

    code, status = "artifact_damaged", 502


class ArtifactMissing(OpsRoomError):
    """An artifact is on record, but the store does not have its bytes."""

    code, status = "artifact_missing", 404


class NotConfigured(OpsRoomError):
    """It is not known which control plane to use."""

    code, status = "not_configured", 500


_TOKEN_REFUSED = frozenset({"PGRST301", "PGRST302", "PGRST303", "401"})
_MISSING = frozenset({"PGRST200", "PGRST202", "PGRST204", "PGRST205", "42883", "42P01", "42703"})
_UNREACHABLE = frozenset(
    {"PGRST000", "PGRST001", "PGRST002", "PGRST003", "502", "503", "504", "57P01", "57P02", "57P03"}
)
_UNSTORABLE = frozenset({"22P05", "22021"})


def is_token_refused(error: BaseException) -> bool:
    """Whether a REST call failed because its token has expired or is not known (any more)."""
    return isinstance(error, APIError) and error.code in _TOKEN_REFUSED


def from_transport(error: httpx.HTTPError, url: str) -> ControlPlaneUnreachable:
    """`error` of the connection itself as the one typed error."""
    what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    return ControlPlaneUnreachable(
        f"The control plane at {url} {what} ({type(error).__name__}).",
        hint="Start it with `opsroom up`, or check SUPABASE_URL and the network, then try again.",
    )


def from_api(error: APIError, url: str) -> OpsRoomError:  # noqa: PLR0911 - one return per kind of answer
    """PostgREST's error as one of ours. PostgREST puts the SQLSTATE, or a PGRST code of its own, in `code`."""
    code, message, hint = error.code or "", error.message or "no message", error.hint
    detail: Any = error.details
    detail = detail if isinstance(detail, str) or detail is None else json.dumps(detail)
    if known := from_sqlstate(code, message, detail=detail, hint=hint):
        return known
    if code in _TOKEN_REFUSED:
        return NotAuthenticated(f"The sign-in is not valid any more: {message}.", hint="Sign in again.")
    if code == "42501":
        return Forbidden(f"Not allowed: {message}.", hint="Sign in as a member whose role may do this.")
    if code in _MISSING:
        return ControlPlaneOutdated(
            f"The control plane at {url} does not know this call: {message}.",
            hint="Apply the migrations: `opsroom up` does it for the embedded stack, `supabase db push` for a project.",
        )
    if code in _UNREACHABLE or code.startswith(("08", "53")):
        return ControlPlaneUnreachable(
            f"The control plane at {url} is not ready: {message}.", hint="Wait a moment and try again."
        )
    if code == "413":
        return InvalidArgument("The request is larger than the control plane takes.", hint="Send less at once.")
    if code in _UNSTORABLE:
        return InvalidArgument(
            "Text with a NUL character cannot be stored.", hint="Remove the NUL character (\\u0000)."
        )
    if code.startswith("22") or code == "PGRST102":
        return InvalidArgument(f"A value is not of the kind the control plane takes: {message}.", hint=hint)
    return ControlPlaneFailed(f"The control plane failed ({code or 'no code'}): {message}.", hint=hint)


def from_auth(error: AuthError, url: str) -> OpsRoomError:
    """Supabase Auth's error as one of ours."""
    if isinstance(error, AuthRetryableError):
        return ControlPlaneUnreachable(
            f"Sign-in at {url} cannot be reached ({error.message}).",
            hint="Start it with `opsroom up`, or check SUPABASE_URL and the network, then try again.",
        )
    if error.code == "invalid_credentials":
        return NotAuthenticated("E-mail or password is wrong.", hint="Check both and sign in again.")
    if error.code == "over_request_rate_limit":
        return NotAuthenticated("Too many attempts to sign in.", hint="Wait a minute and try again.")
    return NotAuthenticated(f"Sign-in was refused: {error.message}.", hint="Sign in again.")
