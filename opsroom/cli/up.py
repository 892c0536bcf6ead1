"""`opsroom up` and `opsroom reset`."""

import asyncio
from typing import Annotated, Literal

import typer

from opsroom.local.embedded import Embedded
from opsroom.local.errors import StackError
from opsroom.local.hosted import Hosted, project_from_environment
from opsroom.local.paths import ports_from_environment, state_from_environment
from opsroom.local.progress import JsonReport, ScreenReport
from opsroom.local.stack import Backend
from opsroom.local.stack import reset as reset_state
from opsroom.local.stack import run as run_stack


def up(
    backend: Annotated[
        Literal["embedded", "hosted"],
        typer.Option(help="embedded: everything on this machine. hosted: the project of SUPABASE_URL and its keys."),
    ] = "embedded",
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Do not build and serve the board.")] = False,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Do not start a worker.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Progress as one JSON object per line.")] = False,
) -> None:
    """Start the control room: database, gateway, functions, one worker and the UI. Ctrl-C stops it; its state stays.

    Example: opsroom up --backend hosted --no-worker
    """
    report = JsonReport() if json else ScreenReport()
    try:
        state, ports = state_from_environment(), ports_from_environment()
        chosen: Backend
        if backend == "hosted":
            project = project_from_environment(with_worker=not no_worker)
            chosen = Hosted(state, ports, report, project, with_ui=not no_ui)
        else:
            chosen = Embedded(state, ports, report, with_ui=not no_ui, with_worker=not no_worker)
        with report.shown():
            asyncio.run(run_stack(state, ports, chosen, report))
    except StackError as error:
        _fail(error, as_json=json)


def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete all state of the embedded stack, after asking: database, artifacts, keys, logs, caches.

    Example: opsroom reset --yes
    """
    state = state_from_environment()
    if not state.root.exists():
        typer.echo(f"There is nothing to delete: {state.root} does not exist.")
        return
    if not yes:
        typer.confirm(f"Delete the database, artifacts and keys in {state.root}? This cannot be undone.", abort=True)
    try:
        reset_state(state)
    except StackError as error:
        _fail(error, as_json=False)
    typer.echo(f"Deleted what was in {state.root}.")


def _fail(error: StackError, *, as_json: bool) -> None:
    from opsroom.cli.output import print_json_line

    if as_json:
        print_json_line({"event": "failed", "message": str(error), "exit_code": error.exit_code})
    else:
        typer.echo(str(error), err=True)
    raise typer.Exit(error.exit_code)
