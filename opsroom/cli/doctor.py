"""`opsroom doctor`: looks at everything, and says what to do for each thing that is not right."""

from typing import TYPE_CHECKING

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption

if TYPE_CHECKING:
    from opsroom.cli.checks import Check


def doctor(json: JsonOption = False) -> None:
    """Check Python, tools, ports, state, control plane, your role and the workers. Exits 1 when something has to be
    mended.

    Example: opsroom doctor --json
    """

    async def work() -> int:
        from rich.text import Text

        from opsroom.cli.output import console, print_json
        from opsroom.cli.text import clean

        found = await _look()
        failed = [check for check in found if check.verdict == "fail"]
        if json:
            from dataclasses import asdict

            print_json({"ok": not failed, "checks": [asdict(check) for check in found]})
            return failure.FAILED if failed else failure.OK
        signs = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}
        for check in found:
            sign, style = signs[check.verdict]
            line = Text.assemble(
                Text(f"{sign} ", style=style), Text(f"{check.name}: ", style="bold"), clean(check.found)
            )
            console.print(line, soft_wrap=True)
            if check.advice:
                console.print(Text(f"    → {clean(check.advice)}"), soft_wrap=True)
        typer.echo(f"{len(failed)} of {len(found)} checks failed." if failed else "All is well.")
        return failure.FAILED if failed else failure.OK

    raise typer.Exit(failure.run(work(), as_json=json))


async def _look() -> "list[Check]":
    from opsroom.cli import checks, room_checks
    from opsroom.control_plane.config import find_connection, from_environment
    from opsroom.domain.errors import OpsRoomError

    found = [checks.python()]
    try:
        hosted = from_environment()
        if hosted is None:
            found += await checks.tools()
            found += checks.stack()
            if found[-1].verdict == "fail":
                return found
        found += [check async for check in room_checks.control_plane(hosted or find_connection())]
    except OpsRoomError as error:
        found.append(checks.Check("configuration", "fail", error.message, error.hint))
    return found


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="The stack")(doctor)
