"""The one error tree. Every domain error has one SQLSTATE; `from_sqlstate` is the only place that maps them.

The SQL functions raise them with the SQLSTATE, a message that says what was wrong, a HINT that says what to do, and,
for the validation errors, a DETAIL that is a JSON array of `FieldError`s. `docs/errors.md` lists them all.
"""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError


class FieldError(BaseModel):
    """One thing wrong with one field. `path` is a JSON Pointer (RFC 6901), empty for the whole object."""

    model_config = ConfigDict(frozen=True)

    path: str
    code: str
    message: str


class OpsRoomError(Exception):
    """Any error of the domain. `status` is the HTTP status an API answers with; `hint` says what to do."""

    sqlstate: ClassVar[str] = ""
    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = tuple(fields)


class NotAuthenticated(OpsRoomError):
    sqlstate, code, status = "ORA01", "not_authenticated", 401


class Forbidden(OpsRoomError):
    sqlstate, code, status = "ORA02", "forbidden", 403


class NotAMember(OpsRoomError):
    sqlstate, code, status = "ORA03", "not_a_member", 403


class SessionNotFound(OpsRoomError):
    sqlstate, code, status = "ORN01", "session_not_found", 404


class RunNotFound(OpsRoomError):
    sqlstate, code, status = "ORN02", "run_not_found", 404


class TemplateNotFound(OpsRoomError):
    sqlstate, code, status = "ORN03", "template_not_found", 404


class WorkerNotFound(OpsRoomError):
    sqlstate, code, status = "ORN04", "worker_not_found", 404


class MemberNotFound(OpsRoomError):
    sqlstate, code, status = "ORN05", "member_not_found", 404


class SpecNotFound(OpsRoomError):
    sqlstate, code, status = "ORN06", "spec_not_found", 404


class HoldNotFound(OpsRoomError):
    sqlstate, code, status = "ORN07", "hold_not_found", 404


class InvalidParams(OpsRoomError):
    sqlstate, code, status = "ORV01", "invalid_params", 422


class InvalidArgument(OpsRoomError):
    sqlstate, code, status = "ORV02", "invalid_argument", 422


class InvalidTemplate(OpsRoomError):
    sqlstate, code, status = "ORV03", "invalid_template", 422


class SessionArchived(OpsRoomError):
    sqlstate, code, status = "ORC01", "session_archived", 409


class RunNotFinished(OpsRoomError):
    sqlstate, code, status = "ORC02", "run_not_finished", 409


class IdempotencyConflict(OpsRoomError):
    sqlstate, code, status = "ORC03", "idempotency_conflict", 409


class TemplateDisabled(OpsRoomError):
    sqlstate, code, status = "ORC04", "template_disabled", 409


class IllegalTransition(OpsRoomError):
    sqlstate, code, status = "ORC05", "illegal_transition", 409


class BatchGap(OpsRoomError):
    sqlstate, code, status = "ORC06", "batch_gap", 409


class ArtifactConflict(OpsRoomError):
    sqlstate, code, status = "ORC07", "artifact_conflict", 409


class EvidenceImmutable(OpsRoomError):
    sqlstate, code, status = "ORC08", "evidence_immutable", 409


class WorkerProtocol(OpsRoomError):
    sqlstate, code, status = "ORC09", "worker_protocol", 409


class VersionConflict(OpsRoomError):
    sqlstate, code, status = "ORC10", "version_conflict", 409


class LastAdmin(OpsRoomError):
    sqlstate, code, status = "ORC11", "last_admin", 409


class NotDeterministic(OpsRoomError):
    sqlstate, code, status = "ORC12", "not_deterministic", 409


class ClaimLost(OpsRoomError):
    sqlstate, code, status = "ORF01", "claim_lost", 409


class GateNotFound(OpsRoomError):
    sqlstate, code, status = "ORG01", "gate_not_found", 404


class GateClosed(OpsRoomError):
    sqlstate, code, status = "ORG02", "gate_closed", 409


class ApprovalStale(OpsRoomError):
    sqlstate, code, status = "ORG03", "approval_stale", 409


class EvidenceMissing(OpsRoomError):
    sqlstate, code, status = "ORG04", "evidence_missing", 409


class EvidenceExpired(OpsRoomError):
    sqlstate, code, status = "ORG05", "evidence_expired", 410


BY_SQLSTATE: dict[str, type[OpsRoomError]] = {error.sqlstate: error for error in OpsRoomError.__subclasses__()}


def from_sqlstate(
    sqlstate: str, message: str, *, detail: str | None = None, hint: str | None = None
) -> OpsRoomError | None:
    """The domain error that a database error stands for, or None when its SQLSTATE is not one of ours."""
    kind = BY_SQLSTATE.get(sqlstate)
    return kind(message, hint=hint, fields=_field_errors(detail)) if kind else None


def _field_errors(detail: str | None) -> tuple[FieldError, ...]:
    try:
        items: Any = json.loads(detail or "[]")
        return tuple(FieldError.model_validate(item) for item in items)
    except (ValueError, TypeError, ValidationError):
        return ()
