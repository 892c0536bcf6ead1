"""Commands about templates: list, show, validate, save, and the seed of a new database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption
from opsroom.cli.text import say

if TYPE_CHECKING:
    from opsroom.domain.template import Template

REPOSITORY = Path(__file__).resolve().parents[2]
PANEL = "Templates"
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The template as YAML or JSON.")]
SlugArgument = Annotated[str, typer.Argument(metavar="SLUG", help="The template.")]

group = typer.Typer(
    rich_markup_mode=None, help="List templates, show one, save a new version.", invoke_without_command=True
)


@group.callback()
def templates(context: typer.Context, json: JsonOption = False) -> None:
    """List templates, show one, save a new version.

    Example: opsroom templates
    """
    if context.invoked_subcommand is None:
        list_templates(json)


@group.command("list")
def list_templates(json: JsonOption = False) -> None:
    """List all templates at their newest version.

    Example: opsroom templates list --json
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import open_room

        async with open_room() as room:
            found = await room.templates()
        if json:
            output.print_json(found)
            return
        rows = ((t.slug, str(t.version), t.risk, "yes" if t.enabled else "no", t.title) for t in found)
        columns = ("SLUG", "VERSION", "RISK", "ENABLED", "TITLE")
        output.print_table(columns, rows, empty="No templates. Save one with `opsroom templates save FILE`.")

    failure.run(work(), as_json=json)


@group.command()
def show(
    slug: SlugArgument,
    version: Annotated[int | None, typer.Option(min=1, help="Another version than the newest.")] = None,
    json: JsonOption = False,
) -> None:
    """Show what a template does and which params it takes.

    Example: opsroom templates show postgres-snapshot
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import open_room

        async with open_room() as room:
            found = await room.template(slug, version)
        if json:
            output.print_json(found)
            return
        say(f"{found.title}  ({found.slug}, version {found.version}, risk {found.risk})", bold=True)
        say(f"digest {found.digest}{'' if found.enabled else '   DISABLED'}")
        if found.description:
            say(f"\n{found.description.strip()}")
        say("\nSteps")
        for step in found.spec.get("steps", []):
            needs = f"  after {', '.join(step['needs'])}" if step.get("needs") else ""
            say(f"  {step['id']}: {step['title']} [{step['kind']}]{needs}")
        say("\nParams")
        rows = _param_rows(found.params_schema)
        output.print_table(("NAME", "TYPE", "REQUIRED", "DEFAULT", "TITLE"), rows, empty="  none", wrap=True)

    failure.run(work(), as_json=json)


def _param_rows(schema: Any) -> list[tuple[str, ...]]:
    import json as codec

    required = schema.get("required", [])
    rows: list[tuple[str, ...]] = []
    for name, sub in schema.get("properties", {}).items():
        kind = str(sub.get("type") or ("one of " + ", ".join(map(str, sub["enum"])) if "enum" in sub else "any"))
        kind += f" ({sub['format']})" if "format" in sub else ""
        default = codec.dumps(sub["default"], ensure_ascii=False) if "default" in sub else ""
        about = str(sub.get("description") or sub.get("title") or "")
        rows.append((name, kind, "yes" if name in required and not default else "no", default, about))
    return rows


@group.command()
def validate(file: FileArgument, json: JsonOption = False) -> None:
    """Check a template file without saving it; needs no control plane.

    Example: opsroom templates validate templates/http-healthcheck.yaml
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.domain.template import digest

        template = _read(file)
        found = {"slug": template.slug, "digest": digest(template.spec())}
        if json:
            print_json(found)
        else:
            say(f"{file} is valid: {found['slug']}, digest {found['digest']}.")

    failure.run(work(), as_json=json)


@group.command()
def save(file: FileArgument, json: JsonOption = False) -> None:
    """Save a template as a new version, if it differs from the newest one. Needs the role admin.

    Example: opsroom templates save templates/http-healthcheck.yaml
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import open_room

        template = _read(file)
        async with open_room() as room:
            saved = await room.save_template(template.spec())
        if json:
            print_json(saved)
        else:
            say(f"Template {saved.slug} is at version {saved.version}, digest {saved.digest}.")

    failure.run(work(), as_json=json)


@group.command()
def enable(slug: SlugArgument) -> None:
    """Let people start runs of a template again. Needs the role admin.

    Example: opsroom templates enable repo-checks
    """
    _set_enabled(slug, True)


@group.command()
def disable(slug: SlugArgument) -> None:
    """Stop new runs of a template; runs that exist go on. Needs the role admin.

    Example: opsroom templates disable repo-checks
    """
    _set_enabled(slug, False)


def _set_enabled(slug: str, enabled: bool) -> None:
    async def work() -> None:
        from opsroom.cli.room import open_room

        async with open_room() as room:
            await room.set_template_enabled(slug, enabled)
        say(f"Template {slug} is {'enabled' if enabled else 'disabled'}.")

    failure.run(work())


@group.command()
def seed(
    check: Annotated[bool, typer.Option("--check", help="Only tell whether the file is up to date.")] = False,
    source: Annotated[Path, typer.Option(metavar="DIR", help="The folder of templates.")] = REPOSITORY / "templates",
    target: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")] = REPOSITORY / "supabase/seed.sql",
) -> None:
    """Write supabase/seed.sql from templates/*.yaml, for developers of this project.

    Example: opsroom templates seed --check
    """

    async def work() -> int:
        text = seed_sql([_read(file) for file in sorted(source.glob("*.yaml"))])
        current = target.read_text() if target.exists() else None
        if check and text != current:
            say(f"error: {target} is not what {source} gives. Run `opsroom templates seed`.", err=True)
            return failure.FAILED
        if text != current:
            target.write_text(text)
        say(f"{target} is up to date." if text == current else f"{target} is written.")
        return failure.OK

    raise typer.Exit(failure.run(work()))


def seed_sql(templates: "list[Template]") -> str:
    """SQL that stores `templates` in a new database, and changes nothing when run again."""
    import json

    parts = [
        "-- Written by `opsroom templates seed` from templates/*.yaml: change those, not this file.",
        "-- Running it again is harmless: a definition that is stored already makes no new version.",
    ]
    for template in sorted(templates, key=lambda item: item.slug):
        text = json.dumps(template.spec(), ensure_ascii=False, indent=2).replace("'", "''")
        parts.append(f"\nselect private.seed_template('{text}'::json);")
    return "\n".join(parts) + "\n"


def _read(file: Path) -> "Template":
    from opsroom.domain.errors import InvalidArgument, InvalidTemplate
    from opsroom.domain.template import parse_yaml

    try:
        return parse_yaml(file.read_text())
    except OSError as error:
        raise InvalidArgument(f"{file} cannot be read: {error.strerror}.", hint="Check the path.") from None
    except UnicodeDecodeError:
        raise InvalidArgument(f"{file} is not UTF-8 text.", hint="Save it as UTF-8.") from None
    except InvalidTemplate as error:
        raise InvalidTemplate(f"{file}: {error.message}", hint=error.hint, fields=error.fields) from None


def register(app: typer.Typer) -> None:
    """Add the commands; `template` is the same as `templates`."""
    app.add_typer(group, name="templates", rich_help_panel=PANEL)
    app.add_typer(group, name="template", hidden=True)
