"""A JSON document as rows of a tree, in the order in which they are read: enough to draw, fold and search it, and every
number as it was written.
"""

import json
from typing import Any, Final

MAX_ROWS: Final = 50_000
MAX_TEXT: Final = 2_000
"""Longer strings are cut in the tree; the download has them whole."""


class _Number(str):
    """A number's own digits: a float would round them."""


class _Object(list[tuple[str, Any]]):
    """An object's members in order, repeated names included."""


class TooDeep(ValueError):
    """The document is nested too deeply to be drawn as a tree."""


def json_rows(text: str, limit: int = MAX_ROWS) -> dict[str, Any]:
    """Rows `[depth, name, type, text, next]`: `name` is a member's name, an item's number or None; `type` is object,
    array, string, number, boolean or null; `text` the value, or how many children there are; `next` the row after all
    that is inside. `cut` says that there were more than `limit`. Raises ValueError with line and column, or TooDeep.
    """
    try:
        root = json.loads(
            text, parse_int=_Number, parse_float=_Number, parse_constant=_refuse, object_pairs_hook=_Object
        )
    except RecursionError:
        raise TooDeep("nested too deeply to be shown as a tree") from None
    rows: list[list[Any]] = []
    pending: list[Any] = [(0, None, root)]
    opened: list[list[Any]] = []
    while pending and len(rows) < limit:
        depth, name, value = pending.pop()
        while opened and opened[-1][0] >= depth:
            opened.pop()[4] = len(rows)
        kind, shown, children = _read(value)
        row = [depth, name, kind, shown, len(rows) + 1]
        rows.append(row)
        if children:
            opened.append(row)
            pending.extend((depth + 1, child_name, child) for child_name, child in reversed(children))
    for row in opened:
        row[4] = len(rows)
    return {"rows": rows, "cut": bool(pending)}


def _read(value: Any) -> tuple[str, Any, list[tuple[str | int, Any]]]:
    match value:
        case _Object():
            return "object", len(value), list(value)
        case list():
            return "array", len(value), list(enumerate(value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        case _Number():
            return "number", value[:MAX_TEXT], []
        case bool():
            return "boolean", "true" if value else "false", []
        case None:
            return "null", "null", []
        case _:
            shown = str(value)
            return "string", shown if len(shown) <= MAX_TEXT else f"{shown[:MAX_TEXT]}…", []


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
