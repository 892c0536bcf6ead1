"""Runs repeated and compared: a replay with its verdict, and any two runs side by side."""

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption, RunArgument
from opsroom.cli.text import clean, say

if TYPE_CHECKING:
    from opsroom.control_plane.client import ControlPlane
    from opsroom.control_plane.comparison import SideBySide, TextPair
    from opsroom.control_plane.models import RunDetail

PANEL = "Evidence"
MOST_LINES = 1000
MOST_TEXT = 1 << 20


def replay(
    run: RunArgument,
    lane: Annotated[str | None, typer.Option(help="Lane A, B, C or D. Default: the old run's.")] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Until it has ended and was compared.")] = False,
    json: JsonOption = False,
) -> None:
    """Run the same template version with the same params again, and compare what comes of it; for templates that say
    they are deterministic. With --wait exits 0 if it is REPRODUCED, 1 if it DIVERGED.

    Example: opsroom replay 3f9a1c20 --wait
    """

    async def work() -> int:
        from opsroom.cli.output import print_json, short
        from opsroom.cli.room import find_run, open_room

        async with open_room() as room:
            run_id = await find_run(room, run)
            made = await room.replay_run(run_id, lane=cast(Any, lane.upper() if lane else None))
            if not wait:
                if json:
                    print_json(made)
                else:
                    say(f"Run {made.id} replays {short(run_id)} and is {made.status} in lane {made.lane}.")
                return failure.OK
            if not json:
                say(f"Run {made.id} replays {short(run_id)} in lane {made.lane}.", err=True)
            return _told(await _compared(room, made.id), json=json)

    raise typer.Exit(failure.run(work(), as_json=json))


async def _compared(room: "ControlPlane", run_id: str) -> "RunDetail":
    """The replay once it has its verdict. One that never started has a successor, which is the replay then."""
    from opsroom.control_plane.errors import ControlPlaneUnreachable

    successor = ""
    async with room.feed(f"run:{run_id}") as feed:
        async for ring in feed:
            try:
                detail = await room.read_run(run_id)
            except ControlPlaneUnreachable:
                feed.failed(ring)
                continue
            if detail.replay:
                return detail
            if successor := detail.run.retried_by or "":
                break
    return await _compared(room, successor)


def _told(detail: "RunDetail", *, json: bool) -> int:
    from opsroom.cli.output import print_json

    result = detail.replay
    if result is None:
        raise AssertionError("a replay is told of once it has a verdict")
    if json:
        print_json({"run_id": detail.run.id, **result.model_dump(mode="json")})
    else:
        reproduced = result.verdict == "REPRODUCED"
        typer.secho(result.verdict, fg="green" if reproduced else "red", bold=True, nl=False)
        counted = ", ".join(
            f"{count} {what.removesuffix('s') if count == 1 else what}"
            for what, count in result.compared.items()
            if count
        )
        say(f"  run {detail.run.id}: {counted} compared with run {result.of}")
        for difference in result.differences:
            say(f"  {difference.place}: {difference.message}", bold=True)
            _print_diff(difference.diff)
        if result.more:
            say(f"  and {result.more} more differences")
        for left_out in result.left_out:
            say(f"  not compared: {left_out}", fg="bright_black")
    return failure.OK if result.verdict == "REPRODUCED" else failure.FAILED


def compare(
    left: Annotated[str, typer.Argument(metavar="RUN", help="Run id, or its first 6 or more digits.")],
    right: Annotated[str, typer.Argument(metavar="RUN", help="Another run.")],
    json: JsonOption = False,
) -> None:
    """Show two runs side by side: params, template version, steps and how long they took, output, proofs, artifacts.
    As `diff`, exits 0 if they are the same but for durations, 1 if not.

    Example: opsroom compare 3f9a1c20 8d02b7aa
    """

    async def work() -> int:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import find_run, open_room
        from opsroom.control_plane.comparison import side_by_side

        async with open_room() as room:
            found = await side_by_side(room, await find_run(room, left), await find_run(room, right))
        if json:
            print_json({"differing": found.differing, **found.model_dump(mode="json")})
        else:
            _print_pairs(found)
        return failure.FAILED if found.differing else failure.OK

    raise typer.Exit(failure.run(work(), as_json=json))


def _print_pairs(found: "SideBySide") -> None:
    from opsroom.cli.output import print_table, short, span

    runs = [detail.run for detail in (found.left, found.right)]
    ids = [short(run.id) for run in runs]
    facts = [
        ("title", *(run.title for run in runs)),
        ("template", *(f"{run.template_slug} v{run.template_version}" for run in runs)),
        ("status", *(f"{run.status} ({run.reason})" if run.reason else run.status for run in runs)),
        ("took", *(_took(run.started_at, run.finished_at, span) for run in runs)),
    ]
    print_table(("", *ids), facts, empty="")
    typer.echo()
    steps = [
        (
            "" if pair.same == "same" else "≠",
            pair.step_id,
            *(f"{s.status} {_took(s.started_at, s.finished_at, span)}" if s else "-" for s in (pair.left, pair.right)),
        )
        for pair in found.steps
    ]
    print_table(("", "STEP", *ids), steps, empty="No steps.")
    proofs = [
        (
            "" if p.same == "same" else "≠",
            p.step,
            p.name,
            *(_judged(x.passed if x else None) for x in (p.left, p.right)),
        )
        for p in found.proofs
    ]
    if proofs:
        typer.echo()
        print_table(("", "STEP", "PROOF", *ids), proofs, empty="")
    artifacts = [
        (
            "" if a.same == "same" else "≠",
            a.name,
            *((x.url or (x.sha256 or "")[:16]) if x else "-" for x in (a.left, a.right)),
        )
        for a in found.artifacts
    ]
    if artifacts:
        typer.echo()
        print_table(("", "ARTIFACT", *ids), artifacts, empty="")
    texts = [("params", found.params), ("template", found.template)]
    texts += [(f"output of {pair.name}", pair) for pair in found.outputs]
    texts += [(f"artifact {pair.name}", pair.text) for pair in found.artifacts if pair.text]
    for name, pair in texts:
        _print_texts(name, pair, (ids[0], ids[1]))
    typer.echo()
    if found.note:
        say(found.note)
    if found.cut:
        say("Only the first part of the output was compared.")
    say(f"They differ in: {', '.join(found.differing)}." if found.differing else "They are the same.")


def _print_texts(name: str, pair: "TextPair", ids: tuple[str, str]) -> None:
    from opsroom.domain.comparison import unified

    if pair.same == "same":
        return
    typer.echo()
    say(f"{name}{'' if pair.told else f': differs. {pair.note}'}", bold=True)
    if pair.told:
        _print_diff(unified(pair.left, pair.right, ids, lines=MOST_LINES, longest=MOST_TEXT)[1])


def _print_diff(diff: str) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.split("\n") if diff else ():
        typer.secho(f"    {clean(line)}", fg=colours.get(line[:1]))


def _took(started: Any, finished: Any, span: Any) -> str:
    return span((finished - started).total_seconds()) if started and finished else "-"


def _judged(passed: bool | None) -> str:
    return "-" if passed is None else "passed" if passed else "did not pass"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (replay, compare):
        app.command(rich_help_panel=PANEL)(command)
