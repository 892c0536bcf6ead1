"""Commands about runs: launch, read."""

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
            return await follow_run(room, made.id, json=json)

    raise typer.Exit(failure.run(work(), as_json=json))


async def follow_run(room: Any, run_id: str, *, json: bool) -> int:
    """Print the log until the run ends; the exit code that stands for its end."""
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
                return await follow_run(room, run_id, json=json)
            await print_log(room, run_id, as_json=json)
            return failure.OK

    raise typer.Exit(failure.run(work(), as_json=json))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, logs):
        app.command(rich_help_panel=PANEL)(command)
