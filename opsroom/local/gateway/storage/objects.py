"""The rows of storage.buckets and storage.objects, always read and written under the caller's role."""

# ruff: noqa: S608  names go through `identifier` or a fixed list, values are bound parameters
from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection

from opsroom.local.gateway.database import Database, Row, many, one
from opsroom.local.gateway.errors import StorageError
from opsroom.local.gateway.identity import Caller
from opsroom.local.gateway.settings import MAX_OBJECT_BYTES
from opsroom.local.gateway.storage.upload import Upload


@contextmanager
def told_as_storage() -> Iterator[None]:
    """Database errors in Storage's own words."""
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        raise StorageError(409, "Duplicate", "The resource already exists") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise StorageError(403, "Unauthorized", error.diag.message_primary or "permission denied") from error
    except psycopg.errors.ForeignKeyViolation as error:
        raise StorageError(404, "Bucket not found", "Bucket not found") from error
    except psycopg.errors.DataError as error:
        raise StorageError(400, "invalid_request", error.diag.message_primary or "invalid input") from error


@asynccontextmanager
async def as_caller(database: Database, caller: Caller) -> AsyncIterator[AsyncConnection[Row]]:
    """The caller's transaction."""
    with told_as_storage():
        async with database.as_caller(caller) as connection:
            # Direct deletes are refused by a trigger; these are ours, and the bytes go with them.
            await connection.execute("select set_config('storage.allow_delete_query', 'true', true)")
            yield connection


class TrialDone(Exception):
    """Ends a transaction that was only a question."""


async def may_write(database: Database, caller: Caller, bucket: str, name: str, *, upsert: bool) -> None:
    """Ask the policies before a body is received: insert the row as the caller, and undo it."""
    try:
        async with as_caller(database, caller) as connection:
            await _put(connection, caller, bucket, name, None, {}, None, upsert=upsert)
            await one(connection, "select 1 as sync")  # the answer to the insert has arrived
            raise TrialDone
    except TrialDone:
        return


async def put(
    database: Database, caller: Caller, bucket: str, name: str, upload: Upload, *, upsert: bool
) -> tuple[str, str | None]:
    """Write the row of an object that `may_write` has allowed. Gives its id, and the version it replaces, if any.

    As in Supabase Storage the caller's policies decide before the upload, and the service itself completes it: a policy
    to insert is enough to upload, none to read is needed.
    """
    blob = upload.blob
    metadata = {
        "eTag": f'"{blob.md5}"',
        "size": blob.size,
        "mimetype": upload.media_type,
        "cacheControl": upload.cache_control,
        "lastModified": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "contentLength": blob.size,
        "httpStatusCode": 200,
    }
    with told_as_storage():
        async with database.as_admin() as connection:
            old = await one(
                connection,
                "select version from storage.objects where bucket_id = $1 and name = $2 for update",
                (bucket, name),
            )
            await _put(connection, caller, bucket, name, blob.version, metadata, upload.user_metadata, upsert=upsert)
            row = await one(
                connection, "select id from storage.objects where bucket_id = $1 and name = $2", (bucket, name)
            )
            assert row is not None
    return str(row["id"]), old["version"] if old else None


async def _put(  # noqa: PLR0917
    connection: AsyncConnection[Row],
    caller: Caller,
    bucket: str,
    name: str,
    version: str | None,
    metadata: dict[str, Any],
    user_metadata: dict[str, Any] | None,
    *,
    upsert: bool,
) -> None:
    conflict = (
        "on conflict (bucket_id, name) do update set version = excluded.version, metadata = excluded.metadata, "
        "user_metadata = excluded.user_metadata, owner = excluded.owner, owner_id = excluded.owner_id, "
        "updated_at = now() "
        if upsert
        else ""
    )
    await connection.execute(
        "insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata) values "
        f"($1, $2, $3::uuid, $4, $5, $6::jsonb, $7::jsonb) {conflict}",
        (
            bucket,
            name,
            caller.user_id,
            caller.user_id,
            version,
            json.dumps(metadata),
            json.dumps(user_metadata) if user_metadata is not None else None,
        ),
    )


async def find(database: Database, caller: Caller, bucket: str, name: str) -> Row:
    """The object's row as the caller may see it, else 404."""
    async with as_caller(database, caller) as connection:
        row = await one(connection, "select * from storage.objects where bucket_id = $1 and name = $2", (bucket, name))
    if row is None or row["version"] is None:
        raise StorageError(404, "not_found", "Object not found")
    return row


async def remove(database: Database, caller: Caller, bucket: str, names: list[str]) -> list[Row]:
    async with as_caller(database, caller) as connection:
        return await many(
            connection,
            "delete from storage.objects where bucket_id = $1 and name = any ($2) returning *",
            (bucket, names),
        )


async def move(database: Database, caller: Caller, source: tuple[str, str], target: tuple[str, str]) -> Row:
    async with as_caller(database, caller) as connection:
        row = await one(
            connection,
            "update storage.objects set bucket_id = $3, name = $4, updated_at = now() "
            "where bucket_id = $1 and name = $2 returning id, name",
            (*source, *target),
        )
    if row is None:
        raise StorageError(404, "not_found", "Object not found")
    return row


_LIST = """
select case when position('/' in rest) > 0 then split_part(rest, '/', 1) else rest end as name,
       position('/' in rest) > 0 as folder, id, metadata, created_at, updated_at, last_accessed_at
from (select substr(name, length($2) + 1) as rest, * from storage.objects
      where bucket_id = $1 and starts_with(name, $2) and version is not null) found
"""
_SORTABLE = frozenset(("name", "created_at", "updated_at", "last_accessed_at"))


async def list_folder(database: Database, caller: Caller, bucket: str, options: dict[str, Any]) -> list[Row]:
    """One level of a bucket: folders first come from names with a slash, objects have an id."""
    prefix = str(options.get("prefix") or "").strip("/")
    prefix = f"{prefix}/" if prefix else ""
    given = options.get("sortBy")
    sort: dict[str, Any] = given if isinstance(given, dict) else {}
    column = sort.get("column", "name") if sort.get("column", "name") in _SORTABLE else "name"
    direction = "desc" if str(sort.get("order", "asc")).lower() == "desc" else "asc"
    limit, offset = _number(options.get("limit"), 100), _number(options.get("offset"), 0)
    search = str(options.get("search") or "")
    query = (
        "select name, case when bool_or(folder) then null else min(id::text) end as id, "
        "case when bool_or(folder) then null else (array_agg(metadata))[1] end as metadata, "
        "min(created_at) as created_at, max(updated_at) as updated_at, max(last_accessed_at) as last_accessed_at "
        f"from ({_LIST}) listed where starts_with(lower(name), lower($3)) group by name "
        f"order by {column} {direction}, name limit $4 offset $5"
    )
    async with as_caller(database, caller) as connection:
        return await many(connection, query, (bucket, prefix, search, min(limit, 10000), offset))


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 31 else default


async def limits_of(database: Database, bucket: str) -> tuple[int, list[str] | None]:
    """A bucket's own limits; they hold whether or not the caller may see the bucket."""
    async with database.as_admin() as connection:
        row = await one(
            connection, "select file_size_limit, allowed_mime_types from storage.buckets where id = $1", (bucket,)
        )
    if row is None:
        raise StorageError(404, "Bucket not found", "Bucket not found")
    return min(row["file_size_limit"] or MAX_OBJECT_BYTES, MAX_OBJECT_BYTES), row["allowed_mime_types"]
