"""`-p key=value` becomes what the schema asks for, and says what does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest

from opsroom.cli.params import read_params
from opsroom.domain.errors import InvalidArgument, InvalidParams
from opsroom.domain.params import MAX_BYTES

SCHEMA: dict[str, Any] = {
    "properties": {
        "count": {"type": "integer", "minimum": 1},
        "ratio": {"type": "number"},
        "dry": {"type": "boolean"},
        "name": {"type": "string"},
        "list": {"type": "array", "items": {"type": "string"}},
        "numbers": {"type": "array", "items": {"type": "integer"}},
        "options": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "level": {"enum": ["1", "low", 2]},
    }
}


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("count=5", {"count": 5}),
        ("ratio=0.5", {"ratio": 0.5}),
        ("ratio=2", {"ratio": 2.0}),
        ("dry=true", {"dry": True}),
        ("dry=FALSE", {"dry": False}),
        ("name=5", {"name": "5"}),
        ("name=a=b", {"name": "a=b"}),
        ("name=", {"name": ""}),
        ("name=@@home", {"name": "@home"}),
        ("list=one", {"list": ["one"]}),
        ('list=["a","b"]', {"list": ["a", "b"]}),
        ("numbers=[1,2]", {"numbers": [1, 2]}),
        ('options={"a":1}', {"options": {"a": 1}}),
        ("level=1", {"level": "1"}),
        ("level=2", {"level": 2}),
        ("level=low", {"level": "low"}),
    ],
)
def test_text_becomes_the_type_the_schema_asks_for(assignment: str, expected: dict[str, Any]) -> None:
    values = read_params(SCHEMA, [assignment])
    assert values == expected
    assert [type(value) for value in values.values()] == [type(value) for value in expected.values()]


def test_a_repeated_key_makes_an_array() -> None:
    assert read_params(SCHEMA, ["numbers=1", "numbers=2"]) == {"numbers": [1, 2]}


def test_a_repeated_key_that_is_no_array_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="given 2 times"):
        read_params(SCHEMA, ["count=1", "count=2"])


@pytest.mark.parametrize(
    ("assignment", "path", "code"),
    [
        ("count=five", "/count", "type"),
        ("count=5.0x", "/count", "type"),
        ("count=0", "/count", "minimum"),
        ("dry=yes", "/dry", "type"),
        ("numbers=one", "/numbers/0", "type"),
        ("options=[", "/options", "type"),
        ("level=high", "/level", "enum"),
        ("unknown=1", "/unknown", "additional"),
        ("name=a\x00b", "/name", "pattern"),
    ],
)
def test_what_does_not_fit_is_named_by_field(assignment: str, path: str, code: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        read_params(SCHEMA, [assignment])
    assert [(field.path, field.code) for field in caught.value.fields] == [(path, code)]


def test_a_missing_param_is_named() -> None:
    with pytest.raises(InvalidParams) as caught:
        read_params({**SCHEMA, "required": ["count", "name"]}, ["name=x"])
    assert [(field.path, field.code) for field in caught.value.fields] == [("/count", "required")]


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text('["a", "b"]')
    (tmp_path / "text").write_text("two\nlines\n")
    values = read_params(SCHEMA, [f"list=@{tmp_path}/list.json", f"name=@{tmp_path}/text"])
    assert values == {"list": ["a", "b"], "name": "two\nlines\n"}


def test_assignments_override_the_params_file(tmp_path: Path) -> None:
    file = tmp_path / "params.json"
    file.write_text(json.dumps({"count": 1, "name": "file"}))
    assert read_params(SCHEMA, ["count=2"], file) == {"count": 2, "name": "file"}


@pytest.mark.parametrize("content", ["[1]", "{", "NaN", '{"ratio": NaN}', ""])
def test_a_params_file_that_is_no_json_object_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "params.json"
    file.write_text(content)
    with pytest.raises(InvalidArgument, match="--params"):
        read_params(SCHEMA, [], file)


@pytest.mark.parametrize("text", ["count", "=5", ""])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is no assignment"):
        read_params(SCHEMA, [text])


def test_a_missing_or_binary_file_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="No such file"):
        read_params(SCHEMA, [f"name=@{tmp_path}/none"])
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidArgument, match="not UTF-8"):
        read_params(SCHEMA, [f"name=@{tmp_path}/binary"])


def test_ten_megabytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as stream:
        stream.truncate(10 * 1024 * 1024)
    with pytest.raises(InvalidArgument, match=f"more than {MAX_BYTES} bytes"):
        read_params(SCHEMA, [f"name=@{file}"])


def test_params_that_are_too_large_together_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "half"
    file.write_text("x" * (MAX_BYTES // 2))
    with pytest.raises(InvalidParams) as caught:
        read_params(SCHEMA, [f"list=@@{'x'}", f"name=@{file}", f"list=@{file}"])
    assert caught.value.fields[0].code == "too_large"
