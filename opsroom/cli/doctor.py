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

        from opsroom.cli.output import clean, console, print_json

        found = await _look()
        failed = [check for check in found if check.verdict == "fail"]
        if json:
            from dataclasses import asdict

            print_json({"ok": not failed, "checks": [asdict(check) for check in found]})
            return failure.FAILED if failed else failure.OK
        signs = {
            "ok": ("✓", "green"),
            "warn": ("!", "yellow"),
            "fail": ("✗", "bold red"),
            "skip": ("-", "bright_black"),
        }
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
    import json as codec

    from opsroom.cli import checks, room_checks
    from opsroom.control_plane.config import find_connection, from_environment
    from opsroom.domain.errors import OpsRoomError

    found = [checks.python()]
    hosted = None
    try:
        hosted = from_environment()
    except OpsRoomError as error:
        found.append(checks.Check("configuration", "fail", error.message, error.hint))
        return found
    if hosted is None:
        from opsroom.local.errors import StackError
        from opsroom.local.paths import Ports, ports_from_environment, state_from_environment

        state = state_from_environment()
        found += await checks.tools()
        found += checks.state_folder(state)
        try:
            run = codec.loads(state.run_file.read_text()) if state.run_file.exists() else {}
        except (OSError, ValueError) as error:
            found.append(
                checks.Check("stack", "fail", f"{state.run_file} is not readable: {error}", "Run `opsroom up`.")
            )
            return found
        running = checks.is_alive(run.get("pid"))
        try:
            wanted = Ports(**run["ports"]) if running else ports_from_environment()
        except StackError as error:
            found.append(checks.Check("ports", "fail", str(error), "Correct the variable."))
            return found
        found += checks.ports(wanted, running=running)
        if not running:
            advice = "Start it with `opsroom up`."
            found.append(checks.Check("stack", "fail", "the embedded stack is not running", advice))
            return found
        found.append(
            checks.Check("stack", "ok", f"running, started by process {run['pid']}; room at {run.get('ui_url')}")
        )
    try:
        connection = hosted or find_connection()
    except OpsRoomError as error:
        found.append(checks.Check("configuration", "fail", error.message, error.hint))
        return found
    found += [check async for check in room_checks.control_plane(connection)]
    return found


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="The stack")(doctor)
