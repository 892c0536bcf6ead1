"""Where the command line keeps sign-ins between commands: one private file, shared by commands that run at the same
time.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from opsroom.control_plane.auth import Tokens
from opsroom.control_plane.config import Connection, state_dir
from opsroom.domain.errors import InvalidArgument


def store_path(connection: Connection, environ: Mapping[str, str] = os.environ) -> Path:
    """With the embedded stack's state, so that it goes when that goes; for a project, in the person's own
    configuration.
    """
    if connection.source == "embedded":
        return state_dir(environ) / "sign-in.json"
    home = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "opsroom" / "sign-in.json"


class SignInStore:
    """The sign-in for one control plane, in a file of mode 600 in a folder of mode 700."""

    def __init__(self, connection: Connection) -> None:
        self._url = connection.url
        self._path = store_path(connection)

    def load(self) -> Tokens | None:
        """The sign-in kept for this control plane."""
        kept = self._read().get(self._url)
        return Tokens.model_validate(kept) if kept else None

    def save(self, tokens: Tokens | None) -> None:
        """Keep `tokens`; with None, forget the sign-in."""
        kept = self._read()
        kept.pop(self._url, None)
        if tokens:
            kept[self._url] = tokens.model_dump()
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(kept, file)
            draft.replace(self._path)
        except OSError as error:
            raise InvalidArgument(
                f"The sign-in cannot be kept in {self._path}: {error.strerror}.",
                hint="Make the folder writable, or set XDG_CONFIG_HOME to one that is.",
            ) from None

    @asynccontextmanager
    async def locked(self) -> AsyncGenerator[None]:
        """One process at a time: a refresh token is good once, so two may not use it at the same moment."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> dict[str, dict[str, object]]:
        try:
            return json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except PermissionError:
            raise InvalidArgument(
                f"{self._path} belongs to another user.", hint="Run as that user, or set OPSROOM_STATE_DIR to your own."
            ) from None
        except ValueError:
            return {}  # damaged: as if never signed in
