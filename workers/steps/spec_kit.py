"""spec_kit: validates or writes a Spec Kit bundle, in a process of its own, so that it can be stopped."""

import json
import re
import sys
from typing import Any, Literal

from pydantic import Field

from workers.steps.context import Outcome, StepContext
from workers.steps.inputs import Inputs, read_inputs

_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|[^/\s]+@[^/\s]+:", re.IGNORECASE)


class SpecKitInputs(Inputs):
    action: Literal["validate", "generate"]
    repository: str = "."
    slug: str | None = Field(default=None, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    name: str | None = None
    description: str = ""
    goals: tuple[str, ...] = ()


async def run(context: StepContext) -> Outcome:
    """The program prints every finding, leaves its reports in the working directory and exits 1 on a broken bundle."""
    inputs = read_inputs(SpecKitInputs, context.inputs)
    order: dict[str, Any] = inputs.model_dump()
    if not _REMOTE.match(inputs.repository):
        order["repository"] = str((context.start_directory / inputs.repository).resolve())
    order_path = context.workdir / f".{context.step_id}.order.json"
    order_path.write_text(json.dumps(order), encoding="utf-8")
    return await context.run_process([sys.executable, "-m", "workers.programs.spec_kit", str(order_path)], context.env)
