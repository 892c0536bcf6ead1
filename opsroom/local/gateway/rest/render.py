"""Turns parsed conditions into SQL: names are quoted, values are bound, nothing of a request is pasted into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsroom.local.gateway.errors import RestError
from opsroom.local.gateway.rest.grammar import Column, Filter, Logic, Order, bad_query, parse_list

_COMPARISONS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "like",
    "ilike": "ilike",
    "match": "~",
    "imatch": "~*",
    "isdistinct": "is distinct from",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
}
_QUANTIFIABLE = frozenset(("eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"))
_TEXT_SEARCH = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
_IS = {
    "null": "is null",
    "not_null": "is not null",
    "true": "is true",
    "false": "is false",
    "unknown": "is unknown",
}


def identifier(name: str) -> str:
    if "\x00" in name:
        raise bad_query("failed to parse a name", "the NUL character is not allowed")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant that is safe whatever standard_conforming_strings says."""
    escaped = text.replace("'", "''").replace("\\", "\\\\")
    return f"E'{escaped}'" if "\\" in text else f"'{escaped}'"


class Parameters:
    """Collects bound values; `add` gives back the placeholder."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def column_sql(column: Column, table: str) -> str:
    """`table."col"->'a'->>'b'`; an integer key reaches into an array."""
    rendered = f"{table}.{identifier(column.name)}" if column.name != "*" else f"{table}.*"
    if not column.path:
        return rendered
    keys = "".join(f"{arrow}{key if _is_index(key) else literal(key)}" for arrow, key in column.path)
    return f"(to_jsonb({rendered}){keys})"


def _is_index(key: str) -> bool:
    digits = key.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) < 10


def where_sql(conditions: Sequence[Filter | Logic], table: str, parameters: Parameters) -> str:
    return " and ".join(_condition(item, table, parameters) for item in conditions) or "true"


def _condition(item: Filter | Logic, table: str, parameters: Parameters) -> str:
    if isinstance(item, Logic):
        inside = f" {item.joiner} ".join(_condition(part, table, parameters) for part in item.items) or "true"
        return f"not ({inside})" if item.negated else f"({inside})"
    rendered = _filter(item, table, parameters)
    return f"not ({rendered})" if item.negated else f"({rendered})"


def _filter(item: Filter, table: str, parameters: Parameters) -> str:
    column, value = column_sql(item.column, table), item.value
    if item.operator == "is":
        if value.lower() not in _IS:
            raise bad_query(f"failed to parse filter (is.{value})", "expected null, not_null, true, false or unknown")
        return f"{column} {_IS[value.lower()]}"
    if item.operator == "in":
        return f"{column} = any ({parameters.add(array_text(parse_list(value)))})"
    if item.operator in _TEXT_SEARCH:
        config = f"{parameters.add(item.argument)}::regconfig, " if item.argument else ""
        return f"{column} @@ {_TEXT_SEARCH[item.operator]}({config}{parameters.add(value)})"
    operator = _COMPARISONS.get(item.operator)
    if operator is None:
        raise bad_query(f"failed to parse filter ({item.operator}.{value})", f"unknown operator {item.operator!r}")
    if item.operator in ("like", "ilike"):
        value = value.replace("*", "%")
    if item.argument in ("any", "all"):
        if item.operator not in _QUANTIFIABLE:
            raise bad_query(f"failed to parse filter ({item.operator})", f"{item.operator} takes no any or all")
        return f"{column} {operator} {item.argument} ({parameters.add(value)})"
    if item.argument is not None:
        raise bad_query(f"failed to parse filter ({item.operator})", f"unexpected modifier {item.argument!r}")
    return f"{column} {operator} {parameters.add(value)}"


def array_text(items: Sequence[str]) -> str:
    """The text form of a Postgres array, for a parameter whose element type the column decides."""
    quoted = ('"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items)
    return "{" + ",".join(quoted) + "}"


def order_sql(order: Sequence[Order], table: str) -> str:
    if not order:
        return ""
    rendered = (
        f"{column_sql(item.column, table)} {item.direction}{f' nulls {item.nulls}' if item.nulls else ''}"
        for item in order
    )
    return " order by " + ", ".join(rendered)


def window_sql(limit: int | None, offset: int) -> str:
    return (f" limit {limit}" if limit is not None else "") + (f" offset {offset}" if offset else "")


def not_found_relation(name: str) -> RestError:
    return RestError(404, "PGRST205", f"Could not find the table 'public.{name}' in the schema cache")
