"""checksum: the SHA-256 of a file of the working directory."""

import asyncio
import hashlib
from pathlib import Path

from pydantic import Field

from workers.steps.context import StepContext
from workers.steps.inputs import Inputs, read_inputs
from workers.verifiers.finding import Finding, inside


class ChecksumInputs(Inputs):
    file: str = Field(min_length=1, max_length=256)
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$")


async def verify(context: StepContext) -> Finding:
    """Passes when the file has that digest."""
    inputs = read_inputs(ChecksumInputs, context.inputs)
    expected = {"file": inputs.file, "sha256": inputs.sha256.lower()}
    try:
        seen = await asyncio.to_thread(_digest, inside(context.workdir, inputs.file))
    except OSError as error:
        return Finding(False, {**expected}, {"error": error.strerror or type(error).__name__})
    return Finding(seen == inputs.sha256.lower(), {**expected}, {"sha256": seen})


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
