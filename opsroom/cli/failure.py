"""How a command ends: its exit code, and one clear sentence when it fails. `docs/cli.md` lists the codes."""

import os
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer

from opsroom.cli.text import say

if TYPE_CHECKING:
    from opsroom.domain.errors import OpsRoomError

T = TypeVar("T")

OK: Final = 0
FAILED: Final = 1
INVALID: Final = 2
CANCELLED: Final = 3
TIMED_OUT: Final = 4
UNREACHABLE: Final = 5
NOT_ALLOWED: Final = 6
DEFECT: Final = 70
INTERRUPTED: Final = 130

BY_RUN_STATUS: Final = {"succeeded": OK, "failed": FAILED, "cancelled": CANCELLED, "timed_out": TIMED_OUT}


def exit_code(error: "OpsRoomError") -> int:
    """The exit code that stands for `error`."""
    match error.status:
        case 401 | 403:
            return NOT_ALLOWED
        case 503:
            return UNREACHABLE
        case status if 400 <= status < 500:
            return INVALID
        case _ if error.code == "not_configured":
            return UNREACHABLE
        case 502:
            return FAILED
        case _:
            return DEFECT


def run(work: Coroutine[Any, Any, T], *, as_json: bool = False) -> T:
    """Do `work`; a failure that was foreseen is printed to stderr, without a traceback, and ends the command."""
    import asyncio

    from opsroom.domain.errors import OpsRoomError

    try:
        return asyncio.run(work)
    except OpsRoomError as error:
        report(error, as_json=as_json)
        raise typer.Exit(exit_code(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has gone. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(OK) from None


def report(error: "OpsRoomError", *, as_json: bool = False) -> None:
    """Print what was wrong, where, and what to do."""
    if as_json:
        import json

        fields = [field.model_dump() for field in error.fields]
        body = {"code": error.code, "message": error.message, "hint": error.hint, "fields": fields}
        typer.echo(json.dumps({"error": body}, ensure_ascii=False), err=True)
        return
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    say(error.message, err=True)
    for field in error.fields:
        say(f"  {field.path or '/'}: {field.message}", err=True)
    if error.hint:
        say(f"  → {error.hint}", err=True)
