"""Commands about the fleet: workers and queues at a glance, workers out of service and back."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption
from opsroom.cli.text import say

if TYPE_CHECKING:
    from opsroom.control_plane.fleet import Fleet, FleetWorker

PANEL = "Fleet"
SWEEP_ALARM_SECONDS = 60
WorkerArgument = Annotated[str, typer.Argument(metavar="WORKER", help="Id, its first digits, or name.")]

group = typer.Typer(rich_markup_mode=None, help="Take workers out of service and back.", no_args_is_help=True)


def fleet(json: JsonOption = False) -> None:
    """Show workers, what waits and for how long, what is stuck, and when the sweep was last.

    Example: opsroom fleet
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import open_room

        async with open_room() as room:
            found = await room.read_fleet()
        if json:
            output.print_json(found)
            return
        for line in _summary(found):
            say(line)
        rows = (
            (
                worker.name,
                output.short(worker.id),
                _state(worker),
                f"{worker.active}/{worker.capacity}",
                worker.version or "-",
                worker.transport or "-",
                _ago(found, worker.last_seen_at),
            )
            for worker in found.workers
        )
        columns = ("NAME", "ID", "STATE", "RUNS", "VERSION", "TRANSPORT", "SEEN")
        output.print_table(columns, rows, empty="No worker was seen within the last minute; start one: opsroom worker")

    failure.run(work(), as_json=json)


def _summary(fleet: "Fleet") -> list[str]:
    waits = f", the first for {_ago(fleet, fleet.oldest_queued_at)}" if fleet.oldest_queued_at else ""
    lines = [f"{fleet.queued} queued{waits}; {fleet.active} active, {fleet.slots} slots; {fleet.stuck} stuck"]
    if fleet.last_sweep_at is None:
        lines.append("There was no sweep yet: what is stuck stays so until a worker sweeps.")
    else:
        late = (fleet.read_at - fleet.last_sweep_at).total_seconds() > SWEEP_ALARM_SECONDS
        note = ": too long; what is stuck stays so until a worker sweeps" if late else ""
        lines.append(f"The last sweep was {_ago(fleet, fleet.last_sweep_at)} ago{note}.")
    if fleet.checkpoint:
        late = fleet.checkpoint.is_overdue(fleet.read_at)
        note = ": overdue; the log of a worker with a signing key says why" if late else ""
        lines.append(
            f"The last checkpoint, number {fleet.checkpoint.number}, was {_ago(fleet, fleet.checkpoint.at)} ago{note}."
        )
    if fleet.held_until:
        lines.append(
            f"Most leases ended together, so the sweep holds back until {fleet.held_until.astimezone():%H:%M:%S}: "
            "that is rarely all the workers' fault. Look at the database and the network."
        )
    return lines


def _state(worker: "FleetWorker") -> str:
    if worker.missing_since:
        return "missing"
    return "draining" if worker.draining_at else "ready"


def _ago(fleet: "Fleet", moment: dt.datetime) -> str:
    from opsroom.cli.output import span

    return span((fleet.read_at - moment).total_seconds())


@group.command()
def drain(worker: WorkerArgument, json: JsonOption = False) -> None:
    """Give a worker no more runs; those it has go on (admin). For one that is to be looked at, or replaced.

    Example: opsroom workers drain build-7
    """
    _set_draining(worker, True, json)


@group.command()
def resume(worker: WorkerArgument, json: JsonOption = False) -> None:
    """Give a drained worker runs again (admin).

    Example: opsroom workers resume build-7
    """
    _set_draining(worker, False, json)


def _set_draining(worker: str, draining: bool, json: bool) -> None:
    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_worker, open_room

        async with open_room() as room:
            worker_id = (await find_worker(room, worker)).id
            changed = await (room.drain_worker(worker_id) if draining else room.resume_worker(worker_id))
        if json:
            print_json(changed)
        elif draining:
            say(f"Worker {changed.name} gets no more runs; those it has go on. `opsroom fleet` shows how many.")
        else:
            say(f"Worker {changed.name} gets runs again.")

    failure.run(work(), as_json=json)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=PANEL)(fleet)
    app.add_typer(group, name="workers", rich_help_panel=PANEL)
