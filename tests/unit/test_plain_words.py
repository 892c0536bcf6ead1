"""A line of plain words, read as runs: what is understood, and what is honestly not."""

import random
import string
from typing import Any

import pytest

from opsroom.domain.errors import InvalidArgument
from opsroom.domain.plain_words import Reading, Runbook, read_line

SNAPSHOT = Runbook(
    "postgres-snapshot",
    "Snapshot a Postgres database",
    {
        "required": ["connection"],
        "properties": {
            "connection": {"type": "string", "title": "Connection", "format": "secret-ref", "default": "EMBEDDED_DATABASE"},
            "schema": {"type": "string", "title": "Schema", "pattern": "^[a-z_]+$"},
        },
    },
    "Dumps a database and restores it.",
)  # fmt: skip
UPGRADE = Runbook(
    "module-upgrade",
    "Upgrade a module",
    {
        "required": ["module"],
        "properties": {
            "module": {"type": "string", "title": "Module", "pattern": "^[a-z]+$", "maxLength": 12},
            "where": {"type": "string", "title": "Environment", "enum": ["staging", "production"]},
            "seconds": {"type": "integer", "title": "Data files", "minimum": 1, "maximum": 600, "default": 120},
            "dry_run": {"type": "boolean", "title": "Dry run"},
        },
    },
)
HEALTH = Runbook(
    "http-healthcheck",
    "Check an HTTP address",
    {
        "required": ["url"],
        "properties": {
            "url": {"type": "string", "title": "Address", "format": "uri", "pattern": "^https?://"},
            "expected_status": {"type": "array", "items": {"type": "integer"}, "default": [200]},
            "contains": {"type": "string", "title": "Body contains"},
        },
    },
)
CHECKS = Runbook(
    "repo-checks",
    "Run checks in a repository",
    {
        "required": ["repository", "commands"],
        "properties": {
            "repository": {"type": "string", "title": "Repository", "default": "."},
            "commands": {"type": "array", "title": "Commands", "items": {"type": "string"}},
        },
    },
)
BOOKS = [SNAPSHOT, UPGRADE, HEALTH, CHECKS]


def read(text: str) -> Reading:
    return read_line(text, BOOKS)


def one(text: str) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    reading = read(text)
    assert len(reading.runs) == 1
    run = reading.runs[0]
    return run.template, dict(run.params), run.unmatched


def test_the_line_of_the_issue() -> None:
    reading = read("snapshot odoo_prod then upgrade sale in staging")
    assert [(run.template, run.params, run.follows, run.errors, run.unmatched) for run in reading.runs] == [
        ("postgres-snapshot", {"connection": "ODOO_PROD"}, False, (), ()),
        ("module-upgrade", {"module": "sale", "where": "staging"}, True, (), ()),
    ]
    assert reading.unmatched == ()


@pytest.mark.parametrize(
    ("text", "template", "params"),
    [
        ("Upgrade the module sale", "module-upgrade", {"module": "sale"}),
        ("please run module-upgrade module=sale seconds=5", "module-upgrade", {"module": "sale", "seconds": 5}),
        ("upgrading stock in PRODUCTION with data files 7", "module-upgrade", {"module": "stock", "where": "production", "seconds": 7}),
        ("upgrade sale dry run", "module-upgrade", {"module": "sale", "dry_run": True}),
        ("upgrade sale without dry run", "module-upgrade", {"module": "sale", "dry_run": False}),
        ("upgrade sale 9", "module-upgrade", {"module": "sale", "seconds": 9}),
        ("check https://a.test/health 200 204", "http-healthcheck", {"url": "https://a.test/health", "expected_status": [200, 204]}),
        ('check https://a.test body contains "all well"', "http-healthcheck", {"url": "https://a.test", "contains": "all well"}),
        ("repository checks commands='make test' commands=lint", "repo-checks", {"commands": ["make test", "lint"]}),
        ("snapshot the database MAIN_DB schema public", "postgres-snapshot", {"connection": "MAIN_DB", "schema": "public"}),
    ],
)  # fmt: skip
def test_values_are_known_by_name_enum_format_type_and_pattern(
    text: str, template: str, params: dict[str, Any]
) -> None:
    assert one(text) == (template, params, ())


def test_lanes_are_as_said() -> None:
    runs = read("upgrade sale in lane B, snapshot MAIN_DB into lane c then check https://a.test").runs
    assert [(run.template, run.lane, run.follows) for run in runs] == [
        ("module-upgrade", "B", False), ("postgres-snapshot", "C", False), ("http-healthcheck", None, True)
    ]  # fmt: skip


def test_a_list_takes_what_and_joins() -> None:
    assert one("check https://a.test 200 and 204")[1]["expected_status"] == [200, 204]


def test_what_is_not_understood_is_kept_as_such() -> None:
    assert one("upgrade sale tomorrow, quickly!") == ("module-upgrade", {"module": "sale"}, ("tomorrow", "quickly!"))
    assert read("make me a sandwich") == Reading((), ("make", "me", "sandwich"))
    assert read("") == Reading()
    run = read("upgrade sale colour=red").runs[0]
    assert [error.path for error in run.errors] == ["/colour"]


def test_what_is_missing_or_wrong_is_an_error_and_not_a_guess() -> None:
    assert [error.path for error in read("upgrade").runs[0].errors] == ["/module"]
    assert [error.path for error in read("upgrade sale seconds=9999").runs[0].errors] == ["/seconds"]
    assert read("upgrade module=sale module=stock").runs[0].errors[0].path == "/module"


def test_a_line_may_not_be_endless() -> None:
    with pytest.raises(InvalidArgument):
        read("x" * 2001)


def test_depth_is_no_trap() -> None:
    assert read_line("check commands=" + "[" * 1900, BOOKS).runs[0].errors
    assert read_line("check commands=" + "[" * 900 + "]" * 900, BOOKS).runs[0].errors


def test_no_line_breaks_the_reader() -> None:
    choice = random.Random(7)
    pool = [
        *string.printable,
        "then",
        "and",
        "lane",
        "B",
        "upgrade",
        "snapshot",
        "=",
        '"',
        "module=",
        "seconds",
        "5",
        " ",
    ]
    for _ in range(400):
        line = " ".join(choice.choice(pool) for _ in range(choice.randrange(30)))
        for run in read(line).runs:
            assert run.template in {book.slug for book in BOOKS}
