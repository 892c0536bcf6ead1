"""Searching all runs: the filter, pages of what it finds, and the same command for many runs at once."""

import asyncio
import datetime as dt
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import Field

from opsroom.control_plane.commands import Commands, as_uuid
from opsroom.control_plane.models import Card, Row, Run, SessionRef
from opsroom.control_plane.queries import select_sessions
from opsroom.domain.errors import InvalidArgument, OpsRoomError
from opsroom.domain.lifecycle import Lane, RunStatus

SHORT_ID_LENGTH: Final = 6
"""The fewest hexadecimal digits of a run id that are taken as a short id."""

PAGE_LIMIT: Final = 500
"""Runs that one call answers with at most."""

AT_ONCE_LIMIT: Final = 100
"""Runs that one bulk command takes at most."""

_TOGETHER: Final = 8
"""Calls of a bulk command that are under way at the same time."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list; what is None or empty does not restrict. `text` is looked for in titles and params, `before`
    is a page's `next`: the cursor to what is older.
    """

    id_prefix: str | None = None
    session_id: str | None = None
    statuses: Collection[RunStatus] = ()
    template: str | None = None
    lane: Lane | None = None
    person: str | None = None
    text: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    dead_letters: bool = False
    before: str | None = None
    limit: int = 50

    def as_json(self) -> dict[str, Any]:
        """The filter as the database takes it. Raises InvalidArgument for an id that is none."""
        wanted = {
            "id": _digits(self.id_prefix) if self.id_prefix else None,
            "session": as_uuid(self.session_id, "session") if self.session_id else None,
            "status": list(self.statuses) or None,
            "template": self.template or None,
            "lane": self.lane or None,
            "person": as_uuid(self.person, "person") if self.person else None,
            "text": self.text or None,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "dead_letters": self.dead_letters or None,
        }
        return {key: value for key, value in wanted.items() if value is not None}


class RunPage(Row):
    """Runs of a filter, newest first. `next` leads to older ones; None when there are none. `sessions` has the titles
    of the runs' sessions.

    A page that is not full and has a `next`: one call looks at a bounded number of runs, and this one looked back to
    `searched_to`.
    """

    runs: tuple[Card, ...] = ()
    sessions: Mapping[str, str] = Field(default_factory=dict)
    next: str | None = None
    searched_to: dt.datetime | None = None
    read_at: dt.datetime


class FreshRuns(Row):
    """Runs as they are now, and how many newer ones match a filter, counted up to 100."""

    runs: tuple[Card, ...] = ()
    newer: int = 0
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run of a bulk command: `run` as it is now (for a retry: the next attempt), or why not."""

    run_id: str
    run: Run | None = None
    error: OpsRoomError | None = None


class Search(Commands):
    """Queries over all runs, and what is done with what was found."""

    async def search_runs(self, wanted: RunFilter | None = None) -> RunPage:
        """One page, of one look at the database."""
        wanted = wanted or RunFilter()
        arguments = {
            "p_filter": wanted.as_json(),
            "p_before": wanted.before,
            "p_limit": min(wanted.limit, PAGE_LIMIT),
        }
        return RunPage.model_validate(await self._rest.rpc("search_runs", arguments))

    async def session_names(self) -> tuple[SessionRef, ...]:
        """The newest 200 sessions, open or archived, in short."""
        return tuple(SessionRef.model_validate(row) for row in await self._rest.send(select_sessions()))

    async def each_page(self, wanted: RunFilter) -> AsyncIterator[RunPage]:
        """Page after page until there is no more run, or `wanted.limit` runs were given."""
        left, before = wanted.limit, wanted.before
        while left > 0:
            page = await self.search_runs(replace(wanted, before=before, limit=min(left, PAGE_LIMIT)))
            yield page
            left, before = left - len(page.runs), page.next
            if before is None:
                return

    async def runs(self, wanted: RunFilter | None = None) -> tuple[Card, ...]:
        """Runs that match, newest first, however far back the search has to look."""
        return tuple([run async for page in self.each_page(wanted or RunFilter()) for run in page.runs])

    async def refresh_runs(self, run_ids: Sequence[str], wanted: RunFilter, after: str | None) -> FreshRuns:
        """What a page shows, again: `run_ids` as they are now, and how many matching runs are newer than `after`."""
        arguments = {"p_run_ids": list(run_ids), "p_filter": wanted.as_json(), "p_after": after}
        return FreshRuns.model_validate(await self._rest.rpc("refresh_runs", arguments))

    async def cancel_runs(self, run_ids: Sequence[str], reason: str | None = None) -> tuple[Outcome, ...]:
        """`cancel_run` for each, at most 100. One that is refused does not keep the others from it."""
        return await _each(run_ids, lambda run_id: self.cancel_run(run_id, reason))

    async def retry_runs(self, run_ids: Sequence[str]) -> tuple[Outcome, ...]:
        """`retry_run` for each, at most 100. One that is refused does not keep the others from it."""
        return await _each(run_ids, self.retry_run)


async def _each(run_ids: Sequence[str], command: Callable[[str], Awaitable[Run]]) -> tuple[Outcome, ...]:
    if len(run_ids) > AT_ONCE_LIMIT:
        raise InvalidArgument(f"{len(run_ids)} runs are too many at once.", hint=f"Choose at most {AT_ONCE_LIMIT}.")
    slots = asyncio.Semaphore(_TOGETHER)

    async def one(run_id: str) -> Outcome:
        async with slots:
            try:
                return Outcome(run_id, run=await command(run_id))
            except OpsRoomError as error:
                return Outcome(run_id, error=error)

    return tuple(await asyncio.gather(*map(one, dict.fromkeys(run_ids))))


def cursor_of(run: Run) -> str:
    """The cursor of a run: what is before and after it."""
    return f"{run.queued_at.isoformat()},{run.id}"


def past_moment(text: str) -> dt.datetime:
    """`2h` or `7d` ago, or an ISO 8601 moment; without an offset it is this machine's local time."""
    if ago := re.fullmatch(r"(\d{1,6})([smhd])", text):
        return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
    try:
        return dt.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise InvalidArgument(
            f"{text!r} is no moment.", hint="Write 2026-11-24T18:00:00+01:00, or a time ago: 30m, 2h, 7d."
        ) from None


def _digits(prefix: str) -> str:
    digits = prefix.replace("-", "").lower()
    if not SHORT_ID_LENGTH <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
        raise InvalidArgument(
            f"{prefix!r} is no run id.",
            hint=f"Give the whole id, or at least its first {SHORT_ID_LENGTH} hexadecimal digits; see `opsroom runs`.",
        )
    return digits
