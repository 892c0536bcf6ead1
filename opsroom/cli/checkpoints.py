"""Checkpoints of the runs' chains: fetched, listed, and held against each other and the database."""

import datetime as dt
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption
from opsroom.cli.text import say

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from opsroom.control_plane.client import ControlPlane
    from opsroom.domain.evidence.checkpoint import Published

FolderArgument = Annotated[
    Path | None,
    typer.Argument(metavar="DIR", help="Default: OPSROOM_CHECKPOINT_DIR, or that of the embedded stack."),
]
TrustOption = Annotated[Path, typer.Option("--trust", metavar="FILE", help="The trust root: whose signatures count.")]

HEADS_AT_ONCE: Final = 1000

group = typer.Typer(
    rich_markup_mode=None, help="Published heads of the runs' chains: what shows a cut tail.", no_args_is_help=True
)


def folder_of(given: Path | None) -> Path:
    """The folder that a command is about."""
    from opsroom.local.paths import state_from_environment

    return given or Path(os.environ.get("OPSROOM_CHECKPOINT_DIR") or state_from_environment().checkpoints)


@group.command(name="list")
def show(folder: FolderArgument = None, json: JsonOption = False) -> None:
    """List the checkpoints in a folder, as they say of themselves; nothing is checked.

    Example: opsroom checkpoint list .opsroom/checkpoints
    """

    async def work() -> None:
        from opsroom.cli.output import print_json, print_table
        from opsroom.domain.evidence.checkpoint import digest_of, file_name, numbers, parsed
        from opsroom.domain.evidence.verify import unsigned

        found: list[dict[str, Any]] = []
        with _named_errors():
            where = folder_of(folder)
            for number in numbers(where):
                payload, keyid = unsigned((where / file_name(number)).read_bytes(), file_name(number))
                told = parsed(payload, file_name(number))
                found.append(
                    {"number": told.number, "at": told.at, "heads": len(told.heads), "ended_until": told.ended_until.at}
                    | {"digest": digest_of(payload), "keyid": keyid, "room": told.room}
                )
        if json:
            print_json(found)
            return
        rows = [
            (str(c["number"]), c["at"][:19] + "Z", str(c["heads"]), c["digest"][:16], c["keyid"][:16]) for c in found
        ]
        print_table(("NUMBER", "AT", "HEADS", "DIGEST", "KEY"), rows, empty=f"There is no checkpoint in {where}.")

    failure.run(work(), as_json=json)


@group.command()
def fetch(folder: FolderArgument = None, json: JsonOption = False) -> None:
    """Copy the published checkpoints that a folder lacks. Keep it where the admins of the room can not write.

    Example: opsroom checkpoint fetch /srv/audit/checkpoints
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import open_room
        from opsroom.domain.evidence.checkpoint import keep, numbers

        where = folder_of(folder)
        with _named_errors():
            where.mkdir(parents=True, exist_ok=True)
            last = first = max(numbers(where), default=0)
            async with open_room() as room:
                while rows := await room.checkpoints(after=last):
                    for row in rows:
                        keep(where, row.number, await room.checkpoint_bytes(row))
                        last = row.number
        if json:
            print_json({"fetched": last - first, "last": last, "folder": str(where)})
        else:
            say(f"{last - first} fetched; {where} holds {last}.")

    failure.run(work(), as_json=json)


@group.command()
def verify(
    trust: TrustOption,
    *,
    folder: FolderArgument = None,
    against: Annotated[bool, typer.Option("--against", help="Hold them against the database, too.")] = False,
    events: Annotated[
        bool, typer.Option("--events", help="With --against: read and hash every event of the runs named, too.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check that a folder's checkpoints are signed and follow each other; exits 1 and names the first that does not.

    Example: opsroom checkpoint verify .opsroom/checkpoints --trust .opsroom/trust-root.json --against
    """

    async def work() -> int:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import open_room
        from opsroom.domain.evidence.checkpoint import read_chain
        from opsroom.domain.evidence.verify import DoesNotHold, trusted

        where, told = folder_of(folder), {"checkpoints": 0, "heads": 0, "compared": against or events}
        try:
            with _named_errors():
                chain = _counted(read_chain(where, trusted(str(trust))), told)
                if against or events:
                    async with open_room() as room:
                        told["newer"] = await against_database(room, chain, whole=events)
                else:
                    for _ in chain:
                        pass
        except DoesNotHold as error:
            if json:
                print_json({"holds": False, "check": error.check, "message": str(error), **told})
            else:
                typer.secho("DOES NOT HOLD ", fg="red", bold=True, nl=False)
                say(f"({error.check}): {error}")
            return failure.FAILED
        if json:
            print_json({"holds": True, **told})
        else:
            typer.secho("HOLDS ", fg="green", bold=True, nl=False)
            so = ", and the database has them all" if told["compared"] else "; not held against the database"
            if newer := told.get("newer"):
                so += f"; {newer} newer ones are not in this folder: opsroom checkpoint fetch"
            say(f"{told['checkpoints']} checkpoints with {told['heads']} heads, the last of {told['at']}{so}")
        return failure.OK

    raise typer.Exit(failure.run(work(), as_json=json))


async def against_database(room: "ControlPlane", chain: "Iterator[Published]", *, whole: bool) -> int:
    """How many newer ones the database knows. Raises DoesNotHold for the first thing that it has otherwise."""
    from opsroom.domain.evidence.checkpoint import hold_head, hold_record

    digests: dict[int, str] = {}
    checked: set[str] = set()
    newer = 0
    for published in chain:
        checkpoint = published.checkpoint
        if checkpoint.number not in digests:
            digests = {row.number: row.digest for row in await room.checkpoints(after=checkpoint.number - 1)}
        for start in range(0, len(checkpoint.heads), HEADS_AT_ONCE) or (0,):
            heads = checkpoint.heads[start : start + HEADS_AT_ONCE]
            facts = await room.read_heads([(head.run_id, head.seq) for head in heads])
            newer = max(0, (facts.last.number if facts.last else 0) - checkpoint.number)
            hold_record(published, facts.room, digests.get(checkpoint.number), facts.last and facts.last.number)
            for head, (exists, last, digest) in zip(heads, facts.heads, strict=True):
                hold_head(checkpoint.number, head, exists, last, digest)
                if whole and head.run_id not in checked:
                    checked.add(head.run_id)
                    await _whole(room, head.run_id)
    return newer


async def _whole(room: "ControlPlane", run_id: str) -> None:
    """Every event of a run, hashed again."""
    from opsroom.domain.events import Event, first_break
    from opsroom.domain.evidence.verify import DoesNotHold

    events: list[Event] = []
    while True:
        page = await room.read_events(run_id, after=events[-1].seq if events else 0, limit=1000)
        for row in page.events:
            told = row.model_dump(include=set(Event.model_fields) - {"at", "expired_at"})
            gone = row.expired_at.isoformat() if row.expired_at else None
            at = row.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            events.append(Event(**told, at=at, expired_at=gone))
        if not page.events:
            break
    if broken := first_break(events):
        raise DoesNotHold("chain", f"run {run_id}: {broken}")


def _counted(chain: "Iterator[Published]", told: dict[str, Any]) -> "Iterator[Published]":
    for published in chain:
        told["checkpoints"] += 1
        told["heads"] += len(published.checkpoint.heads)
        told["at"] = published.checkpoint.at
        yield published


@contextmanager
def _named_errors() -> "Generator[None]":
    """What can not be read, as one sentence."""
    from opsroom.domain.errors import InvalidArgument
    from opsroom.domain.evidence.verify import DoesNotHold

    try:
        yield
    except DoesNotHold:
        raise
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InvalidArgument(f"It can not be read: {error}", hint="Give a folder and a trust root.") from None


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="checkpoint", rich_help_panel="Evidence")
