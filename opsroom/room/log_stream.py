"""A run's log as server-sent events: read by cursor, woken by the run's doorbell."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from opsroom.control_plane.models import EventPage, RunEvent
from opsroom.domain.errors import OpsRoomError
from opsroom.room.present_keeping import day
from opsroom.room.sign_ins import SignIn

PAGE: Final = 1000

_EVENTS: Final = frozenset({"events"})
_SILENT: Final = frozenset({"metric"})
"""Event types that are measured, not read."""


async def log_stream(sign_in: SignIn, run_id: str, after: int) -> AsyncIterator[str]:
    """Batches of lines after event `after`, for as long as the run can write more.

    Messages: `lines` {"lines": [...], "last": seq}, with `last` as the id to go on from; `end` when the run is over
    and all is told; `refused` when the run may not be read.
    """
    cursor, told, over = after, False, False
    async with sign_in.control_plane.feed(f"run:{run_id}") as feed:
        async for ring in feed:
            if ring.cause == "changed" and ring.what == _EVENTS and ring.seq is not None and ring.seq <= cursor:
                continue  # a ring about the run itself may have melted into one about events that are told
            try:
                async for page in _pages(sign_in, run_id, cursor):
                    cursor, over = max((event.seq for event in page.events), default=cursor), page.terminal
                    if page.events or not told:
                        yield _message("lines", {"lines": list(lines(page.events)), "last": cursor}, cursor)
                        told = True
            except OpsRoomError as error:
                if error.status >= 500:
                    feed.failed(ring)
                    continue
                yield _message("refused", {"message": error.message})
                return
            if over:
                yield _message("end", {})
                return
            if ring.cause != "changed":
                yield ": still here\n\n"  # lets a closed browser be noticed


async def _pages(sign_in: SignIn, run_id: str, after: int) -> AsyncIterator[EventPage]:
    """The events after `after`, page by page; the next one is read while the last one is told."""
    read = sign_in.control_plane.read_events
    page = await read(run_id, after=after, limit=PAGE)
    while page.events and page.events[-1].seq < page.last_seq:
        following = asyncio.create_task(read(run_id, after=page.events[-1].seq, limit=PAGE))
        try:
            yield page
            page = await following
        finally:
            following.cancel()
    yield page


def lines(events: Iterable[RunEvent]) -> Iterable[dict[str, Any]]:
    """What the log shows of events: one entry per line of text. k: stdout, stderr or system; l: level; s: step; t:
    time.
    """
    expired = False
    for event in events:
        if event.type in _SILENT or (event.expired_at and expired):
            continue
        expired = event.expired_at is not None
        if event.expired_at:
            gone = f"The text of this log expired on {day(event.expired_at)}; the run's bundle has it."
            yield {"t": event.at.isoformat(), "s": event.step or "", "l": "info", "k": "system", "m": gone}
            continue
        kind = str(event.data.get("stream", "stdout")) if event.type == "output" else "system"
        common = {"t": event.at.isoformat(), "s": event.step or "", "l": event.level, "k": kind}
        text = event.message if event.type in ("output", "log") else _told(event)
        for line in (text.removesuffix("\n") or " ").split("\n"):
            yield {**common, "m": line}


def _told(event: RunEvent) -> str:
    """An event of the run itself, in a sentence."""
    data = event.data
    if event.message:
        return event.message
    if event.type == "step.finished":
        code = data.get("exit_code")
        return f"Step {data.get('status', 'finished')}" + (f" with exit code {code}" if code is not None else "")
    if event.type == "truncated":
        return f"Output over the limit: {data.get('bytes_dropped', 0)} bytes left out"
    if event.type == "artifact.added":
        return f"Artifact {data.get('name', '')} added"
    return event.type.replace("_", " ").replace(".", " ").capitalize()


def _message(event: str, data: dict[str, Any], cursor: int | None = None) -> str:
    head = f"id: {cursor}\n" if cursor is not None else ""
    return f"{head}event: {event}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"
