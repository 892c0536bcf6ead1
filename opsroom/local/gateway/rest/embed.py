"""Finds how an embedded resource hangs on its parent, and writes the select list with the embedded parts in it."""

# ruff: noqa: S608  names go through `identifier` or a fixed list, values are bound parameters
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from opsroom.local.gateway.errors import RestError
from opsroom.local.gateway.rest.catalog import ForeignKey, Schema
from opsroom.local.gateway.rest.grammar import Node
from opsroom.local.gateway.rest.render import Parameters, column_sql, identifier, order_sql, where_sql, window_sql


@dataclass(frozen=True)
class Link:
    """One way from a parent table to a target. `through` is the junction table of a many-to-many."""

    target: str
    pairs: tuple[tuple[str, str], ...]  # (parent or junction column, target column)
    single: bool
    names: frozenset[str]  # what a hint may call it
    through: str | None = None
    through_pairs: tuple[tuple[str, str], ...] = ()  # (parent column, junction column)


def links(schema: Schema, parent: str, wanted: Node) -> list[Link]:
    """Every link that the name (a table, a constraint or a column) and the hint allow."""
    found = [link for link in _all_links(schema, parent) if wanted.name == link.target or wanted.name in link.names]
    if wanted.hint is not None:
        found = [link for link in found if wanted.hint in link.names or wanted.hint == link.target]
    # A direct link beats a detour through a junction table.
    return [link for link in found if link.through is None] or found


def _all_links(schema: Schema, parent: str) -> Iterator[Link]:
    for key in schema.foreign_keys:
        if key.source == parent:
            pairs = tuple(zip(key.source_columns, key.target_columns, strict=True))
            yield Link(key.target, pairs, True, frozenset((key.name, *key.source_columns)))
        if key.target == parent:
            pairs = tuple(zip(key.target_columns, key.source_columns, strict=True))
            single = frozenset(key.source_columns) in schema.relations[key.source].uniques
            yield Link(key.source, pairs, single, frozenset((key.name, *key.source_columns)))
            yield from _through(schema, key)


def _through(schema: Schema, near: ForeignKey) -> Iterator[Link]:
    primary_key = set(schema.relations[near.source].primary_key)
    for far in schema.foreign_keys:
        both = {*near.source_columns, *far.source_columns}
        if far.source == near.source and far is not near and both <= primary_key:
            yield Link(
                far.target,
                tuple(zip(far.source_columns, far.target_columns, strict=True)),
                False,
                frozenset((near.source, far.name)),
                near.source,
                tuple(zip(near.target_columns, near.source_columns, strict=True)),
            )


def link_of(schema: Schema, parent: str, node: Node) -> Link:
    candidates = links(schema, parent, node)
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise RestError(
            400,
            "PGRST200",
            f"Could not find a relationship between '{parent}' and '{node.name}' in the schema cache",
            f"Searched for a foreign key relationship between '{parent}' and '{node.name}' in the schema 'public', "
            "but no matches were found.",
        )
    raise RestError(
        300,
        "PGRST201",
        f"Could not embed because more than one relationship was found for '{parent}' and '{node.name}'",
        [{"relationship": " or ".join(sorted(link.names)), "cardinality": link.target} for link in candidates],
        hint=f"Try changing '{node.name}' to one of the following: "
        + ", ".join(f"'{node.name}!{sorted(link.names)[0]}'" for link in candidates),
    )


class Selection:
    """Writes the select list and the conditions of a node and everything embedded in it."""

    def __init__(self, schema: Schema, parameters: Parameters) -> None:
        self._schema = schema
        self._parameters = parameters
        self._names = count()

    def items(self, node: Node, relation: str, table: str) -> str:
        """The select list of `node`, read from `table` (an alias of a row source with the columns of `relation`)."""
        parts: list[str] = []
        for chosen in node.columns:
            rendered = column_sql(chosen.column, table)
            if chosen.column.name == "*":
                parts.append(rendered)
                continue
            cast = f"::{chosen.cast}" if chosen.cast else ""
            parts.append(f"({rendered}){cast} as {identifier(chosen.alias or chosen.column.label)}")
        for child in node.children:
            parts.append(self._embedded(child, link_of(self._schema, relation, child), table))
        return ", ".join(part for part in parts if part)

    def conditions(self, node: Node, relation: str, table: str) -> str:
        """The where clause of `node`: its own filters, and the existence of what is embedded with `!inner`."""
        parts = [where_sql(node.filters, table, self._parameters)]
        for child in node.children:
            if child.inner:
                parts.append(f"exists ({self._source(child, link_of(self._schema, relation, child), table, '1')[0]})")
        return " and ".join(parts)

    def _source(self, node: Node, link: Link, parent: str, items: str | None) -> tuple[str, str]:
        alias = f"_{next(self._names)}"
        origin = f"public.{identifier(link.target)} {alias}"
        near = parent
        joined: list[str] = []
        if link.through is not None:
            near = f"_{next(self._names)}"
            origin += f", public.{identifier(link.through)} {near}"
            joined += [
                f"{near}.{identifier(junction)} = {parent}.{identifier(column)}"
                for column, junction in link.through_pairs
            ]
        joined += [f"{alias}.{identifier(target)} = {near}.{identifier(column)}" for column, target in link.pairs]
        listed = items if items is not None else self.items(node, link.target, alias)
        where = " and ".join([*joined, self.conditions(node, link.target, alias)])
        return f"select {listed} from {origin} where {where}", alias

    def _embedded(self, node: Node, link: Link, parent: str) -> str:
        if not node.columns and not node.children:
            return ""  # `author!inner()` only filters
        if node.spread:
            return self._spread(node, link, parent)
        source, alias = self._source(node, link, parent, None)
        source += order_sql(node.order, alias)
        row = f"_{next(self._names)}"
        if link.single:
            value = f"(select row_to_json({row}) from ({source} limit 1) {row})"
        else:
            source += window_sql(node.limit, node.offset)
            value = f"(select coalesce(json_agg({row}), '[]') from ({source}) {row})"
        return f"{value} as {identifier(node.label)}"

    def _spread(self, node: Node, link: Link, parent: str) -> str:
        if not link.single:
            raise RestError(
                400,
                "PGRST119",
                f"A spread operation on '{node.name}' is not possible",
                f"'{node.name}' has more than one row for each row of its parent.",
            )
        parts: list[str] = []
        for chosen in node.columns:
            if chosen.column.name == "*":
                raise RestError(400, "PGRST100", f"Name the columns to spread from '{node.name}'.")
            alias = f"_{next(self._names)}"
            single = Node(node.name, columns=[chosen], filters=node.filters)
            source, _ = self._source(single, link, parent, None)
            label = identifier(chosen.alias or chosen.column.label)
            parts.append(f"(select {alias}.{label} from ({source} limit 1) {alias}) as {label}")
        return ", ".join(parts)
