"""json_schema: a JSON file of the working directory against a JSON Schema (2020-12) of the template."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import Field, JsonValue

from workers.steps.context import StepContext, StepFailed
from workers.steps.inputs import Inputs, read_inputs
from workers.verifiers.finding import Finding, inside

LARGEST: Final = 64 << 20
MOST_ERRORS: Final = 10


class JsonSchemaInputs(Inputs):
    file: str = Field(min_length=1, max_length=256)
    document: dict[str, Any] = Field(alias="schema")


async def verify(context: StepContext) -> Finding:
    """Passes when the file is JSON and fits the schema."""
    inputs = read_inputs(JsonSchemaInputs, context.inputs)
    return await asyncio.to_thread(_check, inside(context.workdir, inputs.file), inputs)


def _check(path: Path, inputs: JsonSchemaInputs) -> Finding:
    expected: JsonValue = {"file": inputs.file, "valid": True}
    try:
        Draft202012Validator.check_schema(inputs.document)
    except SchemaError as error:
        raise StepFailed(f"the schema of the verifier is not one: {error.message}") from error
    try:
        if path.stat().st_size > LARGEST:
            return Finding(False, expected, {"error": f"the file is larger than {LARGEST} bytes"})
        value: Any = json.loads(path.read_bytes())
    except OSError as error:
        return Finding(False, expected, {"error": error.strerror or type(error).__name__})
    except ValueError as error:
        return Finding(False, expected, {"error": f"it is not JSON: {error}"})
    errors: list[JsonValue] = []
    for error in Draft202012Validator(inputs.document).iter_errors(value):  # pyright: ignore[reportUnknownMemberType]
        errors.append(f"{error.json_path}: {error.message[:200]}")
        if len(errors) == MOST_ERRORS:
            break
    return Finding(not errors, expected, {"valid": not errors, "errors": errors} if errors else {"valid": True})
