"""`-p key=value`: text from the command line as the types that the template's schema asks for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opsroom.domain.errors import FieldError, InvalidArgument, InvalidParams
from opsroom.domain.param_text import read_text, read_texts, refuse_constant, types_of
from opsroom.domain.params import MAX_BYTES, validate


def read_params(schema: Mapping[str, Any], assignments: Sequence[str], file: Path | None = None) -> dict[str, Any]:
    """The params given by `-p` assignments and by a JSON file, checked against `schema`.

    A value that begins with `@` is read from that file (`@@` for a value that begins with an @). A repeated key makes
    an array. Raises InvalidParams with one error per field, InvalidArgument for text that is no assignment.
    """
    params = _read_object(file) if file else {}
    properties: Mapping[str, Any] = schema.get("properties", {})
    given: dict[str, list[str]] = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator or not key:
            raise InvalidArgument(f"-p {assignment!r} is no assignment.", hint="Write -p name=value.")
        given.setdefault(key, []).append(value)
    for key, values in given.items():
        params[key] = _value(key, values, properties.get(key, {}))
    check(schema, params)
    return params


def check(schema: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """Raise InvalidParams unless `params` satisfy `schema`; the control plane checks again."""
    size = len(json.dumps(params, ensure_ascii=False).encode(errors="replace"))
    if size > MAX_BYTES:
        message = f"are {size} bytes of JSON; at most {MAX_BYTES} are taken"
        fields = [FieldError(path="", code="too_large", message=message)]
        raise InvalidParams("The params are too large.", hint="Pass a reference to the data instead.", fields=fields)
    if fields := validate(schema, params):
        raise InvalidParams(
            "The params do not fit the template.",
            hint="`opsroom template show TEMPLATE` lists the params it takes.",
            fields=fields,
        )


def _value(key: str, texts: Sequence[str], schema: Mapping[str, Any]) -> Any:
    if "array" in types_of(schema) and len(texts) == 1 and texts[0].startswith("@"):
        return read_text(_text(key, texts[0]), schema)
    return read_texts(f"-p {key}", [_text(key, text) for text in texts], schema)


def _text(key: str, text: str) -> str:
    if text.startswith("@@"):
        return text[1:]
    if not text.startswith("@"):
        return text
    return _read(Path(text[1:]).expanduser(), f"-p {key}={text}")


def _read(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidArgument(
                f"{what}: {path} has more than {MAX_BYTES} bytes, the most that params may have.",
                hint="Pass a reference to the data instead.",
            )
        return path.read_text()
    except OSError as error:
        raise InvalidArgument(f"{what}: cannot read {path}: {error.strerror}.", hint="Check the path.") from None
    except UnicodeDecodeError:
        raise InvalidArgument(f"{what}: {path} is not UTF-8 text.", hint="Params are text; pass a reference.") from None


def _read_object(path: Path) -> dict[str, Any]:
    text = _read(path, "--params")
    try:
        value = json.loads(text, parse_constant=refuse_constant)
    except ValueError as error:
        raise InvalidArgument(f"--params: {path} is not JSON: {error}.", hint="Correct the file.") from None
    if not isinstance(value, dict):
        raise InvalidArgument(f"--params: {path} does not hold a JSON object.", hint='Write {"name": value, …}.')
    return value
