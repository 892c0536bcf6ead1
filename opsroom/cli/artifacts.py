"""The artifacts of a run: list, download, check."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opsroom.cli import failure
from opsroom.cli.runs import PANEL, JsonOption, RunArgument
from opsroom.cli.text import say

if TYPE_CHECKING:
    from opsroom.control_plane.client import ControlPlane
    from opsroom.control_plane.models import Artifact


def artifacts(
    run: RunArgument,
    download: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Download all of them into this folder; each sha256 is checked.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List what a run produced, or download it. An artifact whose bytes are not the recorded ones is refused.

    Example: opsroom artifacts 3f9a1c20 --download ./evidence
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import find_run, open_room

        async with open_room() as room:
            found = (await room.read_run(await find_run(room, run))).artifacts
            if download is not None:
                for artifact in found:
                    await _download(room, artifact, download, quiet=json)
        if json:
            output.print_json(found)
        elif download is None:
            rows = (
                (
                    item.name,
                    item.kind,
                    _size(item.size_bytes),
                    item.url or f"sha256:{(item.sha256 or '')[:16]}…" + (" expired" if item.expired_at else ""),
                )
                for item in found
            )
            output.print_table(("NAME", "KIND", "SIZE", "URL"), rows, empty="This run has no artifacts.")
        elif not found:
            say("This run has no artifacts.")

    failure.run(work(), as_json=json)


async def _download(room: "ControlPlane", artifact: "Artifact", folder: Path, *, quiet: bool) -> None:
    from opsroom.domain.errors import InvalidArgument

    if artifact.object_path is None:
        if not quiet:
            say(f"{artifact.name}: link to {artifact.url}")
        return
    if artifact.expired_at:
        if not quiet:
            say(f"{artifact.name}: expired on {artifact.expired_at:%Y-%m-%d}; see the run's bundle")
        return
    target = _target(folder, artifact.name)
    draft = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            async with room.open_artifact(artifact) as chunks:
                async for chunk in chunks:
                    file.write(chunk)
        draft.replace(target)
    except OSError as error:
        raise InvalidArgument(
            f"{target} cannot be written: {error.strerror}.", hint="Choose another folder with --download."
        ) from None
    finally:
        draft.unlink(missing_ok=True)
    if not quiet:
        say(f"{target}  {_size(artifact.size_bytes)}  sha256 ok")


def _target(folder: Path, name: str) -> Path:
    """Where an artifact goes: its name may have folders, but never leads out of `folder`."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return folder.joinpath(*(parts or ["artifact"]))


def _size(size: int | None) -> str:
    if size is None:
        return "-"
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL)(artifacts)
