"""What a step is given, and what it gives back. A step never sees the control plane."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from opsroom.domain.lifecycle import Reason


class StepFailed(Exception):
    """The step can not do what it is asked to; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Outcome:
    """How a step ended by itself. Being stopped is not an outcome: that is a cancellation. `reason` is the run's, where
    it is another one than that a step failed.
    """

    status: Literal["succeeded", "failed", "timed_out"]
    message: str = ""
    exit_code: int | None = None
    reason: Reason | None = None


class RunProcess(Protocol):
    """Runs a command to its end, its output becoming events. Ends it, with a grace, when cancelled."""

    def __call__(self, argv: Sequence[str], env: Mapping[str, str]) -> Awaitable[Outcome]: ...


@dataclass(frozen=True)
class StepContext:
    """One step about to run."""

    step_id: str
    inputs: Mapping[str, Any]
    """The step's `with`, every expression resolved."""
    params: Mapping[str, JsonValue]
    run_id: str
    attempt: int
    workdir: Path
    start_directory: Path
    """Where the worker was started: relative paths that a person gives as params mean it."""
    env: Mapping[str, str]
    """What processes of this step may see, credentials of the worker not among it."""
    log: Callable[[str], Awaitable[None]]
    metric: Callable[[str, float], Awaitable[None]]
    run_process: RunProcess
    decision: Callable[[], Awaitable[Outcome]]
    """Waits until the gate that this step opened is closed."""
