"""The `opsroom` command. What a command needs is imported when it runs, so that `--help` answers at once."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from opsroom.cli import (
    account,
    approvals,
    artifacts,
    checkpoints,
    doctor,
    evidence,
    fleet,
    interventions,
    keeping,
    lanes,
    replay,
    run_list,
    runs,
    sessions,
    spec,
    spec_room,
    templates,
    worker,
)

SECTIONS = ("The stack", "Runs", "Approvals", "Sessions", "Fleet", "Templates", "Evidence", "People", "Spec Kit")


class Sections(TyperGroup):
    """Commands by section. Rich's help pages take a quarter of a second to load; these are there at once."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections in their order."""
        shown = [command for command in self.commands.values() if not command.hidden]
        for section in SECTIONS:
            rows = [
                (command.name or "", command.get_short_help_str(90))
                for command in shown
                if getattr(command, "rich_help_panel", None) == section
            ]
            with formatter.section(section):
                formatter.write_dl(rows, col_max=12)


HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="opsroom",
    cls=Sections,
    rich_markup_mode=None,
    help="Launch runbooks into parallel lanes, watch them live, cancel and retry them, and prove what ran.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"opsroom {metadata.version('ops-control-room')}")
        raise typer.Exit


@app.callback()
def opsroom(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


def _delegated(name: str, module: str, summary: str) -> None:
    """A command whose function, options included, is only loaded when it is used."""

    def command(context: typer.Context) -> None:
        inner = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        inner.command(context_settings=HELP)(getattr(import_module(module), name))
        inner(args=context.args, prog_name=f"opsroom {name}")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    app.command(name, help=summary, context_settings=settings, rich_help_panel="The stack")(command)


_delegated("up", "opsroom.cli.up", "Start the control room: database, gateway, functions, one worker and the UI.")
_delegated("reset", "opsroom.cli.up", "Delete all state of the embedded stack, after asking.")
doctor.register(app)
worker.register(app)
runs.register(app)
run_list.register(app)
interventions.register(app)
artifacts.register(app)
approvals.register(app)
sessions.register(app)
lanes.register(app)
fleet.register(app)
templates.register(app)
evidence.register(app)
checkpoints.register(app)
replay.register(app)
keeping.register(app)
account.register(app)
spec_room.register()
spec.register(app)
