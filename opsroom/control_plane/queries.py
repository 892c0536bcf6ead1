"""Reads of tables through PostgREST: which rows and columns. Columns are named one by one: `runs.claim_token` may not
be selected.
"""

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from postgrest import AsyncPostgrestClient

from opsroom.control_plane.models import Member, Run, Worker
from opsroom.domain.errors import InvalidArgument
from opsroom.domain.lifecycle import Lane, RunStatus

Rows = list[Any]
Query = Callable[[AsyncPostgrestClient], Awaitable[Rows]]

SHORT_ID_LENGTH: Final = 6
"""The fewest hexadecimal digits of a run id that are taken as a short id."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list; what is None or empty does not restrict. `queued_before` is the cursor to older pages."""

    id_prefix: str | None = None
    session_id: str | None = None
    statuses: Collection[RunStatus] = ()
    template: str | None = None
    lane: Lane | None = None
    root_run_id: str | None = None
    queued_before: dt.datetime | None = None
    limit: int = 50


def select_runs(wanted: RunFilter) -> Query:
    """Runs that match, newest first."""

    async def query(api: AsyncPostgrestClient) -> Rows:
        select = api.from_("runs").select(",".join(Run.model_fields))
        if wanted.id_prefix:
            low, high = id_range(wanted.id_prefix)
            select = select.gte("id", low).lte("id", high)
        if wanted.session_id:
            select = select.eq("session_id", wanted.session_id)
        if wanted.statuses:
            select = select.in_("status", list(wanted.statuses))
        if wanted.template:
            select = select.eq("template_slug", wanted.template)
        if wanted.lane:
            select = select.eq("lane", wanted.lane)
        if wanted.root_run_id:
            select = select.eq("root_run_id", wanted.root_run_id)
        if wanted.queued_before:
            select = select.lt("queued_at", wanted.queued_before.isoformat())
        return (await select.order("queued_at", desc=True).order("id").limit(wanted.limit).execute()).data

    return query


def id_range(prefix: str) -> tuple[str, str]:
    """The lowest and the highest UUID that begin with `prefix` (hexadecimal, hyphens allowed): uuid has no LIKE, but an
    order.
    """
    digits = prefix.replace("-", "").lower()
    if not SHORT_ID_LENGTH <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
        raise InvalidArgument(
            f"{prefix!r} is no run id.",
            hint=f"Give the whole id, or at least its first {SHORT_ID_LENGTH} hexadecimal digits; see `opsroom runs`.",
        )
    return str(uuid.UUID(digits.ljust(32, "0"))), str(uuid.UUID(digits.ljust(32, "f")))


def select_workers() -> Query:
    """Workers that have not stopped."""

    async def query(api: AsyncPostgrestClient) -> Rows:
        select = api.from_("workers").select(",".join(Worker.model_fields)).is_("stopped_at", "null")
        return (await select.order("last_seen_at", desc=True).limit(200).execute()).data

    return query


def select_members() -> Query:
    """The people of the room."""

    async def query(api: AsyncPostgrestClient) -> Rows:
        return (
            await api.from_("members").select(",".join(Member.model_fields)).order("email").limit(1000).execute()
        ).data

    return query


def select_template(slug: str, version: int | None) -> Query:
    """The newest version of a template, or the one asked for; at most one row."""

    async def query(api: AsyncPostgrestClient) -> Rows:
        select = api.from_("template_versions").select("slug,version,digest,spec,created_at,run_templates(enabled)")
        select = select.eq("slug", slug)
        if version is not None:
            select = select.eq("version", version)
        found: Rows = (await select.order("version", desc=True).limit(1).execute()).data
        return [{**row, **row["run_templates"]} for row in found]

    return query
