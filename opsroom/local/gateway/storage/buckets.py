"""/storage/v1/bucket: buckets, read and written under the caller's role."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opsroom.local.gateway.body import read_object
from opsroom.local.gateway.database import Database, Row, many, one
from opsroom.local.gateway.errors import StorageError
from opsroom.local.gateway.identity import Gatekeeper
from opsroom.local.gateway.storage import objects
from opsroom.local.gateway.storage.blobs import Blobs
from opsroom.local.gateway.storage.names import checked_bucket_name

_SIZE = re.compile(r"^(\d{1,12})\s*(b|kb|mb|gb)?$", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}


class Buckets:
    def __init__(self, gatekeeper: Gatekeeper, database: Database, blobs: Blobs) -> None:
        self._gatekeeper = gatekeeper
        self._database = database
        self._blobs = blobs

    def routes(self) -> list[Route]:
        return [
            Route("/bucket", self.list, methods=["GET"]),
            Route("/bucket", self.create, methods=["POST"]),
            Route("/bucket/{id}", self.read, methods=["GET"]),
            Route("/bucket/{id}", self.change, methods=["PUT"]),
            Route("/bucket/{id}", self.delete, methods=["DELETE"]),
            Route("/bucket/{id}/empty", self.empty, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        caller = self._gatekeeper.caller_of(request.headers, request.query_params)
        async with objects.as_caller(self._database, caller) as connection:
            rows = await many(connection, "select * from storage.buckets order by name")
        return JSONResponse([_bucket_json(row) for row in rows])

    async def create(self, request: Request) -> Response:
        caller = self._gatekeeper.caller_of(request.headers, request.query_params)
        body = await read_object(request)
        name = checked_bucket_name(body.get("id") or body.get("name"))
        async with objects.as_caller(self._database, caller) as connection:
            await connection.execute(
                "insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types) "
                "values ($1, $1, $2::uuid, $3, $4, $5, $6)",
                (name, caller.user_id, caller.user_id, *_options(body)),
            )
        return JSONResponse({"name": name})

    async def read(self, request: Request) -> Response:
        return JSONResponse(_bucket_json(await self._find(request)))

    async def change(self, request: Request) -> Response:
        caller = self._gatekeeper.caller_of(request.headers, request.query_params)
        bucket = await self._find(request)
        body = await read_object(request)
        async with objects.as_caller(self._database, caller) as connection:
            row = await one(
                connection,
                "update storage.buckets set public = $2, file_size_limit = $3, allowed_mime_types = $4, "
                "updated_at = now() where id = $1 returning id",
                (bucket["id"], *_options({**bucket, **body})),
            )
        if row is None:
            raise StorageError(403, "Unauthorized", "new row violates row-level security policy")
        return JSONResponse({"message": "Successfully updated"})

    async def delete(self, request: Request) -> Response:
        caller = self._gatekeeper.caller_of(request.headers, request.query_params)
        bucket = await self._find(request)
        async with self._database.as_admin() as connection:
            used = await one(
                connection, "select 1 as yes from storage.objects where bucket_id = $1 limit 1", (bucket["id"],)
            )
        if used:
            raise StorageError(409, "InvalidRequest", "The bucket you tried to delete is not empty")
        async with objects.as_caller(self._database, caller) as connection:
            row = await one(connection, "delete from storage.buckets where id = $1 returning id", (bucket["id"],))
        if row is None:
            raise StorageError(403, "Unauthorized", "new row violates row-level security policy")
        return JSONResponse({"message": "Successfully deleted"})

    async def empty(self, request: Request) -> Response:
        caller = self._gatekeeper.caller_of(request.headers, request.query_params)
        bucket = await self._find(request)
        async with objects.as_caller(self._database, caller) as connection:
            rows = await many(
                connection, "delete from storage.objects where bucket_id = $1 returning version", (bucket["id"],)
            )
        for row in rows:
            self._blobs.remove(row["version"])
        return JSONResponse({"message": "Successfully emptied"})

    async def _find(self, request: Request) -> Row:
        caller = self._gatekeeper.caller_of(request.headers, request.query_params)
        name = checked_bucket_name(request.path_params["id"])
        async with objects.as_caller(self._database, caller) as connection:
            row = await one(connection, "select * from storage.buckets where id = $1", (name,))
        if row is None:
            raise StorageError(404, "Bucket not found", "Bucket not found")
        return row


def _options(body: dict[str, Any]) -> tuple[bool, int | None, list[str] | None]:
    kinds = body.get("allowed_mime_types")
    if kinds is not None and not (isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds)):
        raise StorageError(400, "invalid_request", "allowed_mime_types must be a list of media types")
    return bool(body.get("public")), _bytes(body.get("file_size_limit")), kinds


def _bytes(value: Any) -> int | None:
    if value is None:
        return None
    match = _SIZE.match(str(value).strip())
    if match is None:
        raise StorageError(400, "invalid_request", "file_size_limit must be a number of bytes, or for instance 50MB")
    return int(match[1]) * _UNITS[(match[2] or "b").lower()]


def _bucket_json(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "owner": row["owner_id"] or "",
        "public": row["public"],
        "type": "STANDARD",
        "file_size_limit": row["file_size_limit"],
        "allowed_mime_types": row["allowed_mime_types"],
        "created_at": stamp(row["created_at"]),
        "updated_at": stamp(row["updated_at"]),
    }


def stamp(value: Any) -> str | None:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else None
