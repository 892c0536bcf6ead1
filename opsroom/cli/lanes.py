"""Commands about the lanes of a session: how many runs at once, and whether any."""

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption
from opsroom.cli.sessions import PANEL, SessionArgument
from opsroom.cli.text import say

if TYPE_CHECKING:
    from opsroom.control_plane.fleet import LaneSettings

LaneArgument = Annotated[str, typer.Argument(metavar="LANE", help="A, B, C or D.")]

group = typer.Typer(rich_markup_mode=None, help="See, size, pause and resume lanes.", no_args_is_help=True)


@group.command("list")
def list_lanes(session: SessionArgument, json: JsonOption = False) -> None:
    """List the lanes of a session: slots, what runs, what waits, and since when one is paused.

    Example: opsroom lanes list "Release 1.4"
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import find_session, open_room

        async with open_room() as room:
            board = await room.read_board((await find_session(room, session)).id)
        if json:
            shown = {"lane", "capacity", "paused_at", "queued"}
            lanes = [lane.model_dump(mode="json", include=shown) | {"active": len(lane.active)} for lane in board.lanes]
            output.print_json({"session": board.session.model_dump(mode="json"), "lanes": lanes})
            return
        paused = board.session.paused_at
        rows = (
            (
                lane.lane,
                str(lane.capacity),
                str(len(lane.active)),
                str(lane.queued),
                "open" if not (paused or lane.paused_at) else f"paused for {output.age(lane.paused_at or paused)}",
            )
            for lane in board.lanes
        )
        output.print_table(("LANE", "SLOTS", "ACTIVE", "QUEUED", "STATE"), rows, empty="No lanes.")
        if paused:
            say("The whole session is paused; `opsroom session resume` lets it go on.", err=True)

    failure.run(work(), as_json=json)


@group.command("set")
def set_lane(
    session: SessionArgument,
    lane: LaneArgument,
    slots: Annotated[int, typer.Option(help="How many of its runs go at once, 1 to 100.")],
    json: JsonOption = False,
) -> None:
    """Set how many runs of a lane go at once. What runs goes on, also when there are fewer slots now.

    Example: opsroom lanes set "Release 1.4" B --slots 3
    """
    _change(session, lane, json, capacity=slots)


@group.command()
def pause(session: SessionArgument, lane: LaneArgument, json: JsonOption = False) -> None:
    """Hold a lane's queue back. What runs goes on; what waits keeps its place.

    Example: opsroom lanes pause "Release 1.4" B
    """
    _change(session, lane, json, paused=True)


@group.command()
def resume(session: SessionArgument, lane: LaneArgument, json: JsonOption = False) -> None:
    """Let a paused lane go on.

    Example: opsroom lanes resume "Release 1.4" B
    """
    _change(session, lane, json, paused=False)


def _change(session: str, lane: str, json: bool, *, capacity: int | None = None, paused: bool | None = None) -> None:
    async def work() -> "LaneSettings":
        from opsroom.cli.room import find_session, open_room

        async with open_room() as room:
            where = (await find_session(room, session)).id
            return await room.set_lane(where, cast(Any, lane.upper()), capacity=capacity, paused=paused)

    changed = failure.run(work(), as_json=json)
    if json:
        from opsroom.cli.output import print_json

        print_json(changed)
        return
    state = "paused" if changed.paused_at else "open"
    say(f"Lane {changed.lane} is {state}, with {changed.capacity} slot{'s' if changed.capacity > 1 else ''}.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="lanes", rich_help_panel=PANEL)
