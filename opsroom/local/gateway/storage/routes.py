"""/storage/v1/object: upload, download, sign, list, move and remove objects."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import jwt
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from opsroom.local.gateway.body import read_object
from opsroom.local.gateway.database import Database, Row, one
from opsroom.local.gateway.errors import StorageError
from opsroom.local.gateway.identity import Caller, Gatekeeper
from opsroom.local.gateway.settings import Settings
from opsroom.local.gateway.storage import objects
from opsroom.local.gateway.storage.blobs import Blobs
from opsroom.local.gateway.storage.buckets import stamp
from opsroom.local.gateway.storage.names import checked_bucket_name, checked_object_name
from opsroom.local.gateway.storage.upload import Upload, receive

# Served inline, these could run script in the API's origin.
_ACTIVE_TYPES = ("text/html", "application/xhtml+xml", "image/svg+xml", "application/xml", "text/xml")
_MAX_SIGNED_SECONDS = 10 * 365 * 86400


class Storage:
    def __init__(self, gatekeeper: Gatekeeper, database: Database, settings: Settings, blobs: Blobs) -> None:
        self._gatekeeper = gatekeeper
        self._database = database
        self._settings = settings
        self._blobs = blobs

    def routes(self) -> list[Route]:
        read = ["GET", "HEAD"]
        return [
            Route("/object/sign/{bucket}", self.sign_many, methods=["POST"]),
            Route("/object/sign/{bucket}/{name:path}", self.sign, methods=["POST"]),
            Route("/object/sign/{bucket}/{name:path}", self.download_signed, methods=read),
            Route("/object/list/{bucket}", self.list, methods=["POST"]),
            Route("/object/info/authenticated/{bucket}/{name:path}", self.info, methods=["GET"]),
            Route("/object/info/{bucket}/{name:path}", self.info, methods=["GET"]),
            Route("/object/public/{bucket}/{name:path}", self.download_public, methods=read),
            Route("/object/authenticated/{bucket}/{name:path}", self.download, methods=read),
            Route("/object/move", self.move, methods=["POST"]),
            Route("/object/copy", self.copy, methods=["POST"]),
            Route("/object/{bucket}", self.remove_many, methods=["DELETE"]),
            Route("/object/{bucket}/{name:path}", self.download, methods=read),
            Route("/object/{bucket}/{name:path}", self.upload, methods=["POST", "PUT"]),
            Route("/object/{bucket}/{name:path}", self.remove, methods=["DELETE"]),
        ]

    async def upload(self, request: Request) -> Response:
        caller, bucket, name = self._addressed(request)
        replace = request.method == "PUT"
        upsert = replace or request.headers.get("x-upsert", "").lower() == "true"
        limit, kinds = await objects.limits_of(self._database, bucket)
        if replace:
            await objects.find(self._database, caller, bucket, name)
        await objects.may_write(self._database, caller, bucket, name, upsert=upsert)
        upload = await receive(request, self._blobs, limit)
        try:
            if kinds is not None and not _allowed(upload.media_type, kinds):
                raise StorageError(415, "invalid_mime_type", f"mime type {upload.media_type} is not supported")
            row_id, replaced = await objects.put(self._database, caller, bucket, name, upload, upsert=upsert)
        except BaseException:
            self._blobs.remove(upload.blob.version)
            raise
        self._blobs.remove(replaced)
        return JSONResponse({"Id": row_id, "Key": f"{bucket}/{name}"})

    async def download(self, request: Request) -> Response:
        caller, bucket, name = self._addressed(request)
        return self._file(request, await objects.find(self._database, caller, bucket, name))

    async def download_public(self, request: Request) -> Response:
        bucket, name = _address(request)
        async with self._database.as_admin() as connection:
            row = await one(
                connection,
                "select o.* from storage.objects o join storage.buckets b on b.id = o.bucket_id "
                "where b.public and b.id = $1 and o.name = $2 and o.version is not null",
                (bucket, name),
            )
        if row is None:
            raise StorageError(404, "not_found", "Object not found")
        return self._file(request, row)

    async def download_signed(self, request: Request) -> Response:
        bucket, name = _address(request)
        try:
            claims = jwt.decode(
                request.query_params.get("token", ""),
                self._settings.jwt_secret,
                algorithms=["HS256"],
                audience="storage",
                options={"require": ["exp", "url"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise StorageError(400, "InvalidJWT", '"exp" claim timestamp check failed') from error
        except jwt.InvalidTokenError as error:
            raise StorageError(400, "InvalidJWT", str(error)) from error
        if claims["url"] != f"{bucket}/{name}":
            raise StorageError(400, "InvalidSignature", "The url do not match the signature")
        signer = Caller("service_role", {"role": "service_role"})
        return self._file(request, await objects.find(self._database, signer, bucket, name))

    async def sign(self, request: Request) -> Response:
        caller, bucket, name = self._addressed(request)
        expires = _expires_in(await read_object(request))
        await objects.find(self._database, caller, bucket, name)
        return JSONResponse({"signedURL": self._signed(bucket, name, expires)})

    async def sign_many(self, request: Request) -> Response:
        caller = self._caller(request)
        bucket = checked_bucket_name(request.path_params["bucket"])
        body = await read_object(request)
        expires = _expires_in(body)
        answers: list[dict[str, Any]] = []
        for name in _names(body, "paths"):
            try:
                await objects.find(self._database, caller, bucket, checked_object_name(name))
                answers.append({"path": name, "error": None, "signedURL": self._signed(bucket, name, expires)})
            except StorageError:
                message = "Either the object does not exist or you do not have access to it"
                answers.append({"path": name, "error": message, "signedURL": None})
        return JSONResponse(answers)

    def _signed(self, bucket: str, name: str, expires_in: int) -> str:
        now = int(time.time())
        # An audience of its own: such a token must never pass for a person's.
        claims = {"url": f"{bucket}/{name}", "aud": "storage", "role": "storage", "iat": now, "exp": now + expires_in}
        token = jwt.encode(claims, self._settings.jwt_secret, algorithm="HS256")
        return f"/object/sign/{quote(bucket)}/{quote(name)}?token={token}"

    async def info(self, request: Request) -> Response:
        caller, bucket, name = self._addressed(request)
        row = await objects.find(self._database, caller, bucket, name)
        stored = row["metadata"] or {}
        return JSONResponse(
            {
                "id": str(row["id"]),
                "name": row["name"],
                "version": row["version"],
                "bucket_id": bucket,
                "size": stored.get("size"),
                "content_type": stored.get("mimetype"),
                "cache_control": stored.get("cacheControl"),
                "etag": stored.get("eTag"),
                "metadata": row["user_metadata"],
                "last_modified": stamp(row["updated_at"]),
                "created_at": stamp(row["created_at"]),
            }
        )

    async def list(self, request: Request) -> Response:
        caller = self._caller(request)
        bucket = checked_bucket_name(request.path_params["bucket"])
        rows = await objects.list_folder(self._database, caller, bucket, await read_object(request))
        return JSONResponse([_listed(row) for row in rows])

    async def remove(self, request: Request) -> Response:
        caller, bucket, name = self._addressed(request)
        if not await self._removed(caller, bucket, [name]):
            raise StorageError(404, "not_found", "Object not found")
        return JSONResponse({"message": "Successfully deleted"})

    async def remove_many(self, request: Request) -> Response:
        caller = self._caller(request)
        bucket = checked_bucket_name(request.path_params["bucket"])
        names = [checked_object_name(name) for name in _names(await read_object(request), "prefixes")]
        rows = await self._removed(caller, bucket, names)
        return JSONResponse([{**_listed(row), "bucket_id": bucket, "version": row["version"]} for row in rows])

    async def _removed(self, caller: Caller, bucket: str, names: list[str]) -> list[Row]:
        rows = await objects.remove(self._database, caller, bucket, names)
        for row in rows:
            self._blobs.remove(row["version"])
        return rows

    async def move(self, request: Request) -> Response:
        caller = self._caller(request)
        source, target = _source_and_target(await read_object(request))
        await objects.move(self._database, caller, source, target)
        return JSONResponse({"message": "Successfully moved"})

    async def copy(self, request: Request) -> Response:
        caller = self._caller(request)
        source, target = _source_and_target(await read_object(request))
        row = await objects.find(self._database, caller, *source)
        stored = row["metadata"] or {}
        await objects.may_write(self._database, caller, *target, upsert=False)
        blob = await self._blobs.copy(row["version"])
        upload = Upload(blob, stored.get("mimetype", ""), stored.get("cacheControl", ""), row["user_metadata"])
        try:
            await objects.put(self._database, caller, *target, upload, upsert=False)
        except BaseException:
            self._blobs.remove(blob.version)
            raise
        return JSONResponse({"Key": "/".join(target)})

    def _file(self, request: Request, row: Row) -> Response:
        stored = row["metadata"] or {}
        path = self._blobs.path(row["version"])
        if not path.exists():
            raise StorageError(404, "NoSuchKey", "The object's bytes are missing from .opsroom/storage")
        kind = stored.get("mimetype") or "application/octet-stream"
        headers = {
            "etag": stored.get("eTag", ""),
            "cache-control": stored.get("cacheControl", "no-cache"),
            "x-content-type-options": "nosniff",
            "content-security-policy": "sandbox",
        }
        name = request.query_params.get("download")
        active = kind.partition(";")[0].strip().lower() in _ACTIVE_TYPES
        if name is None and not active:
            return FileResponse(path, headers=headers, media_type=kind)
        filename = name or row["name"].rsplit("/", 1)[-1]
        return FileResponse(
            path, headers=headers, media_type=kind, filename=filename, content_disposition_type="attachment"
        )

    def _caller(self, request: Request) -> Caller:
        return self._gatekeeper.caller_of(request.headers, request.query_params)

    def _addressed(self, request: Request) -> tuple[Caller, str, str]:
        return self._caller(request), *_address(request)


def _address(request: Request) -> tuple[str, str]:
    return checked_bucket_name(request.path_params["bucket"]), checked_object_name(request.path_params["name"])


def _allowed(kind: str, allowed: list[str]) -> bool:
    plain = kind.partition(";")[0].strip().lower()
    return any(plain == item or (item.endswith("/*") and plain.startswith(item[:-1])) for item in allowed)


def _expires_in(body: dict[str, Any]) -> int:
    text = str(body.get("expiresIn"))  # supabase-py sends it as a string
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:12]) <= _MAX_SIGNED_SECONDS:
        raise StorageError(400, "invalid_request", "expiresIn must be a number of seconds above 0")
    return int(text)


def _names(body: dict[str, Any], field: str) -> list[Any]:
    names = body.get(field)
    if not isinstance(names, list) or len(names) > 1000:
        raise StorageError(400, "invalid_request", f"{field} must be a list of at most 1000 names")
    return names


def _source_and_target(body: dict[str, Any]) -> tuple[tuple[str, str], tuple[str, str]]:
    bucket = checked_bucket_name(body.get("bucketId"))
    target_bucket = checked_bucket_name(body.get("destinationBucket") or bucket)
    return (
        (bucket, checked_object_name(body.get("sourceKey"))),
        (target_bucket, checked_object_name(body.get("destinationKey"))),
    )


def _listed(row: Row) -> dict[str, Any]:
    return {
        "name": row["name"],
        "id": str(row["id"]) if row["id"] else None,
        "updated_at": stamp(row["updated_at"]) if row["id"] else None,
        "created_at": stamp(row["created_at"]) if row["id"] else None,
        "last_accessed_at": stamp(row["last_accessed_at"]) if row["id"] else None,
        "metadata": row["metadata"],
    }
