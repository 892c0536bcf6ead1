"""Commands about runs: launch, list, read, cancel, retry, rerun."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from opsroom.cli import failure
from opsroom.cli.text import say

PANEL = "Runs"

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, or its first 6 or more digits.")]
ParamOption = Annotated[
    list[str],
    typer.Option("--param", "-p", metavar="KEY=VALUE", help="A param; KEY=@FILE reads a file. Repeat it for arrays."),
]
ParamsFileOption = Annotated[
    Path | None, typer.Option("--params", metavar="FILE", help="A JSON file with all params; -p overrides its keys.")
]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Show the log until the run ends.")]


class Status(StrEnum):
    """The statuses of a run, as choices of an option."""

    queued = "queued"
    claimed = "claimed"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"
    timed_out = "timed_out"


def run(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Slug of the template; see `opsroom templates`.")],
    *,
    param: ParamOption = [],  # noqa: B006 - Typer copies it
    params: ParamsFileOption = None,
    session: Annotated[
        str | None, typer.Option(help="Session id or title. Default: your own session “Command line”.")
    ] = None,
    lane: Annotated[str, typer.Option(help="Lane A, B, C or D.")] = "A",
    priority: Annotated[int, typer.Option(help="-100 to 100; higher goes first in its lane.")] = 0,
    not_before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Earliest start: 2026-11-24T18:00:00+01:00, or +10m, +2h, +1d.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title on the board. Default: the template's.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key again gives the same run instead of a second one.")
    ] = None,
    follow: FollowOption = False,
    json: JsonOption = False,
) -> None:
    """Launch a run. With --follow the exit code is the run's: 0 succeeded, 1 failed, 3 cancelled, 4 timed out.

    Example: opsroom run repo-checks -p repository=. -p commands="make test" --lane B --follow
    """

    async def work() -> int:
        from opsroom.cli.output import print_json, short
        from opsroom.cli.params import read_params
        from opsroom.cli.room import default_session, find_session, open_room
        from opsroom.cli.timing import parse_moment

        moment = parse_moment(not_before) if not_before else None
        async with open_room() as room:
            definition = await room.template(template)
            values = read_params(definition.params_schema, param, params)
            where = await find_session(room, session) if session else await default_session(room)
            made = await room.create_run(
                where.id,
                template,
                values,
                lane=cast(Any, lane.upper()),
                priority=priority,
                not_before=moment,
                title=title,
                idempotency_key=idempotency_key,
            )
            if not follow:
                if json:
                    print_json(made)
                else:
                    say(f"Run {made.id} is {made.status} in lane {made.lane} of “{where.title}”.")
                    say(f"Watch it with `opsroom logs {short(made.id)} -f`.", err=True)
                return failure.OK
            if not json:
                say(f"Run {made.id} in lane {made.lane} of “{where.title}”.", err=True)
            return await _follow(room, made.id, json=json)

    raise typer.Exit(failure.run(work(), as_json=json))


async def _follow(room: Any, run_id: str, *, json: bool) -> int:
    from opsroom.cli.follow import follow
    from opsroom.cli.output import print_json_line

    ended = await follow(room, run_id, as_json=json)
    if json:
        print_json_line(ended)
    else:
        note = f" ({ended.reason})" if ended.reason else ""
        colour = {"succeeded": "green", "failed": "red"}.get(ended.status, "yellow")
        say(f"Run {ended.id[:8]} {ended.status}{note}.", fg=colour, bold=True, err=True)
        if ended.message and ended.status != "succeeded":
            say(f"  {ended.message}", err=True)
    return failure.BY_RUN_STATUS.get(ended.status, failure.DEFECT)


def runs(
    *,
    session: Annotated[str | None, typer.Option(help="Only of this session (id or title).")] = None,
    status: Annotated[list[Status], typer.Option(help="Only with this status; may be repeated.")] = [],  # noqa: B006
    template: Annotated[str | None, typer.Option(help="Only of this template.")] = None,
    lane: Annotated[str | None, typer.Option(help="Only in this lane.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 20,
    json: JsonOption = False,
) -> None:
    """List runs, newest first.

    Example: opsroom runs --status failed --status timed_out --limit 50
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import find_session, open_room
        from opsroom.cli.timing import duration
        from opsroom.control_plane.queries import RunFilter

        async with open_room() as room:
            session_id = (await find_session(room, session)).id if session else None
            found = await room.runs(
                RunFilter(
                    session_id=session_id,
                    statuses=[s.value for s in status],
                    template=template,
                    lane=cast(Any, lane.upper() if lane else None),
                    limit=limit,
                )
            )
        if json:
            output.print_json(found)
            return
        rows = (
            (
                output.short(run.id),
                output.status(run.status),
                run.lane,
                run.template_slug,
                run.title,
                str(run.attempt),
                output.age(run.queued_at),
                duration(run.started_at, run.finished_at),
            )
            for run in found
        )
        columns = ("ID", "STATUS", "LANE", "TEMPLATE", "TITLE", "TRY", "QUEUED", "TOOK")
        output.print_table(columns, rows, empty="No runs. Launch one with `opsroom run TEMPLATE`.")

    failure.run(work(), as_json=json)


def logs(run: RunArgument, follow: FollowOption = False, json: JsonOption = False) -> None:
    """Print a run's log. With --follow it goes on until the run ends, and the exit code is the run's.

    Example: opsroom logs 3f9a1c20 -f
    """

    async def work() -> int:
        from opsroom.cli.follow import print_log
        from opsroom.cli.room import find_run, open_room

        async with open_room() as room:
            run_id = await find_run(room, run)
            if follow:
                return await _follow(room, run_id, json=json)
            await print_log(room, run_id, as_json=json)
            return failure.OK

    raise typer.Exit(failure.run(work(), as_json=json))


def cancel(
    run: RunArgument,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    json: JsonOption = False,
) -> None:
    """Cancel a run: a queued one at once, a live one as soon as its worker has stopped it.

    Example: opsroom cancel 3f9a1c20 --reason "wrong database"
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_run, open_room

        async with open_room() as room:
            changed = await room.cancel_run(await find_run(room, run), reason)
        if json:
            print_json(changed)
        elif changed.is_live:
            say(f"Run {changed.id} is told to stop; its worker ends it.")
        elif changed.status == "cancelled":
            say(f"Run {changed.id} is cancelled.")
        else:
            say(f"Run {changed.id} had ended before: {changed.status}.")

    failure.run(work(), as_json=json)


def retry(run: RunArgument, follow: FollowOption = False, json: JsonOption = False) -> None:
    """Retry an ended run: the same template version and params, as the next attempt. Asked twice, gives the same run.

    Example: opsroom retry 3f9a1c20 --follow
    """

    async def work() -> int:
        from opsroom.cli.room import find_run, open_room

        async with open_room() as room:
            return await _announce(room, await room.retry_run(await find_run(room, run)), follow=follow, json=json)

    raise typer.Exit(failure.run(work(), as_json=json))


def rerun(
    run: RunArgument,
    param: ParamOption = [],  # noqa: B006 - Typer copies it
    lane: Annotated[str | None, typer.Option(help="Lane A, B, C or D. Default: the old run's.")] = None,
    follow: FollowOption = False,
    json: JsonOption = False,
) -> None:
    """Run again by the template's newest version, with the old params except those given with -p.

    Example: opsroom rerun 3f9a1c20 -p ref=v1.2.3 --lane C
    """

    async def work() -> int:
        from opsroom.cli.params import check, read_params
        from opsroom.cli.room import find_run, open_room

        async with open_room() as room:
            old = (await room.read_run(await find_run(room, run))).run
            values = None
            if param:
                schema = (await room.template(old.template_slug)).params_schema
                changed = read_params({**schema, "required": []}, param)
                values = {**old.params, **changed}
                check(schema, values)
            made = await room.rerun(old.id, params=values, lane=cast(Any, lane.upper() if lane else None))
            return await _announce(room, made, follow=follow, json=json)

    raise typer.Exit(failure.run(work(), as_json=json))


async def _announce(room: Any, made: Any, *, follow: bool, json: bool) -> int:
    from opsroom.cli.output import print_json

    if follow:
        if not json:
            say(f"Run {made.id}, attempt {made.attempt}, in lane {made.lane}.", err=True)
        return await _follow(room, made.id, json=json)
    if json:
        print_json(made)
    else:
        say(f"Run {made.id}, attempt {made.attempt}, is {made.status} in lane {made.lane}.")
    return failure.OK


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, runs, logs, cancel, retry, rerun):
        app.command(rich_help_panel=PANEL)(command)
