"""What can go wrong while starting the embedded stack.

Each error is one sentence for a person (what is wrong and what to do) plus the exit code of `opsroom up`.
They are the command line's own errors: nothing of them crosses the control-plane API, so they carry no SQLSTATE.
"""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot start or go on. `exit_code` is the exit status of the command."""

    exit_code = 1


class PortBusy(StackError):
    exit_code = 3


class AlreadyRunning(StackError):
    exit_code = 4


class MissingTool(StackError):
    exit_code = 5


class NoPermission(StackError):
    exit_code = 6


class MigrationRefused(StackError):
    exit_code = 7


class BackendNotReady(StackError):
    exit_code = 8
