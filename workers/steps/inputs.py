"""Checking a step's resolved inputs: strict models, and errors that name the key."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from workers.steps.context import StepFailed


class Inputs(BaseModel):
    """A step's `with`, after its expressions were resolved. Unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


InputsT = TypeVar("InputsT", bound=Inputs)


def read_inputs(model: type[InputsT], values: Mapping[str, Any]) -> InputsT:
    """`values` as `model`; an optional param that was not given is as if the key were absent. Raises StepFailed."""
    try:
        return model.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        # The message only: the value may be a secret.
        said = "; ".join(
            f"with.{'.'.join(map(str, e['loc']))}: {e['msg']}"
            for e in error.errors(include_url=False, include_input=False)
        )
        raise StepFailed(f"the step's inputs are not right: {said}. See docs/templates.md") from None
