"""Resume: what an earlier attempt's succeeded steps left is put back before the first step of this one runs."""

import asyncio
import os
from pathlib import Path

from workers.services import RunScope
from workers.store import CarriedArtifact
from workers.store.objects import DownloadRefused


class CarryRefused(Exception):
    """A carried artifact is not there or not what it was; the message says which."""


async def restore(scope: RunScope) -> None:
    """Put the files of carried steps into the working directory under their names. Raises CarryRefused."""
    objects = scope.services.objects
    for step in scope.lease.claim.carried:
        for artifact in step.artifacts:
            target = _place(artifact, scope.workdir)
            arrived = scope.staging() / artifact.sha256
            try:
                digest = await objects.download(artifact.object_path, arrived)
            except DownloadRefused as error:
                raise CarryRefused(f"{_what(artifact, step.step)} is not to be had: {error}") from error
            if digest != artifact.sha256:
                raise CarryRefused(f"{_what(artifact, step.step)} is not what it was: its SHA-256 is {digest}")
            await asyncio.to_thread(_move, arrived, target)
            await scope.evidence.emit("log", step.step, f"{artifact.name} is back in the working directory")


def _what(artifact: CarriedArtifact, step: str) -> str:
    return f"The artifact {artifact.name!r}, carried over from step {step},"


def _place(artifact: CarriedArtifact, workdir: Path) -> Path:
    target = workdir / artifact.name
    if not target.resolve().is_relative_to(workdir.resolve()) or target == workdir:
        raise CarryRefused(f"The artifact {artifact.name!r} has a name outside of the run's working directory")
    return target


def _move(arrived: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(arrived, target)
