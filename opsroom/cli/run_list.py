"""`opsroom runs`: the search of all runs, with the same filters as the page Runs."""

from enum import StrEnum
from typing import Annotated, Any, cast

import typer

from opsroom.cli import failure
from opsroom.cli.text import say

PANEL = "Runs"


class Status(StrEnum):
    """The statuses of a run, as choices of an option."""

    queued = "queued"
    claimed = "claimed"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"
    timed_out = "timed_out"


def runs(
    *,
    session: Annotated[str | None, typer.Option(help="Only of this session (id or title).")] = None,
    status: Annotated[list[Status], typer.Option(help="Only with this status; may be repeated.")] = [],  # noqa: B006
    template: Annotated[str | None, typer.Option(help="Only of this template.")] = None,
    lane: Annotated[str | None, typer.Option(help="Only in this lane.")] = None,
    person: Annotated[str | None, typer.Option(help="Only launched by this person: e-mail, name, or me.")] = None,
    text: Annotated[str | None, typer.Option(help="Only with this text in the title or the params.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only queued since: 2026-11-24T18:00, or 2h, 7d ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only queued before.")] = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Only those that all their retries did not save.")
    ] = False,
    before: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on from here; the list before says what to give.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """List runs, newest first, however many there are.

    Example: opsroom runs --status failed --status timed_out --since 7d --text odoo_prod
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import find_person, find_session, open_room
        from opsroom.control_plane.models import Card
        from opsroom.control_plane.search import RunFilter, past_moment

        found: list[Card] = []
        more: str | None = None
        async with open_room() as room:
            wanted = RunFilter(
                session_id=(await find_session(room, session)).id if session else None,
                statuses=[s.value for s in status],
                template=template,
                lane=cast(Any, lane.upper() if lane else None),
                person=await find_person(room, person) if person else None,
                text=text,
                since=past_moment(since) if since else None,
                until=past_moment(until) if until else None,
                dead_letters=dead_letters,
                before=before,
                limit=limit,
            )
            async for page in room.each_page(wanted):
                found += page.runs
                more = page.next
        if json:
            output.print_json(found)
        else:
            columns = ("ID", "STATUS", "LANE", "TEMPLATE", "TITLE", "TRY", "QUEUED", "TOOK")
            none = "No dead letters." if dead_letters else "No runs. Launch one with `opsroom run TEMPLATE`."
            narrowed = session or status or template or lane or person or text or since or until or before
            output.print_table(columns, map(_row, found), empty="No such runs." if narrowed else none)
        if more:
            say(f"There is more: the same with --before {more}", err=True)

    failure.run(work(), as_json=json)


def _row(run: Any) -> tuple[Any, ...]:
    from opsroom.cli import output
    from opsroom.cli.timing import duration

    return (
        output.short(run.id),
        output.status(run.status),
        run.lane,
        run.template_slug,
        run.title,
        str(run.attempt),
        output.age(run.queued_at),
        duration(run.started_at, run.finished_at),
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL)(runs)
