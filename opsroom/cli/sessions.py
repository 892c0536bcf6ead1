"""Commands about sessions."""

from typing import Annotated

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption
from opsroom.cli.text import say

PANEL = "Sessions"
SessionArgument = Annotated[str, typer.Argument(metavar="SESSION", help="Id, its first digits, or title.")]

group = typer.Typer(rich_markup_mode=None, help="Create, pause, archive and reopen sessions.", no_args_is_help=True)


def sessions(
    archived: Annotated[bool, typer.Option("--archived", help="The archived ones instead.")] = False,
    json: JsonOption = False,
) -> None:
    """List open sessions: what is queued and active, gates that wait, failures that you have not looked at.

    Example: opsroom sessions --json
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import open_room

        async with open_room() as room:
            found = await room.list_sessions(archived=archived)
        if json:
            output.print_json(found)
            return
        rows = (
            (
                output.short(item.id),
                item.title,
                "archived" if item.archived_at else "paused" if item.paused_at else "open",
                str(item.queued),
                str(item.active),
                str(item.waiting),
                str(item.unseen),
                output.age(item.last_activity_at or item.created_at),
            )
            for item in found
        )
        columns = ("ID", "TITLE", "STATE", "QUEUED", "ACTIVE", "WAITING", "FAILED", "LAST ACTIVITY")
        output.print_table(columns, rows, empty="No sessions. Make one with `opsroom session create TITLE`.")

    failure.run(work(), as_json=json)


@group.command()
def create(
    title: Annotated[str, typer.Argument(help="What the session is called.")],
    intent: Annotated[str, typer.Option(help="What it is for.")] = "",
    json: JsonOption = False,
) -> None:
    """Open a session.

    Example: opsroom session create "Release 1.4" --intent "Snapshot, upgrade, verify"
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import open_room

        async with open_room() as room:
            made = await room.create_session(title, intent)
        if json:
            print_json(made)
        else:
            say(f"Session {made.id} “{made.title}” is open.")

    failure.run(work(), as_json=json)


@group.command()
def archive(session: SessionArgument, json: JsonOption = False) -> None:
    """Archive a session: it takes no new runs. Its runs must have ended.

    Example: opsroom session archive "Release 1.4"
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_session, open_room

        async with open_room() as room:
            changed = await room.archive_session((await find_session(room, session)).id)
        if json:
            print_json(changed)
        else:
            say(f"Session “{changed.title}” is archived.")

    failure.run(work(), as_json=json)


@group.command()
def reopen(session: SessionArgument, json: JsonOption = False) -> None:
    """Open an archived session again.

    Example: opsroom session reopen "Release 1.4"
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_session, open_room

        async with open_room() as room:
            changed = await room.reopen_session((await find_session(room, session, archived=True)).id)
        if json:
            print_json(changed)
        else:
            say(f"Session “{changed.title}” is open again.")

    failure.run(work(), as_json=json)


@group.command()
def pause(session: SessionArgument, json: JsonOption = False) -> None:
    """Hold all lanes of a session back. What runs goes on; what waits keeps its place.

    Example: opsroom session pause "Release 1.4"
    """
    _set_paused(session, True, json)


@group.command()
def resume(session: SessionArgument, json: JsonOption = False) -> None:
    """Let a paused session go on. A lane that was paused by itself stays paused.

    Example: opsroom session resume "Release 1.4"
    """
    _set_paused(session, False, json)


def _set_paused(session: str, paused: bool, json: bool) -> None:
    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_session, open_room

        async with open_room() as room:
            changed = await room.set_session_paused((await find_session(room, session)).id, paused)
        if json:
            print_json(changed)
        else:
            say(f"Session “{changed.title}” {'is paused: what waits stays queued' if paused else 'goes on'}.")

    failure.run(work(), as_json=json)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=PANEL)(sessions)
    app.add_typer(group, name="session", rich_help_panel=PANEL)
