"""The query string of PostgREST, parsed into small values. No SQL here: see `render`.

Grammar: https://docs.postgrest.org/en/stable/references/api/tables_views.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from opsroom.local.gateway.errors import RestError

_ALIAS = re.compile(r"^(?P<alias>[^:]+):(?!:)(?P<rest>.*)$", re.DOTALL)
_CAST = re.compile(r"^[a-z_][a-z0-9_ ]*(\[\])?$", re.IGNORECASE)
_OPERATOR = re.compile(r"^(?P<name>[a-z]+)(\((?P<argument>[^)]*)\))?$")
_OPENING, _CLOSING = "({", ")}"
MAX_DEPTH = 12


@dataclass(frozen=True)
class Column:
    """A column, perhaps a path into its JSON: (("->", "a"), ("->>", "b"))."""

    name: str
    path: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        return self.path[-1][1] if self.path else self.name


@dataclass(frozen=True)
class SelectColumn:
    column: Column
    alias: str | None = None
    cast: str | None = None


@dataclass(frozen=True)
class Filter:
    column: Column
    operator: str
    value: str
    negated: bool = False
    argument: str | None = None


@dataclass(frozen=True)
class Logic:
    joiner: str  # "and" | "or"
    items: tuple[Filter | Logic, ...]
    negated: bool = False


@dataclass(frozen=True)
class Order:
    column: Column
    direction: str = "asc"
    nulls: str | None = None


@dataclass
class Node:
    """One table of the request: the root, or an embedded resource."""

    name: str
    alias: str | None = None
    hint: str | None = None
    inner: bool = False
    spread: bool = False
    columns: list[SelectColumn] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    filters: list[Filter | Logic] = field(default_factory=list)
    order: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0

    @property
    def label(self) -> str:
        return self.alias or self.name

    def child(self, label: str) -> Node | None:
        return next((child for child in self.children if label in (child.alias, child.name)), None)


def bad_query(message: str, details: str) -> RestError:
    return RestError(400, "PGRST100", message, details)


def split_outside(text: str, separator: str = ",") -> list[str]:
    """Split at separators that are not inside quotes, parentheses or braces."""
    parts: list[str] = []
    depth, start, quoted, index = 0, 0, False, 0
    while index < len(text):
        character = text[index]
        if quoted and character == "\\":
            index += 1
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in _OPENING:
            depth += 1
        elif not quoted and character in _CLOSING:
            depth -= 1
            if depth < 0:
                raise bad_query(f"failed to parse ({text})", "unexpected closing parenthesis")
        elif not quoted and depth == 0 and character == separator:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    if depth or quoted:
        raise bad_query(f"failed to parse ({text})", "unexpected end of input")
    parts.append(text[start:])
    return parts


def unquote(text: str) -> str:
    """`"a\\"b"` -> `a"b`; anything else as it is."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


def parse_column(text: str) -> Column:
    pieces = re.split(r"(->>|->)", text)
    name = unquote(pieces[0].strip())
    if not name:
        raise bad_query(f"failed to parse column ({text})", "a column name is missing")
    path = tuple(zip(pieces[1::2], (unquote(key.strip()) for key in pieces[2::2]), strict=True))
    if any(not key for _, key in path):
        raise bad_query(f"failed to parse column ({text})", "a JSON key is missing")
    return Column(name, path)


def parse_select(text: str, node: Node, depth: int = 0) -> None:
    """Fill `node.columns` and `node.children` from a select parameter."""
    if depth > MAX_DEPTH:
        raise bad_query("failed to parse select parameter", f"embedding is deeper than {MAX_DEPTH} levels")
    for item in map(str.strip, split_outside(text)):
        if not item:
            continue
        alias, rest = None, item
        if (match := _ALIAS.match(item)) and "(" not in match["alias"] and '"' not in match["alias"]:
            alias, rest = match["alias"].strip(), match["rest"]
        if rest.endswith(")") and "(" in rest:
            head, inside = rest[:-1].split("(", 1)
            child = _embed_head(head, alias)
            parse_select(inside, child, depth + 1)
            node.children.append(child)
            continue
        column, _, cast = rest.partition("::")
        if cast and not _CAST.match(cast):
            raise bad_query(f"failed to parse select parameter ({text})", f"{cast!r} is not a type name")
        node.columns.append(SelectColumn(parse_column(column), alias, cast or None))


def _embed_head(head: str, alias: str | None) -> Node:
    spread = head.startswith("...")
    name, *modifiers = head.removeprefix("...").split("!")
    child = Node(unquote(name.strip()), alias, spread=spread)
    for modifier in modifiers:
        if modifier == "inner":
            child.inner = True
        elif modifier != "left":
            child.hint = modifier
    if not child.name:
        raise bad_query("failed to parse select parameter", "an embedded resource has no name")
    return child


def parse_filter(column: str, text: str) -> Filter:
    """`eq.5`, `not.in.(1,2)`, `eq(any).{1,2}`, `fts(english).word` on a column."""
    negated = text.startswith("not.")
    operator, dot, value = text.removeprefix("not.").partition(".")
    match = _OPERATOR.match(operator)
    if not dot or match is None:
        raise bad_query(f'"failed to parse filter ({text})" (line 1, column 1)', "expected an operator and a value")
    return Filter(parse_column(column), match["name"], value, negated, match["argument"])


def parse_logic(joiner: str, text: str, negated: bool = False, depth: int = 0) -> Logic:
    """`(a.eq.1,or(b.is.null,c.gt.2))` of an `and` or `or` parameter."""
    if depth > MAX_DEPTH or not (text.startswith("(") and text.endswith(")")):
        raise bad_query(f"failed to parse logic tree ({text})", "expected conditions in parentheses")
    return Logic(joiner, tuple(_condition(item.strip(), depth) for item in split_outside(text[1:-1])), negated)


def _condition(item: str, depth: int) -> Filter | Logic:
    negated = item.startswith("not.")
    bare = item.removeprefix("not.")
    for joiner in ("and", "or"):
        if bare.startswith(f"{joiner}("):
            return parse_logic(joiner, bare[len(joiner) :], negated, depth + 1)
    column, dot, rest = _column_and_rest(item)
    if not dot:
        raise bad_query(f"failed to parse logic tree ({item})", "expected column.operator.value")
    parsed = parse_filter(column, rest)
    if parsed.operator in ("in", "cs", "cd", "ov"):
        return parsed
    return Filter(parsed.column, parsed.operator, unquote(parsed.value), parsed.negated, parsed.argument)


def _column_and_rest(item: str) -> tuple[str, str, str]:
    if item.startswith('"'):
        end = item.find('"', 1)
        return item[: end + 1], item[end + 1 : end + 2], item[end + 2 :]
    return item.partition(".")


def parse_list(text: str) -> list[str]:
    """The members of `(a,"b,c",d)`."""
    if not (text.startswith("(") and text.endswith(")")):
        raise bad_query(f"failed to parse list ({text})", "expected a list in parentheses")
    return [unquote(item) for item in split_outside(text[1:-1])] if text != "()" else []


def parse_order(text: str) -> list[Order]:
    parsed: list[Order] = []
    for item in split_outside(text):
        column, *modifiers = item.split(".")
        direction, nulls = "asc", None
        for modifier in modifiers:
            if modifier in ("asc", "desc"):
                direction = modifier
            elif modifier in ("nullsfirst", "nullslast"):
                nulls = modifier.removeprefix("nulls")
            else:
                raise bad_query(f"failed to parse order ({text})", f"unexpected {modifier!r}")
        parsed.append(Order(parse_column(column), direction, nulls))
    return parsed
