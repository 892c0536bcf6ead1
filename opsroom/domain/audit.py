"""The audit log as files: CSV for spreadsheets, JSON Lines for programs, OCSF for what collects security events.

An entry is OCSF's Entity Management (class 3004, category Identity & Access Management): somebody did something to a
run, a session, a template, a worker or a member. Its required attributes are all there; the entry itself, as it is on
record, is in `unmapped`. https://schema.ocsf.io/1.3.0/classes/entity_management
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from opsroom.domain import spreadsheet

Format = Literal["csv", "jsonl", "ocsf"]

COLUMNS: Final = (
    "id",
    "at",
    "actor",
    "actor_email",
    "actor_name",
    "actor_role",
    "action",
    "target_type",
    "target_id",
    "target_name",
    "details",
)

OCSF_VERSION: Final = "1.3.0"
_CLASS: Final = 3004
_ACTIVITIES: Final = {
    1: "Create",
    2: "Read",
    3: "Update",
    4: "Delete",
    8: "Enable",
    9: "Disable",
    12: "Suspend",
    13: "Resume",
}
_ACTIVITY_OF: Final = {
    "created": 1, "exported": 2, "expired": 4, "collected": 4, "enabled": 8, "disabled": 9,
    "paused": 12, "drained": 12, "resumed": 13,
}  # fmt: skip
_UPDATE: Final = 3


class AuditEntry(BaseModel):
    """One entry: who did what to what. `actor` is null for a service, whose role is then `service`."""

    model_config = ConfigDict(frozen=True)

    id: int
    at: str
    actor: str | None = None
    actor_email: str | None = None
    actor_name: str | None = None
    actor_role: str
    action: str
    target_type: str
    target_id: str
    target_name: str | None = None
    details: Mapping[str, Any] = Field(default_factory=dict)


def header(form: Format) -> str:
    """What stands before the first entry."""
    return spreadsheet.line(COLUMNS) if form == "csv" else ""


def line(form: Format, entry: AuditEntry) -> str:
    """One entry, with its line end."""
    return _LINES[form](entry)


def _csv(entry: AuditEntry) -> str:
    return spreadsheet.line(getattr(entry, name) for name in COLUMNS)


def _jsonl(entry: AuditEntry) -> str:
    return json.dumps(entry.model_dump(), ensure_ascii=False) + "\n"


def _ocsf(entry: AuditEntry) -> str:
    activity = _ACTIVITY_OF.get(entry.action.rpartition(".")[2], _UPDATE)
    user = {"uid": entry.actor, "name": entry.actor_name or entry.actor_email, "email_addr": entry.actor_email}
    actor = (
        {"user": {**{key: value for key, value in user.items() if value}, "groups": [{"name": entry.actor_role}]}}
        if entry.actor
        else {"app_name": f"Ops Control Room ({entry.actor_role})"}
    )
    comment = entry.details.get("comment") or entry.details.get("reason")
    event: dict[str, Any] = {
        "class_uid": _CLASS,
        "class_name": "Entity Management",
        "category_uid": _CLASS // 1000,
        "category_name": "Identity & Access Management",
        "activity_id": activity,
        "activity_name": _ACTIVITIES[activity],
        "type_uid": _CLASS * 100 + activity,
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1,
        "status": "Success",
        "time": _milliseconds(entry.at),
        "message": entry.action,
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "Ops Control Room", "vendor_name": "Ops Control Room"},
            "uid": str(entry.id),
            "event_code": entry.action,
            "original_time": entry.at,
        },
        "actor": actor,
        "entity": {
            "type": entry.target_type,
            # At least one of uid and name is required.
            "uid": entry.target_id or entry.target_type,
            **({"name": entry.target_name} if entry.target_name else {}),
            "data": dict(entry.details),
        },
        **({"comment": str(comment)} if comment else {}),
        "unmapped": entry.model_dump(),
    }
    return json.dumps(event, ensure_ascii=False) + "\n"


def _milliseconds(at: str) -> int:
    moment = dt.datetime.fromisoformat(at.replace("Z", "+00:00"))
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


_LINES: Final[Mapping[Format, Callable[[AuditEntry], str]]] = {"csv": _csv, "jsonl": _jsonl, "ocsf": _ocsf}
