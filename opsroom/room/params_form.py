"""A template's params as a form: fields from its JSON Schema, and typed params back from what was typed.

The form (`assets/room/params.js`) keeps a tree of texts in the shape of the params: a string for each field, true or
false for each box, a list or an object of such. `untyped` makes it, `typed` reads it.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from opsroom.components.views import FieldView
from opsroom.domain.errors import FieldError
from opsroom.domain.param_text import read_json
from opsroom.domain.params import MAX_BYTES, validate

PREFIX: Final = "param."
"""Before the id of every form control that stands for a param."""

FORMATS: Final = {
    "date-time": "datetime",
    "date": "date",
    "secret-ref": "secret",
    "multiline": "multiline",
    "email": "email",
    "uri": "url",
}


def kind_of(schema: Mapping[str, Any]) -> str:
    """Which control a property gets (see `FieldView.kind`)."""
    if "enum" in schema:
        return "enum"
    match schema.get("type"):
        case "boolean" | "integer" | "number" as kind:
            return kind
        case "array":
            return "list" if "items" in schema else "json"
        case "object":
            return "object" if schema.get("properties") else "json"
        case "string":
            return FORMATS.get(schema.get("format", ""), "text")
        case _:  # no type, or several: what is meant can only be said in JSON
            return FORMATS.get(schema.get("format", ""), "text" if "pattern" in schema else "json")


def fields(schema: Mapping[str, Any]) -> list[FieldView]:
    """One field for each property in the schema's order, with the fields inside it."""
    required = schema.get("required", [])
    return [field(name, sub, name in required) for name, sub in schema.get("properties", {}).items()]


def field(name: str, schema: Mapping[str, Any], required: bool) -> FieldView:
    """The field of one property."""
    kind = kind_of(schema)
    examples = schema.get("examples") or [""]
    inside = kind not in ("list", "object")
    return FieldView(
        name=name,
        label=schema.get("title") or name.replace("_", " ").capitalize(),
        kind=kind,
        hint=" ".join(filter(None, (schema.get("description") or _shape(schema), limits(schema)))),
        required=required,
        start=untyped(schema, schema.get("default")),
        options=[_text(option) for option in schema.get("enum", [])],
        placeholder=_text(examples[0]) if inside else "",
        wide=kind in ("multiline", "list", "object", "json"),
        most=schema.get("maxItems", 0),
        longest=schema.get("maxLength", 0),
        item=[field("", schema["items"], True)] if kind == "list" else [],
        fields=fields(schema) if kind == "object" else [],
    )


def limits(schema: Mapping[str, Any]) -> str:
    """The bounds of a value, in words."""
    parts = [
        _bounds(schema.get("minimum"), schema.get("maximum"), ""),
        f"More than {schema['exclusiveMinimum']}." if "exclusiveMinimum" in schema else "",
        f"Less than {schema['exclusiveMaximum']}." if "exclusiveMaximum" in schema else "",
        f"A multiple of {schema['multipleOf']}." if "multipleOf" in schema else "",
        _bounds(schema.get("minLength"), schema.get("maxLength"), " characters"),
        _bounds(schema.get("minItems"), schema.get("maxItems"), " items"),
        "No item twice." if schema.get("uniqueItems") else "",
        "In UTC." if schema.get("format") == "date-time" else "",
        _shape(schema) if schema.get("description") and "pattern" in schema else "",
    ]
    return " ".join(filter(None, parts))


def _bounds(low: Any, high: Any, unit: str) -> str:
    match low, high:
        case None, None:
            return ""
        case (None | 0, most) if unit:
            return f"At most {most}{unit}."
        case (1, None) if unit:
            return ""  # that it may not be empty is what "required" says
        case least, None:
            return f"At least {least}{unit}."
        case None, most:
            return f"At most {most}{unit}."
        case least, most:
            return f"{least} to {most}{unit}."


def _shape(schema: Mapping[str, Any]) -> str:
    return f"Matches {schema['pattern']}" if "pattern" in schema else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def untyped(schema: Mapping[str, Any], value: Any) -> Any:
    """The texts that stand for `value` in a form; for the schema's own default where it is None."""
    kind = kind_of(schema)
    if kind == "object":
        inside = cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}
        properties: Mapping[str, Any] = schema["properties"]
        return {name: untyped(sub, inside.get(name, sub.get("default"))) for name, sub in properties.items()}
    if kind == "list":
        return [untyped(schema["items"], item) for item in cast(list[Any], value)] if isinstance(value, list) else []
    if kind == "boolean":
        return value is True
    if value is None:
        return ""
    if kind == "json":
        return json.dumps(value, ensure_ascii=False, indent=2)
    return _text(value)[:16] if kind == "datetime" else _text(value)


def read_tree(text: str) -> dict[str, Any]:
    """The object that `text` is as JSON; an empty one for whatever else a browser may send."""
    try:
        tree = read_json(text) if len(text) <= 2 * MAX_BYTES else {}
    except ValueError:
        return {}
    return cast(dict[str, Any], tree) if isinstance(tree, dict) else {}


def typed(schema: Mapping[str, Any], form: object) -> dict[str, Any]:
    """Params from a form's texts. What does not read as its type stays as typed, for `validate` to complain about."""
    texts = cast(Mapping[str, Any], form) if isinstance(form, Mapping) else {}
    required = schema.get("required", [])
    params: dict[str, Any] = {}
    for name, sub in schema.get("properties", {}).items():
        value = _value(sub, texts.get(name))
        if not _is_absent(value, sub, name in required):
            params[name] = value
    return params


def _is_absent(value: Any, schema: Mapping[str, Any], required: bool) -> bool:
    """Whether a field was left alone. Where there is a default, an emptied list or box says that it is not wanted."""
    if value is None:
        return True
    if value is False or value == [] or (value == {} and "properties" in schema):
        return not required and "default" not in schema
    return False


def _value(schema: Mapping[str, Any], raw: Any) -> Any:
    kind = kind_of(schema)
    if kind == "boolean":
        return raw if isinstance(raw, bool) else None
    if kind == "object":
        return typed(schema, raw)
    if kind == "list":
        if not isinstance(raw, list):
            return None
        values = (_value(schema["items"], entry) for entry in cast(list[Any], raw))
        return [value for value in values if value is not None]
    text = raw if isinstance(raw, str) else ""
    return _leaf(kind, schema, text) if text.strip() else None


def _leaf(kind: str, schema: Mapping[str, Any], text: str) -> Any:
    match kind:
        case "integer" | "number":
            return _number(text, whole=kind == "integer")
        case "enum":
            return next((option for option in schema["enum"] if _text(option) == text), text)
        case "json":
            return _json(text)
        case "datetime":
            return _utc(text)
        case "multiline":
            return text
        case _:
            return text.strip()


def _json(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        return text


def _number(text: str, *, whole: bool) -> Any:
    cleaned = text.strip().replace("\u202f", "").replace(",", ".")
    try:
        return int(cleaned) if whole else float(cleaned)
    except ValueError:
        return text


def _utc(text: str) -> str:
    try:
        return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).isoformat().replace("+00:00", "Z")
    except ValueError:
        return text


def check(schema: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong, by JSON pointer; empty when the params are good."""
    return by_path(validate(schema, params))


def by_path(errors: Iterable[FieldError]) -> dict[str, str]:
    """The first error of each field, as a sentence, by its JSON pointer; of no field: the empty one."""
    found: dict[str, str] = {}
    for error in errors:
        text = error.message
        found.setdefault(error.path, text[:1].upper() + text[1:] + ("" if text.endswith(".") else "."))
    return found
