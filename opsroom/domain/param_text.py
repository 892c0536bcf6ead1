"""Params written as text, `name=value`: on the command line, in the command bar, in a line of plain words."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from opsroom.domain.errors import InvalidArgument

MAX_DEPTH: Final = 64
"""How deep params may be nested; whatever walks them may recurse."""


def read_text(text: str, schema: Mapping[str, Any]) -> Any:  # noqa: PLR0911 - one return per type
    """`text` as the first type of `schema` that it can be; else the text itself, which validation then reports."""
    types = types_of(schema)
    if "integer" in types and re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if "number" in types and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return float(text)
    if "boolean" in types and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if "null" in types and text == "null":
        return None
    if types & {"array", "object"} or not types:
        # Without a type the schema's enum or const decides, so "5" may be meant as 5 or as "5".
        if not types and text in schema.get("enum", [schema.get("const")]):
            return text
        try:
            return read_json(text)
        except ValueError:
            return text
    return text


def read_texts(name: str, texts: Sequence[str], schema: Mapping[str, Any]) -> Any:
    """The value of the param `name` that was given as `texts`: several make an array, and so does one that is not
    written as JSON. Raises InvalidArgument when several are given for what is none.
    """
    is_array = "array" in types_of(schema)
    if is_array and (len(texts) > 1 or not texts[0].lstrip().startswith("[")):
        return [read_text(text, schema.get("items", {})) for text in texts]
    if len(texts) > 1:
        raise InvalidArgument(
            f"{name}=… is given {len(texts)} times.", hint="Only a param that is an array may be given more than once."
        )
    return read_text(texts[0], schema)


def read_json(text: str) -> Any:
    """The JSON that `text` is. Raises ValueError for what is none, and for what is nested deeper than `MAX_DEPTH`."""
    try:
        value = json.loads(text, parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inside: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inside.extend(cast(dict[str, Any], item).values())
            elif isinstance(item, list):
                inside.extend(cast(list[Any], item))
        if not inside:
            return value
        level = inside
    raise ValueError("is nested too deep")


def types_of(schema: Mapping[str, Any]) -> set[str]:
    """The types that a schema allows; empty when it does not say."""
    declared = schema.get("type", [])
    return {declared} if isinstance(declared, str) else set(declared)


def refuse_constant(name: str) -> Any:
    """For `json.loads(parse_constant=…)`: NaN and Infinity are not JSON."""
    raise ValueError(f"{name} is not JSON")
