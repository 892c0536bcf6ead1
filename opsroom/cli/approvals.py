"""Commands about gates: what waits for a person, and deciding it."""

from typing import TYPE_CHECKING, Annotated

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption, RunArgument
from opsroom.cli.text import say

if TYPE_CHECKING:
    from opsroom.control_plane.gates import Decision

PANEL = "Approvals"

StepOption = Annotated[str | None, typer.Option("--step", help="The gate. Default: the run's only waiting one.")]
CommentOption = Annotated[str, typer.Option("--comment", "-m", help="Kept with the decision, for ever.")]
DigestOption = Annotated[
    str | None, typer.Option("--digest", help="Decide only if this, or what begins with it, is still what waits.")
]


def approvals(
    *,
    closed: Annotated[bool, typer.Option("--closed", help="The last hundred that were closed instead.")] = False,
    json: JsonOption = False,
) -> None:
    """List what waits for an approval, what expires first first.

    Example: opsroom approvals
    """

    async def work() -> None:
        from opsroom.cli.output import age, print_json, print_table, short
        from opsroom.cli.room import open_room

        async with open_room() as room:
            items = await room.list_gates(waiting=not closed)
        if json:
            print_json(items)
            return
        rows = [
            (
                short(item.run_id),
                item.run.title,
                item.step_id or "before it starts",
                item.status if closed else f"{len(item.approvals)} of {item.approvers} {item.role}s",
                age(item.closed_at or item.opened_at),
                item.subject_digest[:12],
                "" if closed else item.obstacle or "you may",
            )
            for item in items
        ]
        empty = "Nothing was closed yet." if closed else "Nothing waits for an approval."
        print_table(("RUN", "TITLE", "GATE", "STATE", "AGE", "DIGEST", "YOU"), rows, empty=empty)

    failure.run(work(), as_json=json)


def approve(
    run: RunArgument,
    *,
    step: StepOption = None,
    comment: CommentOption = "",
    digest: DigestOption = None,
    json: JsonOption = False,
) -> None:
    """Approve what a run waits for. Whoever launched it can not, unless its template says so.

    Example: opsroom approve 3f9a1c20 -m "checked the plan"
    """
    _decide(run, step, "approved", comment, digest, json=json)


def deny(
    run: RunArgument,
    *,
    step: StepOption = None,
    comment: CommentOption = "",
    digest: DigestOption = None,
    json: JsonOption = False,
) -> None:
    """Deny what a run waits for: one denial ends it.

    Example: opsroom deny 3f9a1c20 -m "not before the backup"
    """
    _decide(run, step, "denied", comment, digest, json=json)


def _decide(run: str, step: str | None, decision: "Decision", comment: str, digest: str | None, *, json: bool) -> None:
    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_run, open_room
        from opsroom.domain.errors import ApprovalStale, GateNotFound, InvalidArgument

        async with open_room() as room:
            run_id = await find_run(room, run)
            waiting = [gate for gate in await room.list_gates() if gate.run_id == run_id]
            if step is not None:
                waiting = [gate for gate in waiting if gate.step_id == step]
            if not waiting:
                raise GateNotFound(f"Run {run} has no gate that waits.", hint="`opsroom approvals` lists what does.")
            if len(waiting) > 1:
                names = ", ".join(gate.step_id for gate in waiting)
                raise InvalidArgument(f"Run {run} waits at several gates: {names}.", hint="Name one with --step.")
            subject = waiting[0].subject_digest
            if digest and not subject.startswith(digest):
                raise ApprovalStale(f"What waits is {subject[:12]}, not {digest}.", hint="Look at it again.")
            gate = await room.decide_gate(run_id, waiting[0].step_id, decision, subject, comment)
        if json:
            print_json(gate)
        elif gate.status == "waiting":
            say(f"Noted. {gate.approvers - len(gate.approvals)} more have to approve.")
        else:
            say(f"The gate is {gate.status}.")

    failure.run(work(), as_json=json)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (approvals, approve, deny):
        app.command(rich_help_panel=PANEL)(command)
