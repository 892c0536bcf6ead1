"""Reads of tables through PostgREST: which rows and columns."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from postgrest import AsyncPostgrestClient

from opsroom.control_plane.models import Member, Run, SessionRef, Worker

Rows = list[Any]
Query = Callable[[AsyncPostgrestClient], Awaitable[Rows]]


def select_workers() -> Query:
    """Workers that have not stopped."""

    async def query(api: AsyncPostgrestClient) -> Rows:
        select = api.from_("workers").select(",".join(Worker.model_fields)).is_("stopped_at", "null")
        return (await select.order("last_seen_at", desc=True).limit(200).execute()).data

    return query


RUN_COLUMNS: Final = tuple(name for name in Run.model_fields if name != "replay_verdict")
"""A verdict is no column of a run: the read model looks it up."""


def select_ended_runs(person: str, limit: int) -> Query:
    """Runs that a person launched and that have ended, the latest first."""

    async def query(api: AsyncPostgrestClient) -> Rows:
        select = api.from_("runs").select(",".join(RUN_COLUMNS)).eq("created_by", person)
        select = select.not_.is_("finished_at", "null")
        return (await select.order("finished_at", desc=True).limit(limit).execute()).data

    return query


def select_members() -> Query:
    """The people of the room."""

    async def query(api: AsyncPostgrestClient) -> Rows:
        return (
            await api.from_("members").select(",".join(Member.model_fields)).order("email").limit(1000).execute()
        ).data

    return query


def select_sessions() -> Query:
    """The newest 200 sessions by name: a session's counts, which `list_sessions` gives, take long where there are many
    runs.
    """

    async def query(api: AsyncPostgrestClient) -> Rows:
        select = api.from_("sessions").select(",".join(SessionRef.model_fields))
        return (await select.order("created_at", desc=True).limit(200).execute()).data

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
