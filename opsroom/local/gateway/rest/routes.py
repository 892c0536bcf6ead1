"""/rest/v1: tables, views and functions of schema `public` over HTTP."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opsroom.local.gateway.body import read_body
from opsroom.local.gateway.database import Database, RequestContext, Row, one
from opsroom.local.gateway.errors import RestError, from_database
from opsroom.local.gateway.identity import Caller, Gatekeeper
from opsroom.local.gateway.rest import functions, statements
from opsroom.local.gateway.rest.catalog import Catalog, Function, Relation, Schema
from opsroom.local.gateway.rest.grammar import Node
from opsroom.local.gateway.rest.render import not_found_relation
from opsroom.local.gateway.rest.request import OBJECT_TYPE, Preferences, Query, parse_preferences, parse_query
from opsroom.local.gateway.rest.statements import Payload, Statement

_JSON = "application/json; charset=utf-8"
_READ = ("GET", "HEAD")
# What a function may see of the request: never the credentials.
_HIDDEN_HEADERS = frozenset(("authorization", "apikey", "cookie"))


class Rest:
    def __init__(self, gatekeeper: Gatekeeper, database: Database, catalog: Catalog, max_rows: int | None) -> None:
        self._max_rows = max_rows
        self._gatekeeper = gatekeeper
        self._database = database
        self._catalog = catalog

    def routes(self) -> list[Route]:
        methods = ["GET", "HEAD", "POST", "PATCH", "DELETE"]
        return [
            Route("/rpc/{name}", self.call, methods=["GET", "HEAD", "POST"]),
            Route("/{name}", self.table, methods=methods),
        ]

    async def table(self, request: Request) -> Response:
        caller = self._gatekeeper.caller_of(request.headers, request.query_params)
        name = request.path_params["name"]
        preferences = parse_preferences(request.headers)
        query = parse_query(name, _pairs(request), request.headers)
        if request.method in _READ:
            _cap(query.root, self._max_rows)
        schema, relation = await self._relation(name)
        statement = await self._statement(request, schema, relation, query, preferences)
        row = await self._run(request, caller, statement, read_only=request.method in _READ)
        if request.method in _READ:
            return _rows(request, row, query)
        return _changed(request, row, preferences)

    async def _relation(self, name: str) -> tuple[Schema, Relation]:
        schema = await self._catalog.schema()
        if name not in schema.relations:
            self._catalog.mark_stale()
            schema = await self._catalog.schema()
            if name not in schema.relations:
                raise not_found_relation(name)
        return schema, schema.relations[name]

    async def _statement(
        self, request: Request, schema: Schema, relation: Relation, query: Query, preferences: Preferences
    ) -> Statement:
        if request.method in _READ:
            return statements.read(schema, relation, query, preferences)
        if request.method == "DELETE":
            return statements.delete(schema, relation, query, preferences)
        payload = await _payload(request)
        if request.method == "PATCH":
            return statements.update(schema, relation, query, preferences, payload)
        return statements.insert(schema, relation, query, preferences, payload)

    async def call(self, request: Request) -> Response:
        caller = self._gatekeeper.caller_of(request.headers, request.query_params)
        name = request.path_params["name"]
        reading = request.method in _READ
        body = None if reading else await _payload(request, empty="{}")
        for last_try in (False, True):
            schema = await self._catalog.schema()
            if body is None:
                payload, pairs = functions.split_parameters(schema, name, _pairs(request))
            else:
                payload, pairs = body, _pairs(request)
            function = functions.resolve(schema, name, payload)
            if function is not None:
                break
            if last_try:
                raise functions.not_found(schema, name, payload)
            self._catalog.mark_stale()
        assert function is not None
        preferences = parse_preferences(request.headers)
        query = parse_query(name, pairs, request.headers)
        _cap(query.root, self._max_rows)
        statement = statements.call(schema, function, payload, query, preferences)
        row = await self._run(request, caller, statement, read_only=reading)
        return _called(request, row, query, function)

    async def _run(self, request: Request, caller: Caller, statement: Statement, *, read_only: bool) -> Row:
        text, values = statement
        context = RequestContext(request.method, request.url.path, _headers_json(request))
        try:
            async with self._database.as_caller(caller, context, read_only=read_only) as connection:
                row = await one(connection, text, tuple(values))
                assert row is not None
                _check_single(request, row)  # inside: a change that is not answered is not committed
                return row
        except psycopg.Error as error:
            raise from_database(error, anonymous=caller.role == "anon") from error


def _cap(node: Node, max_rows: int | None) -> None:
    """No table of an answer has more rows than `max_rows`, as `api.max_rows` of a project says."""
    if max_rows is not None:
        node.limit = max_rows if node.limit is None else min(node.limit, max_rows)
        for child in node.children:
            _cap(child, max_rows)


def _pairs(request: Request) -> list[tuple[str, str]]:
    text = request.scope["query_string"].decode("latin-1")
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=200)
    return [pair for pair in pairs if pair[0] != "apikey"]


def _headers_json(request: Request) -> str:
    return json.dumps({name: value for name, value in request.headers.items() if name not in _HIDDEN_HEADERS})


async def _payload(request: Request, empty: str = "") -> Payload:
    raw = await read_body(request)
    try:
        text = raw.decode("utf-8") or empty
        return Payload(json.loads(text), text)
    except (ValueError, RecursionError) as error:
        raise RestError(400, "PGRST102", "Empty or invalid json", str(error)[:200]) from error


def _wants_object(request: Request) -> bool:
    return OBJECT_TYPE in request.headers.get("accept", "")


def _check_single(request: Request, row: Row) -> None:
    if _wants_object(request) and row["body"] != "" and row["rows"] != 1:
        raise RestError(
            406,
            "PGRST116",
            "Cannot coerce the result to a single JSON object",
            f"The result contains {row['rows']} rows",
        )


def _answer(request: Request, status: int, body: str, headers: dict[str, str], *, listed: bool = True) -> Response:
    if listed and _wants_object(request):
        body = body[1:-1]  # `_check_single` has seen that there is exactly one
    content = "" if request.method == "HEAD" else body
    return Response(content, status, headers, media_type=_JSON)


def _rows(request: Request, row: Row, query: Query) -> Response:
    offset, rows, total = query.root.offset, row["rows"], row["total"]
    if total is not None and offset and offset >= total:
        details = f"An offset of {offset} was requested, but there are only {total} rows."
        raise RestError(416, "PGRST103", "Requested range not satisfiable", details)
    partial = total is not None and rows < total
    headers = {"Content-Range": _content_range(offset, rows, total)}
    return _answer(request, 206 if partial else 200, row["body"], headers)


def _content_range(offset: int, rows: int, total: Any) -> str:
    span = f"{offset}-{offset + rows - 1}" if rows else "*"
    return f"{span}/{'*' if total is None else total}"


def _changed(request: Request, row: Row, preferences: Preferences) -> Response:
    total = row["total"] if preferences.count else None
    headers = {"Content-Range": f"*/{'*' if total is None else total}"}
    created = request.method == "POST"
    if preferences.returning == "representation":
        headers["Preference-Applied"] = "return=representation"
        return _answer(request, 201 if created else 200, row["body"], headers)
    return Response(status_code=201 if created else 204, headers=headers)


def _called(request: Request, row: Row, query: Query, function: Function) -> Response:
    if function.void:
        return Response(status_code=204)
    if function.composite and function.returns_set:
        return _rows(request, row, query)
    return _answer(request, 200, row["body"], {}, listed=function.returns_set)
