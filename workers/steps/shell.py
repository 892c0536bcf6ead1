"""shell: one command. Params reach it as whole argv items and environment variables, never as text in a script."""

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from workers.steps.context import Outcome, StepContext
from workers.steps.inputs import Inputs, read_inputs


class ShellInputs(Inputs):
    """Either `argv`, or `script` (text for bash) with `args`, which it sees as "$@"."""

    argv: tuple[Any, ...] | None = None
    script: str | None = None
    args: tuple[Any, ...] = ()
    env: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.argv is None) == (self.script is None):
            raise ValueError("give either argv or script")
        if self.argv is not None and (not self.argv or self.args):
            raise ValueError("argv must not be empty, and args belong to script")
        return self


async def run(context: StepContext) -> Outcome:
    """Exit code 0 is success."""
    inputs = read_inputs(ShellInputs, context.inputs)
    if inputs.argv is not None:
        argv = [as_text(item) for item in inputs.argv]
    else:
        script = ["bash", "-euo", "pipefail", "-c", inputs.script or "", context.step_id]
        argv = script + [as_text(item) for item in inputs.args]
    extra = {name: as_text(value) for name, value in inputs.env.items() if value is not None}
    return await context.run_process(argv, {**context.env, **params_environment(context.params), **extra})


def params_environment(params: Mapping[str, Any]) -> dict[str, str]:
    """Every param as PARAM_<NAME>; those that were not given are absent."""
    return {f"PARAM_{name.upper()}": as_text(value) for name, value in params.items() if value is not None}


def as_text(value: Any) -> str:
    """A value as an argument: text as it is, everything else as JSON, so `true`, `3` and `[1, 2]`; null is empty."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
