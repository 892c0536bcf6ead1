"""A template's params as a form: fields from its JSON Schema, and typed params back from what was typed."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opsroom.components.views import FieldView
from opsroom.domain.errors import FieldError
from opsroom.domain.params import validate

PREFIX: Final = "param."
"""Before the name of every form control that stands for a param."""


def kind_of(schema: Mapping[str, Any]) -> str:
    """Which control a property gets (see `FieldView.kind`)."""
    if "enum" in schema:
        return "enum"
    match schema.get("type"):
        case "boolean" | "integer" | "number" as kind:
            return kind
        case "array":
            plain = schema.get("items", {}).get("type", "string") not in ("object", "array")
            return "list" if plain else "json"
        case "object":
            return "json"
        case _:
            formats = {"date-time": "datetime", "secret-ref": "secret", "multiline": "multiline"}
            return formats.get(schema.get("format", ""), "text")


def fields(schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[FieldView]:
    """One field for each property in the schema's order, filled with `values` or the defaults."""
    required = schema.get("required", [])
    found: list[FieldView] = []
    for name, sub in schema.get("properties", {}).items():
        kind = kind_of(sub)
        examples = sub.get("examples") or [""]
        found.append(
            FieldView(
                name=name,
                label=sub.get("title") or name.replace("_", " ").capitalize(),
                kind=kind,
                hint=" ".join(filter(None, (sub.get("description") or _shape(sub), limits(sub)))),
                required=name in required,
                value=_text(kind, values.get(name, sub.get("default"))),
                options=[_text("text", option) for option in sub.get("enum", [])],
                placeholder=_text(kind, examples[0]),
                wide=kind in ("multiline", "list", "json"),
            )
        )
    return found


def limits(schema: Mapping[str, Any]) -> str:
    """The bounds of a value, in words."""
    low, high = schema.get("minimum"), schema.get("maximum")
    parts: list[str] = []
    if low is not None and high is not None:
        parts.append(f"{low} to {high}.")
    elif low is not None:
        parts.append(f"At least {low}.")
    elif high is not None:
        parts.append(f"At most {high}.")
    if schema.get("type") == "array":
        most = schema.get("maxItems")
        parts.append("One per line." if most is None else f"One per line, at most {most}.")
    if schema.get("format") == "date-time":
        parts.append("In UTC.")
    return " ".join(parts)


def _shape(schema: Mapping[str, Any]) -> str:
    """What a template's author left unsaid: the pattern itself."""
    return f"Matches {schema['pattern']}" if "pattern" in schema else ""


def _text(kind: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if kind == "list" and isinstance(value, list):
        return "\n".join(_text("text", item) for item in value)
    if kind == "datetime":
        return str(value)[:16]
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def typed(schema: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """Params from a form's texts. What does not read as its type stays as typed, for `check` to complain about."""
    params: dict[str, Any] = {}
    for name, sub in schema.get("properties", {}).items():
        raw = form.get(PREFIX + name)
        if kind_of(sub) == "boolean":
            params[name] = raw in (True, "on", "true")
            continue
        text = str(raw if raw is not None else "")
        if text.strip():
            params[name] = _value(kind_of(sub), sub, text)
    return params


def _value(kind: str, schema: Mapping[str, Any], text: str) -> Any:
    if kind in ("integer", "number"):
        return _number(text, whole=kind == "integer")
    if kind == "enum":
        return next((option for option in schema["enum"] if _text("text", option) == text), text)
    if kind == "list":
        items = schema.get("items", {})
        entries = (line.strip() for line in text.splitlines())
        return [_value(kind_of(items), items, entry) for entry in entries if entry]
    if kind == "json":
        return _json(text)
    if kind == "datetime":
        return _utc(text)
    return text if kind == "multiline" else text.strip()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
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
    """What is wrong, by the name of the field; empty when the params are good."""
    return by_field(validate(schema, params))


def by_field(errors: Iterable[FieldError]) -> dict[str, str]:
    """The first error of each field, as a sentence; an error of no field is under the empty name."""
    found: dict[str, str] = {}
    for error in errors:
        name, *inside = (part.replace("~1", "/").replace("~0", "~") for part in error.path.split("/")[1:] or [""])
        where = f"Item {int(inside[0]) + 1} " if inside and inside[0].isdigit() else " ".join([*inside, ""])
        text = f"{where}{error.message}"
        found.setdefault(name, text[:1].upper() + text[1:] + ("" if text.endswith(".") else "."))
    return found
