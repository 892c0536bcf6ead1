"""The audit log as files: spreadsheets evaluate nothing, and each OCSF event has what its class requires."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from opsroom.domain import spreadsheet
from opsroom.domain.audit import COLUMNS, AuditEntry, header, line

# schema.ocsf.io/1.3.0: base event and entity_management, those that are required.
REQUIRED = {"activity_id", "category_uid", "class_uid", "type_uid", "severity_id", "time", "metadata", "entity"}


def entry(**changes: Any) -> AuditEntry:
    return AuditEntry.model_validate(
        {
            "id": 7, "at": "2026-11-24T12:00:00.123456Z", "actor": "a-1", "actor_email": "ada@example.test",
            "actor_name": "Ada", "actor_role": "admin", "action": "template.saved", "target_type": "template",
            "target_id": "greet", "target_name": "greet", "details": {"version": 3},
        } | changes
    )  # fmt: skip


@pytest.mark.parametrize(
    "hostile",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        '=HYPERLINK("http://x","y")',
        'a";=cmd|x',
        "x;=1",
        "a,b\n=1",
    ],
)
def test_no_value_becomes_a_formula_or_another_cell(hostile: str) -> None:
    text = header("csv") + line("csv", entry(actor_name=hostile, target_name=hostile, details={"reason": hostile}))
    columns, row = list(csv.reader(io.StringIO(text, newline="")))
    assert tuple(columns) == COLUMNS
    told = dict(zip(columns, row, strict=True))
    assert told["actor_name"].removeprefix("'") == hostile
    assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for value in row)
    assert json.loads(told["details"]) == {"reason": hostile}
    # Where semicolons separate, quotation marks hold a cell together: each stands doubled or at a cell's edge.
    assert all(part.startswith('"') and part.endswith('"') for part in text.splitlines()[0].split(","))
    assert spreadsheet.line([hostile]).startswith('"')


def test_json_lines_are_the_entries_as_they_are() -> None:
    made = entry(details={"x": "ü\n"})
    text = header("jsonl") + line("jsonl", made)
    assert text.count("\n") == 1
    assert AuditEntry.model_validate_json(text) == made


@pytest.mark.parametrize(
    ("action", "activity"),
    [
        ("run.created", 1), ("audit.exported", 2), ("template.saved", 3), ("member.set", 3), ("gate.approved", 3),
        ("gate.denied", 3), ("hold.placed", 3), ("hold.released", 3), ("log.expired", 4), ("orphan.collected", 4),
        ("template.enabled", 8), ("template.disabled", 9), ("session.paused", 12), ("worker.resumed", 13),
        ("something.new", 3),
    ],
)  # fmt: skip
def test_ocsf_events_are_entity_management(action: str, activity: int) -> None:
    event = json.loads(line("ocsf", entry(action=action, details={"comment": "why"})))
    assert set(event) >= REQUIRED
    assert event["class_uid"] == 3004 and event["category_uid"] == 3
    assert (event["activity_id"], event["type_uid"]) == (activity, 300400 + activity)
    assert event["time"] == 1795521600123
    assert {"version", "product"} <= set(event["metadata"]) and event["metadata"]["product"]["name"]
    assert event["entity"]["uid"] == "greet"
    assert (event["actor"]["user"]["uid"], event["comment"]) == ("a-1", "why")
    assert event["unmapped"]["action"] == action


def test_what_a_service_did_has_no_user_and_an_entity_in_any_case() -> None:
    event = json.loads(
        line("ocsf", entry(actor=None, actor_email=None, actor_name=None, actor_role="service", target_id=""))
    )
    assert event["actor"] == {"app_name": "Ops Control Room (service)"}
    assert event["entity"]["uid"] == "template"
