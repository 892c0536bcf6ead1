"""`opsroom worker`: a worker process in the foreground, for the embedded stack or a project."""

import os
import sys
from typing import Annotated

import typer

from opsroom.cli import failure


def worker(
    concurrency: Annotated[int | None, typer.Option(min=1, max=256, help="Runs at once. Default: 4.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of /healthz and /metrics; 0 is any free one.")] = 0,
) -> None:
    """Run one more worker until Ctrl-C, for the embedded stack unless SUPABASE_URL is set.

    Example: opsroom worker --concurrency 8
    """

    async def work() -> dict[str, str]:
        return _environment()

    environment = failure.run(work()) | {"OPSROOM_WORKER_PORT": str(port)}
    if concurrency is not None:
        environment["OPSROOM_WORKER_CONCURRENCY"] = str(concurrency)
    # In place of this process, so that signals, exit code and output are the worker's own.
    os.execve(sys.executable, [sys.executable, "-m", "workers"], environment)  # noqa: S606 - no shell is meant


def _environment() -> dict[str, str]:
    if os.environ.get("SUPABASE_URL"):
        return dict(os.environ)
    from opsroom.control_plane.errors import NotConfigured
    from opsroom.local.environment import worker_environment
    from opsroom.local.errors import StackError
    from opsroom.local.paths import state_from_environment

    try:
        return dict(os.environ) | worker_environment(state_from_environment())
    except StackError as error:
        hint = "Or set SUPABASE_URL and SUPABASE_SECRET_KEY for a project."
        raise NotConfigured(str(error), hint=hint) from None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="The stack")(worker)
