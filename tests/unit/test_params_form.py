"""Params as a form and back; the plan that is shown before a launch."""

from typing import Any

import pytest

from opsroom.domain.errors import FieldError
from opsroom.domain.template import parse
from opsroom.room.params_form import by_path, check, fields, kind_of, limits, typed, untyped
from opsroom.room.plan import GAP_X, WIDTH, plan_view

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "count"],
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "count": {"type": "integer", "minimum": 1, "default": 3},
        "share": {"type": "number"},
        "sure": {"type": "boolean", "default": True},
        "mode": {"enum": ["a", 2, True]},
        "tables": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}},
        "ports": {"type": "array", "items": {"type": "integer"}, "default": [80]},
        "when": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "secret": {"type": "string", "format": "secret-ref"},
        "text": {"type": "string", "format": "multiline"},
        "odd": {"type": "array"},
        "extra": {
            "type": "object",
            "required": ["k"],
            "properties": {
                "k": {"type": "integer"},
                "on": {"type": "boolean"},
                "rows": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            },
        },
    },
}
GOOD = {
    "name": "ada", "count": 7, "share": 0.5, "sure": False, "mode": 2, "tables": ["a", "b"], "ports": [], "day": "2026-11-24",
    "when": "2026-11-24T10:00:00Z", "secret": "DB", "text": " as is\n", "odd": [1, "x"], "extra": {"k": 1, "rows": [{"a": "z"}]},
}  # fmt: skip


def test_every_type_gets_its_control() -> None:
    kinds = {item.name: item.kind for item in fields(SCHEMA)}
    assert kinds == {
        "name": "text", "count": "integer", "share": "number", "sure": "boolean", "mode": "enum", "tables": "list",
        "ports": "list", "when": "datetime", "day": "date", "secret": "secret", "text": "multiline", "odd": "json",
        "extra": "object",
    }  # fmt: skip
    extra = next(item for item in fields(SCHEMA) if item.name == "extra")
    assert [(item.name, item.kind, item.required) for item in extra.fields] == [
        ("k", "integer", True), ("on", "boolean", False), ("rows", "list", False)
    ]  # fmt: skip
    assert extra.fields[2].item[0].fields[0].name == "a"
    assert kind_of({}) == "json"


def test_a_form_starts_with_the_defaults_or_with_what_is_given() -> None:
    start = untyped(SCHEMA, {"tables": ["b", "c"]})
    assert (start["count"], start["sure"], start["tables"], start["ports"]) == ("3", True, ["b", "c"], ["80"])
    assert start["extra"] == {"k": "", "on": False, "rows": []}


def test_params_survive_the_way_into_a_form_and_back() -> None:
    assert typed(SCHEMA, untyped(SCHEMA, GOOD)) == GOOD
    assert check(SCHEMA, GOOD) == {}


def test_texts_are_read_as_people_write_them() -> None:
    read = typed(SCHEMA, {"name": " ada ", "share": "0,5", "tables": ["a", " ", " b "], "count": "7"})
    assert read == {"name": "ada", "share": 0.5, "tables": ["a", "b"], "count": 7}


def test_what_is_left_alone_is_absent_and_what_is_emptied_is_not() -> None:
    assert typed(SCHEMA, {"name": "", "count": " ", "tables": [], "ports": [], "sure": True}) == {
        "ports": [],
        "sure": True,
    }
    assert typed(SCHEMA, untyped(SCHEMA, {})) == {"count": 3, "sure": True, "ports": [80]}
    assert typed(SCHEMA, "not a form") == {}


@pytest.mark.parametrize(
    ("texts", "path"),
    [
        ({"name": "a"}, "/name"),
        ({"count": "many"}, "/count"),
        ({"count": "0"}, "/count"),
        ({"share": "half"}, "/share"),
        ({"mode": "b"}, "/mode"),
        ({"tables": ["good", "BAD"]}, "/tables/1"),
        ({"ports": ["http"]}, "/ports/0"),
        ({"when": "soon"}, "/when"),
        ({"secret": "not a name"}, "/secret"),
        ({"odd": "{"}, "/odd"),
        ({"extra": {"k": "x"}}, "/extra/k"),
        ({"extra": {"k": "", "on": True}}, "/extra/k"),
        ({"name": "nul\x00"}, "/name"),
    ],
)
def test_a_mistake_is_told_at_its_field(texts: dict[str, Any], path: str) -> None:
    assert set(check(SCHEMA, typed(SCHEMA, {"name": "ada", "count": "1", **texts}))) == {path}


def test_an_error_is_a_sentence() -> None:
    errors = [FieldError(path="/tables/1", code=code, message="does not match") for code in ("pattern", "format")]
    assert by_path(errors) == {"/tables/1": "Does not match."}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"minimum": 1, "maximum": 9}, "1 to 9."),
        ({"minimum": 0}, "At least 0."),
        ({"exclusiveMinimum": 0, "multipleOf": 5}, "More than 0. A multiple of 5."),
        ({"minLength": 1}, ""),
        ({"minLength": 2, "maxLength": 12}, "2 to 12 characters."),
        ({"maxItems": 3, "uniqueItems": True}, "At most 3 items. No item twice."),
        ({"description": "A name.", "pattern": "^a$"}, "Matches ^a$"),
    ],
)
def test_bounds_are_said_in_words(schema: dict[str, Any], words: str) -> None:
    assert limits(schema) == words


def test_a_plan_goes_from_left_to_right_and_says_what_it_promises() -> None:
    def step(name: str, *needs: str, **more: Any) -> dict[str, Any]:
        return {
            "id": name,
            "title": name.upper(),
            "kind": "shell",
            "needs": list(needs),
            "with": {"argv": ["true"]},
            **more,
        }

    template = parse(
        {
            "slug": "diamond",
            "title": "Diamond",
            "retry": {"attempts": 3, "on": ["lost"]},
            "queue_timeout_seconds": 60,
            "risk": "block",
            "params": {},
            "steps": [
                step("a"),
                step("b", "a", artifacts=[{"path": "b.json"}]),
                step("c", "a"),
                step("d", "b", "c", verifiers=[{"name": "It answers", "kind": "shell", "with": {"argv": ["true"]}}]),
                {"id": "ask", "title": "Ask", "kind": "gate", "needs": ["d"], "with": {"approvers": 2, "self_approval": True}},
                {
                    "id": "e", "title": "Probe", "kind": "http", "needs": ["a", "ask"],
                    "with": {"url": "https://x.test", "expect": {"status": [200]}},
                },
            ],
        }
    )  # fmt: skip
    plan = plan_view(template.spec())
    column = {node.id: node.x // (WIDTH + GAP_X) for node in plan.nodes}
    assert column == {"a": 0, "b": 1, "c": 1, "d": 2, "ask": 3, "e": 4}
    assert len({(node.x, node.y) for node in plan.nodes}) == len(plan.nodes)
    assert len(plan.edges) == 7
    assert plan.width == 5 * WIDTH + 4 * GAP_X
    assert plan.verified == ["D: It answers", "Probe: the status"]
    assert plan.approvals == [
        "Before it starts: an approver other than you, within 24 h 00 m",
        "At Ask: 2 approvers, within 24 h 00 m",
    ]
    assert [node.id for node in plan.nodes if node.gate] == ["ask"]
    assert plan.artifacts == ["b.json from B"]
    assert plan.limits == [
        "Ends after 1 h 00 m at the latest",
        "Is given up when it did not start within 1 m",
        "Is tried again up to 2 times when it was lost",
    ]
