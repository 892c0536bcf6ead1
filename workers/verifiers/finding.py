"""What a verifier found, and the files it may look at."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from workers.steps.context import StepFailed


@dataclass(frozen=True)
class Finding:
    """What was expected and what was seen, both as an auditor reads them."""

    passed: bool
    expected: JsonValue
    seen: JsonValue
    message: str = ""


def inside(workdir: Path, name: str) -> Path:
    """The file `name` of the run's working directory. Raises StepFailed for a path that leads out of it."""
    path = (workdir / name).resolve()
    if not path.is_relative_to(workdir.resolve()):
        raise StepFailed(f"{name!r} is outside of the run's working directory")
    return path
