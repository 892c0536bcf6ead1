"""Commands about what is kept: legal holds, the collection, and the audit log as a file."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption
from opsroom.cli.text import say

if TYPE_CHECKING:
    from opsroom.control_plane.client import ControlPlane
    from opsroom.control_plane.keeping import Due

PANEL = "Evidence"
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept on record.")]
SessionOption = Annotated[str | None, typer.Option("--session", help="A session and all its runs: id or title.")]

audit = typer.Typer(rich_markup_mode=None, help="The audit log: who did what.", no_args_is_help=True)


class Form(StrEnum):
    """The forms of an export, as choices of an option."""

    csv = "csv"
    jsonl = "jsonl"
    ocsf = "ocsf"


def hold(
    reason: ReasonOption,
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Id of a run, or its first digits.")] = None,
    session: SessionOption = None,
    json: JsonOption = False,
) -> None:
    """Put a run or a session on legal hold: nothing of it is collected until the hold is released (operator).

    Example: opsroom hold 3f9a1c20 --reason "Matter 2026-17"
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_run, open_room
        from opsroom.domain.errors import InvalidArgument

        if (run is None) == (session is None):
            raise InvalidArgument("A hold is on a run or on a session.", hint="Give a run, or --session.")
        async with open_room() as room:
            run_id = await find_run(room, run) if run else None
            session_id = await _session_id(room, session) if session else None
            placed = await room.place_hold(reason, run_id=run_id, session_id=session_id)
        if json:
            print_json(placed)
        else:
            say(f"“{placed.title}” is on hold. An admin releases it with: opsroom release-hold {placed.id}")

    failure.run(work(), as_json=json)


def holds(
    *,
    released: Annotated[bool, typer.Option("--released", help="Those of the past as well.")] = False,
    json: JsonOption = False,
) -> None:
    """List legal holds, the latest first.

    Example: opsroom holds
    """

    async def work() -> None:
        from opsroom.cli.output import age, print_json, print_table, short
        from opsroom.cli.room import open_room

        async with open_room() as room:
            found = await room.list_holds(released=released)
        if json:
            print_json(found)
            return
        rows = (
            (
                item.id,
                f"run {short(item.run_id)}" if item.run_id else f"session {short(item.session_id or '')}",
                item.title,
                item.placed_by_name or "-",
                age(item.placed_at),
                f"released by {item.released_by_name}: {item.release_reason}" if item.released_at else item.reason,
            )
            for item in found
        )
        print_table(("HOLD", "ON", "TITLE", "BY", "AGE", "WHY"), rows, empty="Nothing is on hold.")

    failure.run(work(), as_json=json)


def release_hold(
    hold: Annotated[str, typer.Argument(help="Id of the hold, as `opsroom holds` lists it.")],
    reason: ReasonOption,
    json: JsonOption = False,
) -> None:
    """Release a legal hold (admin). What is past its time goes with the next collection.

    Example: opsroom release-hold 1b7d3f60-0d0e-4c5c-8b3a-6f0f3a6a9e11 --reason "Matter closed"
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import open_room

        async with open_room() as room:
            released = await room.release_hold(hold, reason)
        if json:
            print_json(released)
        else:
            say(f"The hold on “{released.title}” is released: {released.release_reason}")

    failure.run(work(), as_json=json)


def collect(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Collect now what workers would collect in time: expired logs, expired large artifacts, orphans (admin).

    What a template keeps for how long, docs/templates.md says; docs/evidence.md, what never goes. Objects are deleted
    from Storage by a worker.

    Example: opsroom collect --dry-run
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import open_room

        async with open_room() as room:
            if dry_run:
                due = await room.read_collection()
                print_json(due) if json else _show(due)
                return
            pieces = [await room.collect()]
            while pieces[-1].more:
                pieces.append(await room.collect())
        lines = sum(piece.logs.lines for piece in pieces)
        size = sum(piece.logs.bytes + piece.artifacts.bytes for piece in pieces)
        artifacts, orphans = sum(p.artifacts.count for p in pieces), sum(p.orphans for p in pieces)
        if json:
            print_json({"lines": lines, "artifacts": artifacts, "orphans": orphans, "bytes": size})
        else:
            say(f"Collected: {lines} log entries, {artifacts} artifacts, {orphans} orphaned objects; {_size(size)}.")

    failure.run(work(), as_json=json)


@audit.command()
def export(
    *,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="From: 2026-11-01, or 90d ago.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Until before. Default: now.")] = None,
    form: Annotated[
        Form, typer.Option("--format", help="csv, jsonl, or ocsf (1.3.0, one event to a line).")
    ] = Form.csv,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: stdout.")] = None,
) -> None:
    """Write the audit log, oldest first (admin): who did what, approvals, roles, templates, holds, collections.

    Example: opsroom audit export --from 90d --format ocsf -o audit.jsonl
    """

    async def work() -> None:
        from opsroom.cli.room import open_room
        from opsroom.control_plane.search import past_moment
        from opsroom.domain.audit import header, line
        from opsroom.domain.errors import InvalidArgument

        moments = past_moment(since) if since else None, past_moment(until) if until else None
        count = 0
        async with open_room() as room:
            # The first page comes before anything is opened, so that a refusal leaves no file behind.
            pages = room.audit_pages(*moments)
            page = await anext(pages)
            part = output.with_name(output.name + ".part") if output else None
            try:
                handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) if part else os.dup(1)
                with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                    file.write(header(form.value))
                    while True:
                        file.writelines(line(form.value, entry) for entry in page)
                        count += len(page)
                        try:
                            page = await anext(pages)
                        except StopAsyncIteration:
                            break
                if part and output:
                    part.replace(output)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise InvalidArgument(
                    f"{output} can not be written: {error.strerror}.", hint="Choose another."
                ) from None
        if output:
            sys.stderr.write(f"{output}: {count} entries\n")

    failure.run(work())


async def _session_id(room: "ControlPlane", text: str) -> str:
    from opsroom.cli.room import find_session
    from opsroom.domain.errors import SessionNotFound

    try:
        return (await find_session(room, text)).id
    except SessionNotFound:
        return (await find_session(room, text, archived=True)).id


def _show(due: "Due") -> None:
    from opsroom.cli.output import age, print_table, short

    rows = [
        *(("log", short(log.run_id), log.title, f"{log.lines} entries, {_size(log.bytes)}") for log in due.logs),
        *(("artifact", short(item.run_id), item.name, _size(item.size_bytes)) for item in due.artifacts),
        *(
            ("orphan", short(item.name), f"{item.bucket}/{item.name}", _size(item.size_bytes or 0))
            for item in due.orphans
        ),
    ]
    print_table(("WHAT", "RUN", "TITLE", "SIZE"), rows, empty="Nothing is due.")
    if due.held:
        say(f"{due.held} runs are past their time and on hold: they stay.")
    if due.deleting:
        say(f"{due.deleting} objects are given up and wait for a worker to delete them.")
    say(
        f"The last collection was {age(due.last_collection_at)} ago."
        if due.last_collection_at
        else "No worker has collected yet."
    )


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (hold, holds, collect):
        app.command(rich_help_panel=PANEL)(command)
    app.command("release-hold", rich_help_panel=PANEL)(release_hold)
    app.add_typer(audit, name="audit", rich_help_panel=PANEL)
