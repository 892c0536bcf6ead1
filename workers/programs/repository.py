"""A git repository that a person names: an address to clone, or a path that exists on the worker."""

import re
import subprocess
from pathlib import Path
from typing import Final

_REMOTE: Final = re.compile(r"[a-z][a-z0-9+.-]*://|[^/\s]+@[^/\s]+:", re.IGNORECASE)
ALLOWED_PROTOCOLS: Final = "file:git:http:https:ssh"
"""Not `ext`, which runs a command that the address names."""


class CloneFailed(Exception):
    """git could not clone; the message has its last words."""


def is_remote(repository: str) -> bool:
    """Whether git has to fetch it."""
    return _REMOTE.match(repository) is not None


def obtain(repository: str, target: Path) -> Path:
    """The repository's files: the path itself, or a shallow clone in `target`. Raises CloneFailed."""
    if not is_remote(repository):
        return Path(repository)
    command = ["git", "clone", "--quiet", "--depth", "1", "--", repository, str(target)]
    try:
        done = subprocess.run(
            ["env", f"GIT_ALLOW_PROTOCOL={ALLOWED_PROTOCOLS}", *command], check=False, capture_output=True, text=True
        )
    except OSError as error:
        raise CloneFailed(f"git can not be run on this worker: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise CloneFailed(f"{repository} can not be cloned: {said[-1]}")
    return target
