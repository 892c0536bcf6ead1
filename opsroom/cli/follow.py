"""A run's log, as it is and as it grows."""

import asyncio
import datetime as dt

import typer
from rich.text import Text

from opsroom.cli.output import STATUS_STYLES, console, print_json_line, short
from opsroom.cli.text import clean, say
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.control_plane.models import Run, RunEvent

PAGE = 500


async def print_log(room: ControlPlane, run_id: str, *, as_json: bool = False) -> None:
    """All events there are now."""
    await _print_from(room, run_id, 0, as_json=as_json)


async def follow(room: ControlPlane, run_id: str, *, as_json: bool = False) -> Run:
    """Print events as they come until the run has ended; gives the run as it ended.

    Survives the loss of the control plane: it says so, and reads on when that is back. Interrupted, it tells how to
    come back.
    """
    cursor, told = 0, False
    topic = f"run:{run_id}"
    try:
        async with room.feed(topic) as feed:
            async for ring in feed:
                try:
                    cursor, terminal = await _print_from(room, run_id, cursor, as_json=as_json)
                    if terminal:
                        return (await room.read_run(run_id)).run
                    told = False
                except ControlPlaneUnreachable as error:
                    feed.failed(ring)
                    if not told:
                        say(f"… {error.message} Trying again; the run goes on.", err=True)
                    told = True
    except asyncio.CancelledError:
        typer.echo(
            f"\nDetached; the run goes on. Come back with `opsroom logs {short(run_id)} -f`, "
            f"end it with `opsroom cancel {short(run_id)}`.",
            err=True,
        )
        raise
    raise AssertionError("a feed ends only by being closed")


async def _print_from(room: ControlPlane, run_id: str, cursor: int, *, as_json: bool) -> tuple[int, bool]:
    while True:
        page = await room.read_events(run_id, after=cursor, limit=PAGE)
        expired = False
        for event in page.events:
            if as_json:
                print_json_line(event)
            elif not (event.expired_at and expired):
                _print_event(event)
            expired = event.expired_at is not None
            cursor = event.seq
        if not page.events or cursor >= page.last_seq:
            return cursor, page.terminal


def _print_event(event: RunEvent) -> None:
    when = Text(_clock(event.at), style="bright_black")
    if event.expired_at:
        gone = f"The text of this log expired on {event.expired_at:%Y-%m-%d}; `opsroom bundle` has it."
        console.print(Text.assemble(when, " ", Text(gone, style="italic")), soft_wrap=True)
        return
    match event.type:
        case "output":
            style = "yellow" if event.data.get("stream") == "stderr" else ""
            for line in clean(event.message).splitlines() or [""]:
                console.print(Text.assemble(when, " ", Text(line, style=style)), soft_wrap=True)
        case "metric":
            return
        case kind:
            what = str(event.data.get("status") or kind.rpartition(".")[2])
            name = Text(f"{event.step}: {what}" if event.step else kind, style=STATUS_STYLES.get(what, "bold"))
            note = clean(event.message)
            console.print(Text.assemble(when, " ", name, Text(f"  {note}" if note else "")), soft_wrap=True)


def _clock(at: dt.datetime) -> str:
    return at.astimezone().strftime("%H:%M:%S")
