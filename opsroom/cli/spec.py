"""Spec Kit on the command line: the same code as the templates `spec-kit-validate` and `spec-kit-generate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption

if TYPE_CHECKING:
    from opsroom.domain.spec_kit import Report

RepositoryOption = Annotated[Path, typer.Option(metavar="DIR", help="The repository.")]

group = typer.Typer(rich_markup_mode=None, help="Validate and generate spec/<slug>/ bundles.", no_args_is_help=True)


@group.command()
def validate(
    slug: Annotated[str | None, typer.Argument(help="Which bundle. Default: every one under spec/.")] = None,
    repository: RepositoryOption = Path(),
    json: JsonOption = False,
) -> None:
    """Check the four files of a bundle; exits 1 with every finding when something is wrong.

    Example: opsroom spec validate ops-control-room
    """

    async def work() -> int:
        from opsroom.cli.output import print_json
        from opsroom.domain.errors import InvalidArgument
        from opsroom.domain.spec_kit import validate_bundle

        folder = repository / "spec"
        slugs = [slug] if slug else sorted(path.name for path in folder.glob("*") if path.is_dir())
        if not slugs:
            raise InvalidArgument(f"{folder} has no bundle.", hint="Make one with `opsroom spec generate`.")
        reports = [validate_bundle(repository, name) for name in slugs]
        if json:
            print_json(reports)
        else:
            for report in reports:
                _print(report)
        return failure.OK if all(report.ok for report in reports) else failure.FAILED

    raise typer.Exit(failure.run(work(), as_json=json))


def _print(report: "Report") -> None:
    from opsroom.cli.text import clean

    for finding in report.findings:
        place = finding.file or f"spec/{report.slug}"
        line = f":{finding.line}" if finding.line is not None else ""
        colour = "red" if finding.severity == "error" else "yellow"
        typer.secho(f"{finding.severity} {finding.rule} ", fg=colour, bold=True, nl=False)
        typer.echo(f"{clean(place)}{line}: {clean(finding.message)}")
        typer.echo(f"  → {clean(finding.fix)}")
    counts = report.counts
    verdict = "is valid" if report.ok else "is NOT valid"
    typer.secho(
        f"spec/{clean(report.slug)} {verdict}: {counts.errors} errors, {counts.warnings} warnings, "
        f"{counts.requirements_covered} of {counts.requirements} requirements covered, "
        f"{counts.tasks_done} of {counts.tasks} tasks done.",
        bold=True,
        fg="green" if report.ok else "red",
    )


@group.command()
def generate(
    name: Annotated[str, typer.Argument(help="What the project is called.")],
    *,
    description: Annotated[str, typer.Option(help="What it is, in one or two sentences.")],
    goal: Annotated[list[str], typer.Option(help="One goal; repeat it.")],
    slug: Annotated[str | None, typer.Option(help="Folder under spec/. Default: from the name.")] = None,
    repository: RepositoryOption = Path(),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    json: JsonOption = False,
) -> None:
    """Write the four files of a new bundle; the same input gives the same files.

    Example: opsroom spec generate "Billing export" --description "Exports invoices." --goal "Export every night"
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.domain.errors import InvalidArgument
        from opsroom.domain.spec_kit import generate_bundle, write_bundle

        try:
            paths = write_bundle(repository, generate_bundle(name, description, goal, slug), overwrite)
        except OSError as error:
            raise InvalidArgument(
                f"{error.filename} cannot be written: {error.strerror}.", hint="Choose another --repository."
            ) from None
        if json:
            print_json([str(path) for path in paths])
        else:
            for path in paths:
                typer.echo(path)

    failure.run(work(), as_json=json)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="spec", rich_help_panel="Spec Kit")
