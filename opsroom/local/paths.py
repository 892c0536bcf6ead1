"""Where the embedded stack keeps its state, and on which loopback ports it listens."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import socket
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from opsroom.local.errors import NoPermission, PortBusy

LOOPBACK = "127.0.0.1"
REPOSITORY = Path(__file__).resolve().parents[2]
FREE_PORTS = range(10_000, 32_768)
"""Below those that the kernel gives to outgoing connections (Linux from 32768, macOS from 49152, as they come): one of
them may be taken between the choice and the start of the program that listens, or while that program is restarted.
"""
_candidates = itertools.cycle(random.sample(FREE_PORTS, len(FREE_PORTS)))


@dataclass(frozen=True)
class State:
    """The folder `.opsroom/` and what lies in it. Nothing outside it is ever written."""

    root: Path

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @property
    def signing_key(self) -> Path:
        return self.root / "signing-key.pem"

    @property
    def trust_root(self) -> Path:
        return self.root / "trust-root.json"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def storage(self) -> Path:
        return self.root / "storage"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run_file(self) -> Path:
        return self.root / "run.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def ui(self) -> Path:
        return self.root / "ui"

    @property
    def deno(self) -> Path:
        return self.root / "deno"

    def create(self) -> None:
        """Make the folder private to its owner.

        Started by root, Postgres runs as another account and must pass *through* the folder: then it gets mode 711,
        which lets others through but shows them nothing; everything inside stays 700 or 600.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
            for folder in (self.storage, self.logs, self.ui, self.deno, self.checkpoints):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o700)
        except PermissionError as error:
            raise NoPermission(
                f"Cannot write to {error.filename or self.root}: make it writable for this user, or set "
                "OPSROOM_STATE_DIR to a folder that is."
            ) from error
        except FileExistsError as error:
            raise NoPermission(f"{error.filename} is a file where a folder is needed: move it away.") from error


def state_from_environment() -> State:
    """`OPSROOM_STATE_DIR`, else `.opsroom` in the repository."""
    return State(Path(os.environ.get("OPSROOM_STATE_DIR") or REPOSITORY / ".opsroom").absolute())


@dataclass(frozen=True)
class Ports:
    ui: int = 3000
    api: int = 54321
    database: int = 54322
    functions: int = 54323
    worker: int = 54325


_VARIABLES = {
    "ui": "OPSROOM_UI_PORT",
    "api": "OPSROOM_API_PORT",
    "database": "OPSROOM_DB_PORT",
    "functions": "OPSROOM_FUNCTIONS_PORT",
    "worker": "OPSROOM_WORKER_PORT",
}


def ports_from_environment() -> Ports:
    """The five ports; 0 in a variable means any free one."""
    chosen: dict[str, int] = {}
    for field, variable in _VARIABLES.items():
        text = os.environ.get(variable)
        if not text:
            continue
        if not text.isdecimal() or int(text) > 65535:
            raise PortBusy(f"{variable}={text} is not a port number: use 0 to 65535.")
        chosen[field] = int(text) or free_port()
    return Ports(**chosen)


def free_port() -> int:
    """A port nobody listens on at this moment (it can be taken before it is used: the caller must report that)."""
    return next(port for port in _candidates if _is_free(port))


async def require_free(port: int, what: str, variable: str, patience_seconds: float = 2) -> None:
    """Raise `PortBusy` when something listens on `port`. What a crashed stack left needs a moment to go away."""
    deadline = time.monotonic() + patience_seconds
    while not _is_free(port):
        if time.monotonic() > deadline:
            raise PortBusy(
                f"Port {port} for {what} is taken by another program: stop that one, or choose another with {variable}."
            )
        await asyncio.sleep(0.1)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def port_variable(field: str) -> str:
    return _VARIABLES[field]


def passable_by_others(path: Path) -> bool:
    """Whether an account without rights of its own may walk to `path` (x for others on every folder above it)."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
