"""What the gateway knows of schema `public`: relations, foreign keys, functions. Reloaded when the schema changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from opsroom.local.gateway.database import Database, many

_RELATIONS = """
select c.relname as name,
       coalesce((select array_agg(a.attname order by k.place)
                 from pg_constraint p, unnest(p.conkey) with ordinality as k (number, place), pg_attribute a
                 where p.conrelid = c.oid and p.contype = 'p' and a.attrelid = c.oid and a.attnum = k.number),
                '{}')::text[] as primary_key,
       (select array_agg(a.attname order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)::text[] as columns,
       coalesce((select json_agg(u.columns) from (
           select (select array_agg(a.attname) from pg_attribute a
                   where a.attrelid = i.indrelid and a.attnum = any (i.indkey))::text[] as columns
           from pg_index i where i.indrelid = c.oid and i.indisunique and i.indpred is null) u), '[]') as uniques
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm', 'f', 'p')
"""

_FOREIGN_KEYS = """
select p.conname as name, s.relname as source, t.relname as target,
       (select array_agg(a.attname order by k.place) from unnest(p.conkey) with ordinality as k (number, place),
        pg_attribute a where a.attrelid = p.conrelid and a.attnum = k.number)::text[] as source_columns,
       (select array_agg(a.attname order by k.place) from unnest(p.confkey) with ordinality as k (number, place),
        pg_attribute a where a.attrelid = p.confrelid and a.attnum = k.number)::text[] as target_columns
from pg_constraint p join pg_class s on s.oid = p.conrelid join pg_class t on t.oid = p.confrelid
where p.contype = 'f' and s.relnamespace = 'public'::regnamespace and t.relnamespace = 'public'::regnamespace
"""

_FUNCTIONS = """
select p.proname as name, p.proretset as returns_set, p.provolatile as volatility,
       t.typtype = 'c' or p.prorettype = 'record'::regtype or p.proargmodes && '{o,b,t}'::"char"[] as composite,
       p.prorettype = 'void'::regtype as void, p.pronargdefaults as defaults,
       coalesce(p.proargnames, '{}')::text[] as names, coalesce(p.proargmodes, '{}')::text[] as modes,
       coalesce((select array_agg(format_type(a.type, null) order by a.place)
                 from unnest(p.proargtypes::oid[]) with ordinality as a (type, place)), '{}')::text[] as types
from pg_proc p join pg_type t on t.oid = p.prorettype
where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'
  and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
"""


@dataclass(frozen=True)
class Relation:
    name: str
    columns: tuple[str, ...]
    primary_key: tuple[str, ...]
    uniques: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class ForeignKey:
    name: str
    source: str
    target: str
    source_columns: tuple[str, ...]
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class Function:
    name: str
    arguments: tuple[tuple[str, str], ...]  # input arguments: (name, type)
    defaults: int
    returns_set: bool
    composite: bool
    void: bool
    read_only: bool

    @property
    def required(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.arguments[: len(self.arguments) - self.defaults])


@dataclass(frozen=True)
class Schema:
    relations: dict[str, Relation] = field(default_factory=dict)
    foreign_keys: tuple[ForeignKey, ...] = ()
    functions: dict[str, tuple[Function, ...]] = field(default_factory=dict)


class Catalog:
    """The current `Schema`. Marked stale by the schema's own notification, or by a name that is not found."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._schema: Schema | None = None
        self._lock = asyncio.Lock()

    def mark_stale(self) -> None:
        self._schema = None

    async def schema(self) -> Schema:
        async with self._lock:
            if self._schema is None:
                self._schema = await self._load()
            return self._schema

    async def _load(self) -> Schema:
        async with self._database.as_admin() as connection:
            relations = await many(connection, _RELATIONS)
            foreign_keys = await many(connection, _FOREIGN_KEYS)
            functions = await many(connection, _FUNCTIONS)
        by_name: dict[str, tuple[Function, ...]] = {}
        for row in functions:
            by_name[row["name"]] = (*by_name.get(row["name"], ()), _function(row))
        return Schema(
            {
                row["name"]: Relation(
                    row["name"],
                    tuple(row["columns"] or ()),
                    tuple(row["primary_key"]),
                    tuple(frozenset(columns) for columns in row["uniques"]),
                )
                for row in relations
            },
            tuple(
                ForeignKey(
                    row["name"],
                    row["source"],
                    row["target"],
                    tuple(row["source_columns"]),
                    tuple(row["target_columns"]),
                )
                for row in foreign_keys
            ),
            by_name,
        )


def _function(row: dict[str, Any]) -> Function:
    # proargtypes has the input arguments only, proargnames all of them; modes are empty when all are inputs.
    names: list[str] = row["names"]
    modes: list[str] = row["modes"] or ["i"] * len(names)
    inputs = [name for name, mode in zip(names, modes, strict=False) if mode in ("i", "b", "v")]
    inputs += [""] * (len(row["types"]) - len(inputs))
    return Function(
        name=row["name"],
        arguments=tuple(zip(inputs, row["types"], strict=True)),
        defaults=row["defaults"],
        returns_set=row["returns_set"],
        composite=bool(row["composite"]),
        void=row["void"],
        read_only=row["volatility"] != "v",
    )
