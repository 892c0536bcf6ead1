"""The room's frontend and server: built when its inputs changed, then served from `.opsroom/ui` by one process.

`rxconfig.py` says how Reflex wants to be built and served.
"""

from __future__ import annotations

import hashlib
import os
import platform
import signal
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from opsroom.local import process
from opsroom.local.environment import base_environment, ui_settings
from opsroom.local.errors import MissingTool, StackError
from opsroom.local.paths import LOOPBACK, REPOSITORY, Ports, State
from opsroom.local.services import Service

_FOLDERS = ("opsroom", "assets", "reflex.lock")
_FILES = ("rxconfig.py", "bunfig.toml", ".npmrc", "uv.lock")
# Parts of the package that never reach the browser, and what Reflex writes itself.
_NO_INPUT = (REPOSITORY / "opsroom" / "local", REPOSITORY / "opsroom" / "cli", REPOSITORY / "assets" / "external")


@dataclass(frozen=True)
class Ui:
    state: State
    ports: Ports

    @property
    def log(self) -> Path:
        return self.state.logs / "ui-build.log"

    @property
    def _marker(self) -> Path:
        return self.state.ui / "built"

    @property
    def _web(self) -> Path:
        return self.state.ui / "web"

    def is_built(self) -> bool:
        return (
            self._marker.exists()
            and self._marker.read_text() == _fingerprint()
            and (self._web / "build" / "client" / "index.html").exists()
        )

    async def build(self) -> None:
        """Build the frontend. Interrupted or failed, it leaves no marker: the next start builds again."""
        programs = Path(sysconfig.get_path("scripts"))
        if not (programs / "bun").exists():
            raise MissingTool("Bun is missing: run `uv sync --extra embedded` (or `make setup`).")
        fingerprint = _fingerprint()
        self._marker.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        environment = self._environment()
        environment["PATH"] = f"{programs}{os.pathsep}{environment.get('PATH', os.defpath)}"
        command = [sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip", "--env", "prod", "--no-ssr"]
        built = await process.spawn(command, environment=environment, log=self.log, folder=REPOSITORY)
        try:
            await built.wait()
        finally:
            await process.stop(built)
        if built.returncode != 0 or not (self._web / "build" / "client" / "index.html").exists():
            raise StackError(f"The frontend could not be built; the end of {self.log}:\n{process.last_lines(self.log)}")
        self._marker.write_text(fingerprint)

    def service(self, variables: Mapping[str, str]) -> Service:
        """The server: the built frontend and its backend on one port. One worker: sign-ins live in its memory."""
        address = ["--host", LOOPBACK, "--port", str(self.ports.ui), "--workers", "1"]
        return Service(
            "UI",
            [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "opsroom.app:app", *address],
            {
                **self._environment(),
                "REFLEX_ENV_MODE": "prod",
                "__REFLEX_SKIP_COMPILE": "true",
                "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
                **variables,
            },
            f"http://{LOOPBACK}:{self.ports.ui}/_health",
            self.state.logs / "ui.log",
            death_signal=signal.SIGTERM,  # granian takes its own child process with it
        )

    def _environment(self) -> dict[str, str]:
        return {
            **base_environment(self.state, self.ports),
            **ui_settings(),
            "REFLEX_WEB_WORKDIR": str(self._web),
            "REFLEX_TELEMETRY_ENABLED": "false",
        }


def _inputs() -> Iterator[Path]:
    yield from (REPOSITORY / name for name in _FILES)
    for folder in _FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if (
                path.is_file()
                and "__pycache__" not in path.parts
                and not any(path.is_relative_to(x) for x in _NO_INPUT)
            ):
                yield path


def _fingerprint() -> str:
    digest = hashlib.sha256(f"{platform.python_version()} {os.environ.get('REFLEX_API_URL', '')}".encode())
    for path in _inputs():
        if path.exists():
            digest.update(str(path.relative_to(REPOSITORY)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


async def require_board(ports: Ports) -> None:
    """The board itself, not only the server's health page, must answer."""
    address = f"http://{LOOPBACK}:{ports.ui}/"
    try:
        async with httpx.AsyncClient(follow_redirects=True, timeout=30) as client:
            answer = await client.get(address)
    except httpx.HTTPError as error:
        raise StackError(f"The board at {address} does not answer ({error}): see .opsroom/logs/ui.log") from error
    if answer.is_error:
        raise StackError(f"The board at {address} answers {answer.status_code}: see .opsroom/logs/ui.log")
