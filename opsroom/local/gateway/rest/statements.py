"""The statements of one REST request: read, insert, update, delete, call. Each gives one row: body, and counts."""

# ruff: noqa: S608  names go through `identifier` or a fixed list, values are bound parameters
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opsroom.local.gateway.errors import RestError
from opsroom.local.gateway.rest.catalog import Function, Relation, Schema
from opsroom.local.gateway.rest.embed import Selection, link_of
from opsroom.local.gateway.rest.grammar import Node
from opsroom.local.gateway.rest.render import Parameters, identifier, order_sql, where_sql, window_sql
from opsroom.local.gateway.rest.request import Preferences, Query

Statement = tuple[str, list[Any]]


@dataclass(frozen=True)
class Payload:
    """A JSON body: its value to look at, and its own text to hand to Postgres (numbers keep every digit)."""

    value: Any
    text: str

    @property
    def rows(self) -> list[Any]:
        return self.value if isinstance(self.value, list) else [self.value]

    @property
    def rows_text(self) -> str:
        return self.text if isinstance(self.value, list) else f"[{self.text}]"


# Every statement answers with these columns; `total` is null when nobody asked to count.
_BODY = "coalesce(json_agg(_row), '[]')::text as body, count(*) as rows"


def read(schema: Schema, relation: Relation, query: Query, preferences: Preferences) -> Statement:
    parameters = Parameters()
    source = f"public.{identifier(relation.name)}"
    return _window(schema, relation.name, query.root, source, parameters, counted=preferences.count), parameters.values


def _window(
    schema: Schema, relation: str, node: Node, source: str, parameters: Parameters, *, counted: bool, prefix: str = ""
) -> str:
    selection = Selection(schema, parameters)
    items = selection.items(node, relation, "_t")
    where = selection.conditions(node, relation, "_t")
    total = f"(select count(*) from {source} _t where {where})" if counted else "null::bigint"
    rows = f"select {items} from {source} _t where {where}{order_sql(node.order, '_t')}"
    return f"{prefix}select {_BODY}, {total} as total from ({rows}{window_sql(node.limit, node.offset)}) _row"


def insert(schema: Schema, relation: Relation, query: Query, preferences: Preferences, body: Payload) -> Statement:
    rows = body.rows
    columns = query.columns if query.columns is not None else _columns_of(rows)
    parameters = Parameters()
    table = f"public.{identifier(relation.name)}"
    if columns:
        listed = ", ".join(identifier(column) for column in columns)
        payload = parameters.add(body.rows_text)
        # `missing=default`: a key a row lacks takes the column's default; without it, null.
        if preferences.missing_default and _some_missing(rows, columns):
            values = _rows_with_defaults(relation, columns, rows, parameters, payload)
        else:
            values = f"select {listed} from json_populate_recordset(null::{table}, {payload}::json) _payload"
        change = f"insert into {table} ({listed}) {values}"
    elif rows:
        change = f"insert into {table} default values"
    else:
        change = f"insert into {table} select * from {table} where false"
    change += _conflict(relation, query, preferences, columns)
    return _change(schema, relation, query, preferences, change, parameters)


def _some_missing(rows: list[Any], columns: list[str]) -> bool:
    return any(column not in row for row in rows for column in columns)


def _rows_with_defaults(
    relation: Relation, columns: list[str], rows: list[Any], parameters: Parameters, payload: str
) -> str:
    table = f"public.{identifier(relation.name)}"
    cells = [
        ", ".join(
            f"(json_populate_record(null::{table}, {payload}::json->{index})).{identifier(column)}"
            if column in row
            else "default"
            for column in columns
        )
        for index, row in enumerate(rows)
    ]
    return "values " + ", ".join(f"({cell})" for cell in cells)


def _columns_of(rows: list[Any]) -> list[str]:
    if any(not isinstance(row, dict) for row in rows):
        raise RestError(400, "PGRST102", "Empty or invalid json", "Expected an object, or an array of objects.")
    if any(row.keys() != rows[0].keys() for row in rows):
        raise RestError(400, "PGRST102", "All object keys must match")
    return list(rows[0]) if rows else []


def _conflict(relation: Relation, query: Query, preferences: Preferences, columns: list[str]) -> str:
    if preferences.resolution is None:
        return ""
    target = query.on_conflict or list(relation.primary_key)
    listed = ", ".join(identifier(column) for column in target)
    changed = [column for column in columns if column not in target] or columns
    if preferences.resolution == "ignore-duplicates" or not changed:
        return f" on conflict ({listed}) do nothing" if listed else " on conflict do nothing"
    assignments = ", ".join(f"{identifier(column)} = excluded.{identifier(column)}" for column in changed)
    return f" on conflict ({listed}) do update set {assignments}"


def update(schema: Schema, relation: Relation, query: Query, preferences: Preferences, body: Payload) -> Statement:
    columns = query.columns if query.columns is not None else _columns_of(body.rows)
    parameters = Parameters()
    table = f"public.{identifier(relation.name)}"
    if not columns:
        change = f"update {table} _t set {identifier(relation.columns[0])} = null where false"
    else:
        payload = f"json_populate_record(null::{table}, {parameters.add(body.rows_text)}::json->0)"
        assignments = ", ".join(f"{identifier(column)} = _payload.{identifier(column)}" for column in columns)
        where = where_sql(query.root.filters, "_t", parameters)
        change = f"update {table} _t set {assignments} from (select * from {payload}) _payload where {where}"
    return _change(schema, relation, query, preferences, change, parameters)


def delete(schema: Schema, relation: Relation, query: Query, preferences: Preferences) -> Statement:
    parameters = Parameters()
    where = where_sql(query.root.filters, "_t", parameters)
    change = f"delete from public.{identifier(relation.name)} _t where {where}"
    return _change(schema, relation, query, preferences, change, parameters)


def _change(  # noqa: PLR0917
    schema: Schema, relation: Relation, query: Query, preferences: Preferences, change: str, parameters: Parameters
) -> Statement:
    node = query.root
    qualifier = "_t." if change.startswith(("update", "delete")) else ""
    if preferences.returning != "representation":
        counted = f"with _change as ({change} returning 1) "
        return f"{counted}select '' as body, count(*) as rows, count(*) as total from _change", parameters.values
    # Only the columns that are asked for: a caller may not be allowed to read the others.
    needed = _needed_columns(schema, relation, node)
    returned = (
        ", ".join(f"{qualifier}{'*' if column == '*' else identifier(column)}" for column in needed) or "1 as _one"
    )
    shown = Node(node.name, columns=node.columns, children=node.children, order=node.order)
    prefix = f"with _change as ({change} returning {returned}) "
    return (
        _window(schema, relation.name, shown, "_change", parameters, counted=preferences.count, prefix=prefix),
        parameters.values,
    )


def _needed_columns(schema: Schema, relation: Relation, node: Node) -> list[str]:
    if any(chosen.column.name == "*" for chosen in node.columns):
        return ["*"]
    needed = dict.fromkeys(chosen.column.name for chosen in node.columns)
    needed.update(dict.fromkeys(item.column.name for item in node.order))
    for child in node.children:
        link = link_of(schema, relation.name, child)
        pairs = link.through_pairs or link.pairs
        needed.update(dict.fromkeys(column for column, _ in pairs))
    return list(needed)


def call(schema: Schema, function: Function, arguments: Payload, query: Query, preferences: Preferences) -> Statement:
    """Call by named arguments, or with the whole body for a function of one unnamed argument."""
    parameters = Parameters()
    name = f"public.{identifier(function.name)}"
    origin = ""
    if function.arguments and function.arguments[0][0] == "":
        called = f"{name}({parameters.add(arguments.text)}::{function.arguments[0][1]})"
    elif arguments.value:
        types = dict(function.arguments)
        typed = ", ".join(f"{identifier(key)} {types[key]}" for key in arguments.value)
        origin = f"json_to_record({parameters.add(arguments.text)}::json) as _a({typed}), lateral "
        called = f"{name}(" + ", ".join(f"{identifier(key)} => _a.{identifier(key)}" for key in arguments.value) + ")"
    else:
        called = f"{name}()"
    if function.composite and function.returns_set:
        # Materialized: counting must not call the function a second time.
        prefix = f"with _called as materialized (select _f.* from {origin}{called} _f) "
        window = _window(schema, "", query.root, "_called", parameters, counted=preferences.count, prefix=prefix)
        return window, parameters.values
    if function.composite:
        body = (
            f"select row_to_json(_row)::text as body, 1 as rows, null::bigint as total from (select _f.* from {origin}"
        )
        return f"{body}{called} _f) _row", parameters.values
    if function.void:
        return f"select '' as body, 1 as rows, null::bigint as total from {origin}{called} _f", parameters.values
    source = f"(select _f from {origin}{called} _f)"
    if function.returns_set:
        body = "select coalesce(json_agg(_row._f), '[]')::text as body, count(*) as rows, null::bigint as total"
    else:
        body = "select coalesce(to_json(_row._f)::text, 'null') as body, 1 as rows, null::bigint as total"
    return f"{body} from {source} _row", parameters.values
