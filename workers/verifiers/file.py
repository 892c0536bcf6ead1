"""file: what files the working directory holds."""

import asyncio
import glob
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import Field, JsonValue

from workers.steps.context import StepContext, StepFailed
from workers.steps.inputs import Inputs, read_inputs
from workers.verifiers.finding import Finding, inside

LARGEST_SEARCHED: Final = 64 << 20
MOST_NAMED: Final = 20


class FileInputs(Inputs):
    """`path` is a glob. With `absent`, no file may match; else at least one must, and each must hold what is given."""

    path: str = Field(min_length=1, max_length=256)
    absent: bool = False
    min_bytes: int = Field(default=0, ge=0)
    max_bytes: int | None = Field(default=None, ge=0)
    contains: str | None = Field(default=None, min_length=1)


async def verify(context: StepContext) -> Finding:
    """Passes when the files are as expected."""
    inputs = read_inputs(FileInputs, context.inputs)
    pattern = PurePosixPath(inputs.path)
    if pattern.is_absolute() or ".." in pattern.parts:
        raise StepFailed(f"{inputs.path!r} must stay inside of the run's working directory")
    return await asyncio.to_thread(_check, context.workdir, inputs)


def _check(workdir: Path, inputs: FileInputs) -> Finding:
    expected: dict[str, JsonValue] = inputs.model_dump(exclude_unset=True)
    names = sorted(glob.glob(inputs.path, root_dir=workdir, recursive=True, include_hidden=True))
    files = {name: inside(workdir, name) for name in names}
    files = {name: path for name, path in files.items() if path.is_file()}
    shown: list[JsonValue] = [name for name, _ in zip(files, range(MOST_NAMED), strict=False)]
    seen: dict[str, JsonValue] = {"files": shown, "count": len(files)}
    if inputs.absent:
        return Finding(not files, expected, seen)
    problems: list[str] = [] if files else ["there is no such file"]
    for name, path in files.items():
        size = path.stat().st_size
        if size < inputs.min_bytes or (inputs.max_bytes is not None and size > inputs.max_bytes):
            problems.append(f"{name} has {size} bytes")
        if inputs.contains is not None and not _contains(path, inputs.contains.encode()):
            problems.append(f"{name} does not contain the text")
    return Finding(not problems, expected, seen, "; ".join(problems[:MOST_NAMED]))


def _contains(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return text in file.read(LARGEST_SEARCHED)
