"""A run's log as a file: plain text as the page shows it, or JSON Lines with every event as it is on record."""

import re
from collections.abc import AsyncIterator, Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import EventPage, RunEvent
from opsroom.domain.errors import OpsRoomError
from opsroom.room.log_stream import lines
from opsroom.room.sign_ins import COOKIE, require

PAGE: Final = 2000
TYPES: Final = {"txt": "text/plain; charset=utf-8", "jsonl": "application/jsonl"}


async def log_file(request: Request) -> Response:
    """The log up to now, streamed page by page; `form` in the path is txt or jsonl."""
    room = require(request.cookies.get(COOKIE)).control_plane
    run_id, form = request.path_params["run_id"], request.path_params["form"]
    if form not in TYPES:
        return PlainTextResponse("A log comes as txt or jsonl.", status_code=404)
    detail = await room.read_run(run_id)
    first = await room.read_events(run_id, after=0, limit=PAGE)
    name = re.sub(r"[^\w.\-]+", "-", detail.run.title, flags=re.ASCII).strip("-.")[:60] or "run"
    return StreamingResponse(
        _pages(room, run_id, first, form),
        media_type=TYPES[form],
        headers={
            "content-disposition": f'attachment; filename="{name}-{run_id[:8]}.{form}"',
            "content-security-policy": "sandbox; default-src 'none'",
            "cache-control": "private, no-store",
        },
    )


async def _pages(room: ControlPlane, run_id: str, page: EventPage, form: str) -> AsyncIterator[str]:
    """All events up to the last one that there was at first. Raises what reading raises, so that a file that is not
    complete breaks off and does not look whole.
    """
    last, cursor = page.last_seq, 0
    while page.events:
        cursor = page.events[-1].seq
        yield "".join(_json_lines(page.events) if form == "jsonl" else _text_lines(page.events))
        if cursor >= last:
            return
        page = await room.read_events(run_id, after=cursor, limit=PAGE)
    if cursor < last:
        raise OpsRoomError(f"The log of run {run_id} ended at event {cursor} of {last}.")


def _json_lines(events: Iterable[RunEvent]) -> Iterable[str]:
    for event in events:
        yield event.model_dump_json(exclude={"run_id"}) + "\n"


def _text_lines(events: Iterable[RunEvent]) -> Iterable[str]:
    for line in lines(events):
        mark = "" if line["l"] == "info" else f" {line['l'].upper()}"
        step = f" [{line['s']}]" if line["s"] else ""
        yield f"{line['t']}{mark}{step} {line['m']}\n"
