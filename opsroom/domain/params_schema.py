"""What a template may write as the schema of its params: the subset of JSON Schema that the database knows as well."""

import re
from typing import Any, NoReturn

from pydantic_core import PydanticCustomError

from opsroom.domain.params import FORMATS, KEYWORDS


def refuse(path: str, message: str) -> NoReturn:
    """Refuse what stands at a JSON pointer: a check of the whole knows the place, which pydantic can not tell."""
    raise PydanticCustomError("value_error", "{message}", {"path": path, "message": message})


def check_schema(schema: Any, path: str, *, top: bool = False) -> None:
    """Refuse, at its place, what a schema of params must not hold. `top`: the schema of all params, an object."""
    if not isinstance(schema, dict):
        refuse(path, "must be an object")
    node: dict[str, Any] = schema  # pyright: ignore[reportUnknownVariableType]
    if unknown := sorted(set(node) - KEYWORDS):
        refuse(f"{path}/{unknown[0]}", f"uses keywords outside of the subset: {', '.join(unknown)}")
    if top and node.get("type", "object") != "object":
        refuse(f"{path}/type", "must describe an object")
    if "format" in node and node["format"] not in FORMATS:
        refuse(f"{path}/format", f"uses an unknown format: {node['format']}; known: {', '.join(FORMATS)}")
    if node.get("format") == "secret-ref":
        _check_reference(node, path)
    if node.get("additionalProperties", False) is not False:
        refuse(f"{path}/additionalProperties", "must not allow additionalProperties: params are strict")
    try:
        re.compile(node.get("pattern", ""))
    except (re.error, TypeError) as error:
        refuse(f"{path}/pattern", f"is not a regular expression: {error}")
    properties = node.get("properties", {})
    if not isinstance(properties, dict):
        refuse(f"{path}/properties", "must be an object")
    for name, sub in properties.items():  # pyright: ignore[reportUnknownVariableType]
        check_schema(sub, f"{path}/properties/{name}")
    if "items" in node:
        check_schema(node["items"], f"{path}/items")


def _check_reference(node: dict[str, Any], path: str) -> None:
    """A param of format `secret-ref` is a text, and what the schema itself proposes for it are names, too."""
    if node.get("type") != "string":
        refuse(f"{path}/type", "must be string: a param of format secret-ref holds the name of a secret")
    for key in ("default", "const", "enum", "examples"):
        if key not in node:
            continue
        values: list[Any] = node[key] if isinstance(node[key], list) else [node[key]]
        if not all(isinstance(value, str) and re.fullmatch("[A-Z][A-Z0-9_]{0,62}", value) for value in values):
            refuse(f"{path}/{key}", "must be the name of a secret, never its value")
