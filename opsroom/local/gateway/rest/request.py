"""A REST request's query string and headers, gathered into one tree of nodes and one set of preferences."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.datastructures import Headers

from opsroom.local.gateway.errors import RestError
from opsroom.local.gateway.rest.grammar import (
    Column,
    Node,
    SelectColumn,
    bad_query,
    parse_filter,
    parse_logic,
    parse_order,
    parse_select,
)

OBJECT_TYPE = "application/vnd.pgrst.object"
_RANGE = re.compile(r"^(\d+)-(\d*)$")


@dataclass(frozen=True)
class Preferences:
    """The Prefer header. https://docs.postgrest.org/en/stable/references/api/preferences.html"""

    returning: str = "minimal"
    resolution: str | None = None
    missing_default: bool = False
    count: bool = False


def parse_preferences(headers: Headers) -> Preferences:
    wanted: dict[str, str] = {}
    for value in headers.getlist("prefer"):
        for item in value.split(","):
            name, _, setting = item.strip().partition("=")
            wanted.setdefault(name, setting)
    return Preferences(
        returning=wanted.get("return", "minimal"),
        resolution=wanted.get("resolution"),
        missing_default=wanted.get("missing") == "default",
        count="count" in wanted,
    )


@dataclass
class Query:
    root: Node
    on_conflict: list[str] = field(default_factory=list)
    columns: list[str] | None = None


_JOINERS = {"and": ("and", False), "or": ("or", False), "not.and": ("and", True), "not.or": ("or", True)}


def parse_query(table: str, parameters: Iterable[tuple[str, str]], headers: Headers) -> Query:
    """Everything the query string says. Raises a 400 that names what cannot be read."""
    query = Query(Node(table))
    pairs = list(parameters)
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise bad_query("failed to parse the query string", "the NUL character is not allowed")
    selects = [value for name, value in pairs if name == "select"]
    if selects:
        parse_select(selects[0], query.root)
    else:
        query.root.columns.append(SelectColumn(Column("*")))
    for name, value in pairs:
        if name == "select":
            continue
        if name == "on_conflict":
            query.on_conflict = [item.strip().strip('"') for item in value.split(",") if item.strip()]
        elif name == "columns":
            query.columns = [item.strip().strip('"') for item in value.split(",") if item.strip()]
        else:
            _apply(query.root, name, value)
    _apply_range_header(query.root, headers)
    return query


def _apply(root: Node, name: str, value: str) -> None:
    node, rest = root, name
    # `author.name=eq.x` filters the embedded resource `author`.
    while "." in rest and rest not in _JOINERS:
        head, tail = rest.split(".", 1)
        child = node.child(head)
        if child is None:
            if head.startswith('"') or "->" in head:
                break
            raise RestError(
                400,
                "PGRST108",
                f"'{head}' is not an embedded resource in this request",
                hint=f"Verify that '{head}' is included in the 'select' query parameter.",
            )
        node, rest = child, tail
    if rest in _JOINERS:
        joiner, negated = _JOINERS[rest]
        node.filters.append(parse_logic(joiner, value, negated))
    elif rest == "order":
        node.order = parse_order(value)
    elif rest == "limit":
        node.limit = _natural(rest, value)
    elif rest == "offset":
        node.offset = _natural(rest, value)
    else:
        node.filters.append(parse_filter(rest, value))


def _natural(name: str, value: str) -> int:
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise bad_query(f"failed to parse {name} ({value})", "expected a number that is not negative")
    return int(value)


def _apply_range_header(root: Node, headers: Headers) -> None:
    text = headers.get("range")
    if text is None or headers.get("range-unit", "items") != "items":
        return
    match = _RANGE.match(text.removeprefix("items=").strip())
    if match is None:
        return
    first, last = int(match[1]), int(match[2]) if match[2] else None
    if last is not None and last < first:
        raise RestError(416, "PGRST103", "Requested range not satisfiable", "The lower boundary must be lower.")
    root.offset = max(root.offset, first)
    if last is not None:
        width = last - first + 1
        root.limit = width if root.limit is None else min(root.limit, width)
