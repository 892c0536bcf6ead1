"""The database and the domain read JSON alike: canonical text, params and templates."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsroom.domain import params, template
from opsroom.domain.errors import InvalidTemplate
from tests.database.conftest import TEMPLATE, Room

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=8)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15, allow_nan=False, allow_subnormal=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(values=st.lists(JSON, min_size=20, max_size=40))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_canonical_json_is_rfc_8785(room: Room, values: list[Any]) -> None:
    found = await room.column(
        "select private.canonical_json(value) from jsonb_array_elements(%s::jsonb) with ordinality as t (value, n) order by n",
        json.dumps(values),
    )
    assert found == [rfc8785.dumps(value).decode() for value in values]


SCHEMA: dict[str, Any] = {
    "properties": {
        "word": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]*$"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "yes": {"type": "boolean"},
        "level": {"enum": ["low", "high", 3, None]},
        "fixed": {"const": "this"},
        "items": {
            "type": "array",
            "items": {"type": "string", "maxLength": 2},
            "minItems": 1,
            "maxItems": 2,
            "uniqueItems": True,
        },
        "inner": {"type": "object", "properties": {"a/b~c": {"type": "integer"}}, "required": ["a/b~c"]},
        "when": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "mail": {"type": "string", "format": "email"},
        "link": {"type": "string", "format": "uri"},
        "id": {"type": "string", "format": "uuid"},
        "secret": {"type": "string", "format": "secret-ref"},
        "text": {"type": "string", "format": "multiline"},
    }
}
CASES: list[dict[str, Any]] = [
    {},
    {"extra": 1, "more": 2},
    *({"word": v} for v in ("a", "ab", "abcde", "AB", "", 1, None, "éé", "a\n", "😀😀")),
    *({"count": v} for v in (0, 1, 2, 2.0, 2.5, 10, "2", True)),
    *({"ratio": v} for v in (0, 0.5, 1, -1e300)),
    *({"yes": v} for v in (True, 0, "true")),
    *({"level": v} for v in ("low", "mid", 3, None, True)),
    *({"fixed": v} for v in ("this", "that")),
    *({"items": v} for v in ([], ["a"], ["a", "a"], ["a", "b", "c"], ["abc"], [1], "a")),
    *({"inner": v} for v in ({}, {"a/b~c": 1}, {"a/b~c": "x"}, {"a/b~c": 1, "z": 2}, [])),
    *(
        {"when": v}
        for v in (
            "2026-11-24T01:02:03Z",
            "2026-11-24T01:02:03.5+02:00",
            "2026-11-24",
            "2026-13-01T00:00:00Z",
            "now",
            "x",
        )
    ),
    *({"day": v} for v in ("2026-11-24", "2026-02-30", "today")),
    *({"mail": v} for v in ("a@b.c", "a@b", "@")),
    *({"link": v} for v in ("https://example.test/x", "example", "javascript:x", "http:// x")),
    *({"id": v} for v in ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "6f9619ff")),
    *({"secret": v} for v in ("TOKEN_1", "token", "A" * 64, "")),
    {"text": "a\nb"},
    {"count": 2**60},
    {"ratio": 1e300},
]


@pytest.mark.parametrize("value", CASES, ids=json.dumps)
async def test_params_are_judged_alike(room: Room, value: dict[str, Any]) -> None:
    found = await room.value(
        'select private.validate_json(\'{"type": "object"}\'::jsonb || %s::jsonb, %s::jsonb)',
        json.dumps(SCHEMA),
        json.dumps(value),
    )
    expected = [(e.path, e.code) for e in params.validate(SCHEMA, value)]
    assert sorted((e["path"], e["code"]) for e in found) == sorted(expected)


def _broken(*path: Any, value: Any) -> dict[str, Any]:
    spec = copy.deepcopy(TEMPLATE)
    at: Any = spec
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return spec


TEMPLATES = [
    TEMPLATE,
    {},
    {"slug": "x"},
    _broken("slug", value="Not A Slug"),
    _broken("slug", value="a" * 65),
    _broken("title", value=""),
    _broken("more", value=1),
    _broken("steps", value=[]),
    _broken("steps", 0, "kind", value="agent"),
    _broken("steps", 0, "id", value="Bad Id"),
    _broken("steps", 0, "needs", value=["second"]),
    _broken("steps", 1, "needs", value=["third"]),
    _broken("steps", 1, "id", value="first"),
    _broken("steps", 1, "timeout_seconds", value=0),
    _broken("steps", 1, "artifacts", value=[{"path": "*.txt", "kind": "poem"}]),
    _broken("steps", 1, "artifacts", value=[{"path": "*.txt", "kind": "file"}]),
    _broken("retry", value={"attempts": 3, "on": ["lost"]}),
    _broken("retry", value={"attempts": 0}),
    _broken("retry", value={"on": ["never"]}),
    _broken("lease_seconds", value=1),
    _broken("queue_timeout_seconds", value=None),
    _broken("params", "type", value="array"),
    _broken("params", "properties", "name", "format", value="poem"),
    _broken("params", "properties", "name", "$ref", value="#/x"),
    _broken("params", "properties", "name", "pattern", value="("),
    _broken("params", "additionalProperties", value=True),
    _broken("secrets", value=["lower"]),
    _broken("approval", value={}),
    _broken("approval", value={"approvers": 2, "role": "admin", "self_approval": True, "expires_seconds": 60}),
    _broken("approval", value={"approvers": 0}),
    _broken("approval", value={"role": "viewer"}),
    _broken("approval", value={"by": "me"}),
    _broken("retention_days", value=30),
    _broken("steps", 0, "verifiers", value=[{"name": "up", "kind": "http", "with": {"url": "http://x"}}]),
    _broken("steps", 0, "verifiers", value=[{"name": "up", "kind": "poem"}]),
    _broken("steps", 0, "verifiers", value=[{"name": "up", "kind": "file"}, {"name": "up", "kind": "ci"}]),
    _broken("steps", 0, "preconditions", value=[{"kind": "file"}]),
    _broken("steps", 0, "rollback", value={"title": "Undo", "kind": "shell", "with": {"argv": ["true"]}}),
    _broken("steps", 0, "rollback", value={"title": "Undo", "kind": "gate"}),
    _broken("steps", 0, value={"id": "first", "title": "Ask", "kind": "gate", "with": {"approvers": 2}}),
    _broken("steps", 0, value={"id": "first", "title": "Ask", "kind": "gate", "with": {"approvers": 9}}),
    _broken("steps", 0, value={"id": "first", "title": "Ask", "kind": "gate", "required": False}),
    _broken("steps", 0, value={"id": "first", "title": "Ask", "kind": "gate", "artifacts": [{"path": "x"}]}),
    *(
        json.loads(json.dumps(template.parse_yaml(p.read_text()).spec()))
        for p in sorted(Path("templates").glob("*.yaml"))
    ),
]


@pytest.mark.parametrize("spec", TEMPLATES, ids=range(len(TEMPLATES)))
async def test_templates_are_judged_alike(room: Room, spec: dict[str, Any]) -> None:
    found = await room.value("select private.template_errors(%s::jsonb)", json.dumps(spec))
    try:
        template.parse(spec)
        valid = True
    except InvalidTemplate:
        valid = False
    assert (found == []) is valid, found


async def test_a_digest_pins_the_same_bytes(room: Room) -> None:
    assert await room.value("select private.json_digest(%s::jsonb)", json.dumps(TEMPLATE)) == template.digest(TEMPLATE)
