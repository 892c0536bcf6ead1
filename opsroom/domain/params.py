"""Params: strict JSON Schema 2020-12, in the subset that the database validates too (`private.validate_json`).

The database has the last word; this gives forms and the command line the same answer before they ask it. Both refuse
unknown keys. The subset is closed: a template that uses another keyword is refused when it is saved, so the two can
not drift apart unseen.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, cast

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType]

from opsroom.domain.errors import FieldError

KEYWORDS: Final[frozenset[str]] = frozenset(
    {
        "type",
        "title",
        "description",
        "default",
        "examples",
        "enum",
        "const",
        "pattern",
        "minLength",
        "maxLength",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "items",
        "minItems",
        "maxItems",
        "uniqueItems",
        "properties",
        "required",
        "additionalProperties",
    }
)
"""The keywords a params schema may use."""

FORMATS: Final[tuple[str, ...]] = ("date-time", "date", "email", "uri", "uuid", "secret-ref", "multiline")
"""`secret-ref` names a secret of the worker's environment; `multiline` is a hint to forms and checks nothing."""

MAX_BYTES: Final = 256 * 1024
"""The largest params object, as JSON text in UTF-8 bytes."""

MAX_NUMBER: Final = 2**53 - 1
"""The largest number that JSON carries exactly, and the largest that a param may be."""

_checker = FormatChecker(formats=())


@_checker.checks("date-time")
def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", value):
        return False
    try:
        dt.datetime.fromisoformat(value.upper())
    except ValueError:
        return False
    return True


@_checker.checks("date")
def _is_date(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return False
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _matches(pattern: str) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or re.fullmatch(pattern, value) is not None


_checker.checks("email")(_matches(r"[^@\s]+@[^@\s]+\.[^@\s]+"))
_checker.checks("uri")(_matches(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+"))
_checker.checks("uuid")(_matches(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"))
_checker.checks("secret-ref")(_matches(r"[A-Z][A-Z0-9_]{0,62}"))


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    """As in ECMA-262 and in Postgres, a final `$` is the very end: Python's also matches before a final line break."""
    if isinstance(value, str) and not re.search(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


_Validator: Final[Any] = extend(Draft202012Validator, {"pattern": _pattern})  # pyright: ignore[reportUnknownVariableType]


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` with every object in it closed: keys it does not name are refused."""
    result = dict(schema)
    if "properties" in result or result.get("type") == "object":
        result["additionalProperties"] = False
        result["properties"] = {name: closed(sub) for name, sub in result.get("properties", {}).items()}
    if isinstance(result.get("items"), Mapping):
        result["items"] = closed(result["items"])
    return result


def with_defaults(schema: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` with the schema's top-level defaults where the key is absent, as `create_run` stores them."""
    defaults = {n: s["default"] for n, s in schema.get("properties", {}).items() if "default" in s}
    return {**defaults, **params}


def validate(schema: Mapping[str, Any], params: Mapping[str, Any]) -> list[FieldError]:
    """All that is wrong with `params`, field by field; empty when a run may be created with them."""
    if unstorable := list(_unstorable(params, "")):
        return unstorable
    validator = cast(Any, _Validator)(closed({"type": "object", **schema}), format_checker=_checker)
    errors = cast(Iterable[ValidationError], validator.iter_errors(with_defaults(schema, params)))
    found = [item for error in errors for item in _describe(error)]
    mistyped = {item.path for item in found if item.code == "type"}
    kept = [item for item in found if item.code == "type" or item.path not in mistyped]
    return sorted(kept, key=lambda item: (item.path, item.code))


def _unstorable(value: Any, path: str) -> Iterator[FieldError]:
    """What the database can not hold as it is: NUL characters, and numbers that JSON does not carry exactly."""
    match value:
        case str() if "\x00" in value:
            yield FieldError(path=path, code="pattern", message="contains a NUL character; remove it")
        case int() | float() if abs(value) > MAX_NUMBER:
            yield FieldError(path=path, code="too_large", message="must be within 2^53 - 1; send it as a string")
        case Mapping():
            for key, item in cast(Mapping[Any, Any], value).items():
                yield from _unstorable(str(key), path)
                yield from _unstorable(item, f"{path}/{_escape(str(key))}")
        case list():
            for index, item in enumerate(cast(list[Any], value)):
                yield from _unstorable(item, f"{path}/{index}")
        case _:
            pass


def _escape(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")


def _describe(error: ValidationError) -> list[FieldError]:
    path = "".join(f"/{_escape(str(part))}" for part in error.absolute_path)
    rule, expected = str(error.validator), cast(Any, error.validator_value)
    instance, schema = cast(Any, error.instance), cast(dict[str, Any], error.schema)
    if rule == "required":
        missing: list[str] = [name for name in expected if name not in instance]
        return [FieldError(path=f"{path}/{_escape(name)}", code=rule, message="is required") for name in missing]
    if rule == "additionalProperties":
        known: dict[str, Any] = schema.get("properties", {})
        extra: list[str] = [name for name in instance if name not in known]
        message = f"is not known here; known: {', '.join(known) or 'none'}"
        return [FieldError(path=f"{path}/{_escape(name)}", code="additional", message=message) for name in extra]
    return [FieldError(path=path, code=rule, message=_message(rule, expected))]


_MESSAGES: Final = {
    "const": "must be {0}",
    "pattern": "must match {0}",
    "format": "must be a valid {0}",
    "minLength": "must have at least {0} character(s)",
    "maxLength": "must have at most {0} character(s)",
    "minimum": "must be at least {0}",
    "maximum": "must be at most {0}",
    "exclusiveMinimum": "must be more than {0}",
    "exclusiveMaximum": "must be less than {0}",
    "multipleOf": "must be a multiple of {0}",
    "minItems": "must have at least {0} item(s)",
    "maxItems": "must have at most {0} item(s)",
    "uniqueItems": "must not repeat an item",
}


def _message(rule: str, expected: Any) -> str:
    match rule:
        case "type":
            return f"must be of type {expected if isinstance(expected, str) else ' or '.join(expected)}"
        case "enum":
            return f"must be one of {', '.join(map(str, expected))}"
        case _:
            return _MESSAGES.get(rule, f"breaks the rule {rule}: {{0}}").format(expected)
