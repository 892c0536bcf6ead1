"""The kinds of steps: one module each, one function `run(context) -> Outcome`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from opsroom.domain.template import StepKind
from workers.steps import gate, http, noop, shell, spec_kit, sql
from workers.steps.context import Outcome, StepContext, StepFailed

__all__ = ["KINDS", "Outcome", "StepContext", "StepFailed"]

KINDS: Final[Mapping[StepKind, Callable[[StepContext], Awaitable[Outcome]]]] = {
    "noop": noop.run,
    "shell": shell.run,
    "http": http.run,
    "sql": sql.run,
    "spec_kit": spec_kit.run,
    "gate": gate.run,
}
