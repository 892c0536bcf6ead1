"""The processes of the stack: how each is started, and how one knows that it serves."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from opsroom.local import process
from opsroom.local.errors import StackError
from opsroom.local.paths import LOOPBACK, REPOSITORY, Ports, State

# What a child gets of our own environment: nothing that is a secret of somebody else.
_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE")


@dataclass
class Service:
    """One child process. `ready_url` answers 2xx once it serves."""

    name: str
    command: list[str]
    environment: dict[str, str]
    ready_url: str
    log: Path
    grace_seconds: float = 10
    process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def start(self) -> None:
        self.process = await process.spawn(
            self.command, environment=self.environment, log=self.log, folder=REPOSITORY, death_signal=signal.SIGTERM
        )

    async def wait_until_ready(self, limit_seconds: float = 60) -> None:
        """Returns when `ready_url` answers. Raises `StackError` with the end of the log when the process ends first."""
        assert self.process is not None
        try:
            async with asyncio.timeout(limit_seconds), httpx.AsyncClient(timeout=5) as client:
                while True:
                    if self.process.returncode is not None:
                        raise StackError(
                            f"The {self.name} stopped while starting (exit {self.process.returncode}); the end of "
                            f"{self.log}:\n{process.last_lines(self.log)}"
                        )
                    try:
                        if (await client.get(self.ready_url)).is_success:
                            return
                    except httpx.TransportError:
                        pass
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise StackError(
                f"The {self.name} did not answer within {limit_seconds:.0f} s; the end of {self.log}:\n"
                f"{process.last_lines(self.log)}"
            ) from error

    async def stop(self) -> None:
        if self.process is not None:
            await process.stop(self.process, grace_seconds=self.grace_seconds)
            self.process = None


def base_environment(state: State, ports: Ports) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **kept,
        "PYTHONUNBUFFERED": "1",
        "OPSROOM_STATE_DIR": str(state.root),
        "OPSROOM_UI_PORT": str(ports.ui),
        "OPSROOM_API_PORT": str(ports.api),
        "OPSROOM_DB_PORT": str(ports.database),
        "OPSROOM_FUNCTIONS_PORT": str(ports.functions),
        "OPSROOM_WORKER_PORT": str(ports.worker),
    }


def gateway(state: State, ports: Ports) -> Service:
    return Service(
        "gateway",
        [sys.executable, "-m", "opsroom.local.gateway"],
        base_environment(state, ports),
        f"http://{LOOPBACK}:{ports.api}/health",
        state.logs / "gateway.log",
    )


def functions(state: State, ports: Ports, command: list[str], environment: Mapping[str, str]) -> Service:
    return Service(
        "Edge Function runtime",
        command,
        dict(environment),
        f"http://{LOOPBACK}:{ports.functions}/_health",
        state.logs / "functions.log",
    )
