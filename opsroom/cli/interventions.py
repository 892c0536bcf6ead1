"""Commands that intervene in runs: cancel, move, retry, rerun."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from opsroom.cli import failure
from opsroom.cli.runs import PANEL, FollowOption, JsonOption, ParamOption, RunArgument, follow_run
from opsroom.cli.text import say

if TYPE_CHECKING:
    from opsroom.control_plane.client import ControlPlane
    from opsroom.control_plane.models import Card, Run


def cancel(
    run: RunArgument,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="End it now, without its worker; says what that means, and asks."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --force: do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Cancel a run: a queued one at once, a live one as soon as its worker has stopped it.

    With --force a live run is cancelled here and now, for a worker that does not answer. Its processes may go on until
    that worker notices or its lease is over, and may meet those of a later run; what it reports afterwards does not
    change how the run ended.

    Example: opsroom cancel 3f9a1c20 --reason "wrong database"
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_run, open_room

        async with open_room() as room:
            run_id = await find_run(room, run)
            before = (await room.read_run(run_id)).run
            forced = force and before.status in ("claimed", "running")
            if forced and not yes:
                _confirm_force(before)
            changed = await room.cancel_run(run_id, reason, force=force)
        if json:
            print_json(changed)
        elif changed.is_live:
            say(f"Run {changed.id} is told to stop; its worker ends it.")
        elif changed.status == "cancelled" and before.is_live:
            say(f"Run {changed.id} is cancelled{' by force' if forced else ''}.")
            if forced:
                say(_what_may_go_on(before), err=True)
        else:
            say(f"Run {changed.id} had ended before: {changed.status}.")

    failure.run(work(), as_json=json)


def _confirm_force(run: "Card") -> None:
    from opsroom.domain.errors import InvalidArgument

    say(f"Force ends run {run.id} now, without waiting for its worker.", err=True)
    say(_what_may_go_on(run), err=True)
    say("What it reports afterwards is kept aside and does not change how the run ended.", err=True)
    if not sys.stdin.isatty():
        raise InvalidArgument("There is no terminal to ask.", hint="Give --yes to cancel by force without being asked.")
    typer.confirm(f"Cancel “{run.title}” by force?", abort=True, err=True)


def _what_may_go_on(run: "Card") -> str:
    return (
        f"Processes of the run on {run.worker_name or 'its worker'} may go on until that notices, at most "
        f"{run.lease_seconds} s, and may meet those of a later run."
    )


def move(
    run: RunArgument,
    lane: Annotated[str | None, typer.Option(help="Lane A, B, C or D of its session.")] = None,
    priority: Annotated[int | None, typer.Option(help="-100 to 100; higher goes first in its lane.")] = None,
    json: JsonOption = False,
) -> None:
    """Give a queued run another lane of its session or another priority. Its age stays, so it goes before younger ones.

    Example: opsroom move 3f9a1c20 --lane B --priority 10
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_run, open_room
        from opsroom.domain.errors import InvalidArgument

        if lane is None and priority is None:
            raise InvalidArgument("Nothing to change was given.", hint="Give --lane, --priority or both.")
        async with open_room() as room:
            where = cast(Any, lane.upper() if lane else None)
            moved = await room.move_run(await find_run(room, run), lane=where, priority=priority)
        if json:
            print_json(moved)
        else:
            say(f"Run {moved.id} waits in lane {moved.lane} with priority {moved.priority}.")

    failure.run(work(), as_json=json)


def retry(
    run: RunArgument,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Carry over the steps that succeeded, and go on after them."),
    ] = False,
    follow: FollowOption = False,
    json: JsonOption = False,
) -> None:
    """Retry an ended run: the same template version and params, as the next attempt. Asked twice, gives the same run.

    Example: opsroom retry 3f9a1c20 --resume --follow
    """

    async def work() -> int:
        from opsroom.cli.room import find_run, open_room

        async with open_room() as room:
            made = await room.retry_run(await find_run(room, run), resume=resume)
            if resume and not json:
                steps = (await room.read_run(made.id)).steps
                carried = [step.step_id for step in steps if step.carried_from]
                names = ", ".join(carried) if carried else "none: it begins with its first step"
                say(f"Steps carried over: {names}.", err=True)
            return await _announce(room, made, follow=follow, json=json)

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


async def _announce(room: "ControlPlane", made: "Run", *, follow: bool, json: bool) -> int:
    from opsroom.cli.output import print_json

    if follow:
        if not json:
            say(f"Run {made.id}, attempt {made.attempt}, in lane {made.lane}.", err=True)
        return await follow_run(room, made.id, json=json)
    if json:
        print_json(made)
    else:
        say(f"Run {made.id}, attempt {made.attempt}, is {made.status} in lane {made.lane}.")
    return failure.OK


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (cancel, move, retry, rerun):
        app.command(rich_help_panel=PANEL)(command)
