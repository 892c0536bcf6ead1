"""Docs are part of the change: every variable, command, exit code and error is in docs/."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from opsroom.cli import failure
from opsroom.cli.main import app
from opsroom.control_plane import errors as control_plane_errors
from opsroom.domain.errors import BY_SQLSTATE, OpsRoomError

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
CODE = ("opsroom", "workers", "supabase/functions")

OURS = re.compile(r"""["']((?:OPSROOM|SUPABASE)_[A-Z0-9_]*[A-Z0-9])["']""")
READ = re.compile(r"""(?:environ(?:\.get\(|\[)|getenv\(|Deno\.env\.get\()\s*["']([A-Za-z_]+)["']""")


def variables() -> dict[str, str]:
    """Every variable that is named in the code, with a file that names it."""
    found: dict[str, str] = {}
    for folder in CODE:
        for path in [REPOSITORY / "rxconfig.py", *sorted((REPOSITORY / folder).rglob("*"))]:
            # Programs of steps run in a run's environment, which their template makes, not in the worker's.
            skipped = {"node_modules", "programs"}.intersection(path.parts)
            if path.suffix in (".py", ".ts") and not skipped and ".test." not in path.name:
                text = path.read_text()
                for name in (*OURS.findall(text), *READ.findall(text)):
                    found.setdefault(name, str(path.relative_to(REPOSITORY)))
    return found


def commands(group: TyperGroup, prefix: str = "opsroom") -> Iterator[str]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


ALL_COMMANDS = sorted(commands(typer.main.get_group(app)))


def test_every_environment_variable_is_documented() -> None:
    page = (DOCS / "configuration.md").read_text()
    found = variables()
    assert {"SUPABASE_URL", "OPSROOM_STATE_DIR", "OPSROOM_WORKER_PORT", "XDG_CONFIG_HOME"} <= set(found)
    missing = {name: file for name, file in found.items() if f"`{name}`" not in page and name != "OPSROOM_SECRET"}
    assert not missing, f"not in docs/configuration.md: {missing}"


def test_every_documented_variable_exists() -> None:
    page = (DOCS / "configuration.md").read_text()
    named = set(re.findall(r"`((?:OPSROOM|SUPABASE)_[A-Z0-9_]+[A-Z0-9])`", page))
    unknown = named - set(variables())
    assert not unknown


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"`{command}" in (DOCS / "cli.md").read_text()


def test_every_documented_command_exists() -> None:
    groups = {command.rsplit(" ", 1)[0] for command in ALL_COMMANDS}
    for line in re.findall(r"^\| `(opsroom [^`]+)`", (DOCS / "cli.md").read_text(), re.MULTILINE):
        words = line.split()
        assert " ".join(words[:2]) in {*ALL_COMMANDS, *groups} or " ".join(words[:3]) in ALL_COMMANDS, line


@pytest.mark.parametrize("command", [c for c in ALL_COMMANDS if c not in ("opsroom up", "opsroom reset")])
def test_every_command_has_help_with_an_example(command: str) -> None:
    found = typer.main.get_group(app)
    for word in command.split()[1:]:
        assert isinstance(found, TyperGroup)
        found = found.commands[word]  # pyright: ignore[reportAssignmentType]
    assert f"Example: {command}" in " ".join((found.help or "").split())


def test_commands_that_load_late_have_help_with_an_example() -> None:
    from opsroom.cli.up import reset, up

    assert "Example: opsroom up" in (up.__doc__ or "")
    assert "Example: opsroom reset" in (reset.__doc__ or "")


def test_every_exit_code_is_documented() -> None:
    page = (DOCS / "cli.md").read_text()
    codes = {value for name, value in vars(failure).items() if name.isupper() and isinstance(value, int)}
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}


def test_every_error_is_documented() -> None:
    page = (DOCS / "errors.md").read_text()
    for sqlstate, error in BY_SQLSTATE.items():
        if sqlstate:
            assert f"| `{sqlstate}` | `{error.code}` | {error.status} |" in page
    for error in vars(control_plane_errors).values():
        if (
            isinstance(error, type)
            and issubclass(error, OpsRoomError)
            and error.__module__ == control_plane_errors.__name__
        ):
            assert f"| `{error.code}` |" in page
