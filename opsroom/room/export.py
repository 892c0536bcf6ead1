"""Runs as a file: `/api/runs/export.csv` and `.json`, with the filter of the page's address, read with the person's own
token and sent page by page.
"""

import datetime as dt
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from opsroom.control_plane.search import RunFilter, RunPage
from opsroom.domain.errors import InvalidArgument
from opsroom.domain.spreadsheet import line
from opsroom.room.run_query import run_filter
from opsroom.room.sign_ins import COOKIE, require

MOST: Final = 100_000
"""Runs in one file."""

COLUMNS: Final = (
    "id",
    "title",
    "status",
    "reason",
    "message",
    "template_slug",
    "template_version",
    "session_id",
    "lane",
    "created_by_name",
    "attempt",
    "dead_letter",
    "priority",
    "queued_at",
    "started_at",
    "finished_at",
    "worker_name",
    "params",
)


async def export(request: Request) -> Response:
    """The file. The first page is read before anything is sent, so that a refusal is told as one."""
    kind = request.path_params["kind"]
    if kind not in ("csv", "json"):
        raise InvalidArgument(f"There is no export as {kind!r}.", hint="Ask for export.csv or export.json.")
    wanted = replace(run_filter(request.query_params), limit=MOST)
    room = require(request.cookies.get(COOKIE)).control_plane
    pages = room.each_page(wanted)
    first = await anext(pages)
    lines = _csv if kind == "csv" else _json
    name = f"runs-{dt.datetime.now(dt.UTC):%Y-%m-%d-%H%M}.{kind}"
    return StreamingResponse(
        lines(first, pages, wanted),
        media_type="text/csv; charset=utf-8" if kind == "csv" else "application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )


async def _all(first: RunPage, pages: AsyncIterator[RunPage]) -> AsyncIterator[RunPage]:
    yield first
    async for page in pages:
        yield page


async def _csv(first: RunPage, pages: AsyncIterator[RunPage], wanted: RunFilter) -> AsyncIterator[str]:
    yield line(COLUMNS)
    last, count = first, 0
    async for last in _all(first, pages):
        count += len(last.runs)
        yield "".join(line(getattr(run, name) for name in COLUMNS) for run in last.runs)
    if last.next and count >= wanted.limit:
        yield line((f"There is more: these are the newest {count}. Narrow the filter.",))


async def _json(first: RunPage, pages: AsyncIterator[RunPage], wanted: RunFilter) -> AsyncIterator[str]:
    yield '{"filter": ' + json.dumps(wanted.as_json()) + ', "runs": [\n'
    last, count = first, 0
    async for last in _all(first, pages):
        for run in last.runs:
            yield (",\n" if count else "") + run.model_dump_json()
            count += 1
    yield f'\n], "count": {count}, "complete": {json.dumps(not last.next)}}}\n'
