"""The gateway's ASGI application: the five services under one origin, as a Supabase project has them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from opsroom.local.gateway.auth.routes import Auth
from opsroom.local.gateway.database import Database, many, one
from opsroom.local.gateway.errors import ApiError, from_database
from opsroom.local.gateway.identity import Gatekeeper
from opsroom.local.gateway.proxy import FunctionsProxy
from opsroom.local.gateway.realtime.hub import Hub
from opsroom.local.gateway.realtime.listener import Listener
from opsroom.local.gateway.realtime.routes import Realtime
from opsroom.local.gateway.rest.catalog import Catalog
from opsroom.local.gateway.rest.routes import Rest
from opsroom.local.gateway.settings import Settings
from opsroom.local.gateway.storage.blobs import Blobs
from opsroom.local.gateway.storage.buckets import Buckets
from opsroom.local.gateway.storage.routes import Storage

_LOG = logging.getLogger("opsroom.gateway")
_OWN_HOSTS = frozenset(("127.0.0.1", "localhost", "[::1]"))
_EXPOSED = ["Content-Range", "Content-Length", "Location", "Preference-Applied", "X-Total-Count"]


class OwnHostOnly:
    """Refuses requests for another host name: a page of a foreign site must not reach the gateway by DNS rebinding."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
            if host.rpartition(":")[0] not in _OWN_HOSTS and host not in _OWN_HOSTS:
                response = JSONResponse({"message": "This gateway answers on the loopback address only."}, 421)
                return await response(scope, receive, send)
        return await self._app(scope, receive, send)


def create_app(settings: Settings) -> Starlette:
    gatekeeper = Gatekeeper(settings)
    database = Database(settings)
    catalog = Catalog(database)
    hub = Hub()
    blobs = Blobs(settings.storage_folder)
    functions = FunctionsProxy(gatekeeper, settings)
    listener = Listener(settings.admin_dsn, database, hub, catalog)

    async def health(_request: Request) -> Response:
        async with database.as_admin() as connection:
            await one(connection, "select 1 as ok")
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with database.opened(), functions.client:
            await catalog.schema()
            await _remove_orphans(database, blobs)
            listening = asyncio.create_task(listener.run())
            yield
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    buckets = Buckets(gatekeeper, database, blobs)
    storage = Storage(gatekeeper, database, settings, blobs)
    return Starlette(
        routes=[
            Route("/health", health, methods=["GET"]),
            Mount("/rest/v1", routes=Rest(gatekeeper, database, catalog, settings.max_rows).routes()),
            Mount("/auth/v1", routes=Auth(gatekeeper, database, settings).routes()),
            Mount("/storage/v1", routes=[*buckets.routes(), *storage.routes()]),
            Mount("/realtime/v1", routes=Realtime(gatekeeper, database, hub).routes()),
            Mount("/functions/v1", routes=functions.routes()),
        ],
        middleware=[
            Middleware(OwnHostOnly),
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=_EXPOSED,
                max_age=3600,
            ),
        ],
        exception_handlers={
            ApiError: _api_error,
            psycopg.Error: _database_error,
            HTTPException: _http_error,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )


async def _remove_orphans(database: Database, blobs: Blobs) -> None:
    """Bytes without a row: an upload whose process died before the row was written."""
    on_disk = blobs.versions()
    if not on_disk:
        return
    async with database.as_admin() as connection:
        rows = await many(connection, "select version from storage.objects where version = any ($1)", (list(on_disk),))
    for version in on_disk - {row["version"] for row in rows}:
        with contextlib.suppress(ValueError):  # not one of ours
            blobs.remove(version)


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _database_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, psycopg.Error)
    answer = from_database(error, anonymous=False)
    if answer.status >= 500:
        _LOG.error("a statement failed: %s %s", error.sqlstate, error)
    return answer.response()


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        {"message": error.detail, "error": error.detail, "code": str(error.status_code)}, error.status_code
    )


async def _unexpected(_request: Request, error: Exception) -> Response:
    _LOG.exception("unexpected failure", exc_info=error)
    return JSONResponse({"message": "Internal error: see gateway.log", "code": "500"}, 500)
