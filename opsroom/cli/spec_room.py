"""Spec Kit bundles that the control plane keeps, on the command line: list, push, pull."""

from pathlib import Path
from typing import Annotated

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption
from opsroom.cli.spec import RepositoryOption, group
from opsroom.cli.text import say

SlugArgument = Annotated[str, typer.Argument(metavar="SLUG", help="Which bundle.")]


def list_specs(json: JsonOption = False) -> None:
    """List the bundles that the control plane keeps.

    Example: opsroom spec list
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import open_room

        async with open_room() as room:
            found = await room.specs()
        if json:
            output.print_json(found)
            return
        rows = (
            (s.slug, str(s.version), s.created_at.isoformat(timespec="minutes"), s.created_by_name or "") for s in found
        )
        output.print_table(
            ("SLUG", "VERSION", "SAVED", "BY"), rows, empty="None. Keep one with `opsroom spec push SLUG`."
        )

    failure.run(work(), as_json=json)


def push(slug: SlugArgument, repository: RepositoryOption = Path(), json: JsonOption = False) -> None:
    """Keep spec/SLUG/ of the repository as the control plane's next version. Needs the role operator.

    Example: opsroom spec push ops-control-room
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import open_room

        files = _read(repository, slug)
        async with open_room() as room:
            saved = await room.save_spec(slug, files)
        if json:
            output.print_json(saved)
        else:
            say(f"The control plane keeps {saved.slug} as version {saved.version}.")

    failure.run(work(), as_json=json)


def pull(
    slug: SlugArgument,
    version: Annotated[int | None, typer.Option(min=1, help="Another version than the newest.")] = None,
    repository: RepositoryOption = Path(),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a bundle that the control plane keeps to spec/SLUG/ of the repository.

    Example: opsroom spec pull billing-export
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import open_room
        from opsroom.domain.errors import InvalidArgument
        from opsroom.domain.spec_kit import write_bundle

        async with open_room() as room:
            found = await room.spec(slug, version)
        try:
            paths = write_bundle(repository, dict(found.files), overwrite, found.slug)
        except OSError as error:
            raise InvalidArgument(
                f"{error.filename} cannot be written: {error.strerror}.", hint="Choose another --repository."
            ) from None
        if json:
            output.print_json([str(path) for path in paths])
        else:
            for path in paths:
                typer.echo(path)

    failure.run(work(), as_json=json)


def _read(repository: Path, slug: str) -> dict[str, str]:
    from opsroom.domain.errors import InvalidArgument
    from opsroom.domain.spec_kit.files import read_bundle
    from opsroom.domain.spec_kit.names import SLUG_RULE, is_slug

    if not is_slug(slug):
        raise InvalidArgument(f"{slug!r} is no slug: {SLUG_RULE}.")
    files: dict[str, str] = {}
    for name, read in read_bundle(repository, slug).items():
        if read.content is None:
            raise InvalidArgument(f"spec/{slug}/{name} cannot be read.", hint="`opsroom spec validate` says why.")
        try:
            files[name] = read.content.decode()
        except UnicodeDecodeError:
            raise InvalidArgument(f"spec/{slug}/{name} is not UTF-8 text.", hint="Save it as UTF-8.") from None
    return files


def register() -> None:
    """Add the commands to `opsroom spec`."""
    group.command("list")(list_specs)
    group.command()(push)
    group.command()(pull)
