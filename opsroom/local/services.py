"""The processes of the stack: how each is started, and how one knows that it serves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from opsroom.local import process
from opsroom.local.environment import base_environment, worker_settings
from opsroom.local.errors import StackError
from opsroom.local.paths import LOOPBACK, REPOSITORY, Ports, State


@dataclass
class Service:
    """One child process. `ready_url` answers 2xx once it serves."""

    name: str
    command: list[str]
    environment: dict[str, str]
    ready_url: str
    log: Path
    grace_seconds: float = 10
    asked_twice: bool = False
    # Sent by the kernel when the supervisor is gone. The database goes too then, so there is nothing left to finish.
    death_signal: signal.Signals = signal.SIGKILL
    process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def start(self) -> None:
        self.process = await process.spawn(
            self.command,
            environment=self.environment,
            log=self.log,
            folder=REPOSITORY,
            death_signal=self.death_signal,
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
            times = 2 if self.asked_twice else 1
            await process.stop(self.process, grace_seconds=self.grace_seconds, times=times)
            self.sweep()
            self.process = None

    def sweep(self) -> None:
        """After the process has ended: end what it started itself and left behind in its process group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def gateway(state: State, ports: Ports) -> Service:
    return Service(
        "gateway",
        [sys.executable, "-m", "opsroom.local.gateway"],
        base_environment(state, ports),
        f"http://{LOOPBACK}:{ports.api}/health",
        state.logs / "gateway.log",
    )


def worker(state: State, ports: Ports, variables: Mapping[str, str]) -> Service:
    signing = (
        {"OPSROOM_SIGNING_KEY": str(state.signing_key), "OPSROOM_CHECKPOINT_DIR": str(state.checkpoints)}
        if state.signing_key.exists()
        else {}
    )
    return Service(
        "worker",
        [sys.executable, "-m", "workers"],
        {**signing, **worker_settings(), **base_environment(state, ports), **variables},
        f"http://{LOOPBACK}:{ports.worker}/readyz",
        state.logs / "worker.log",
        # The first SIGTERM lets runs finish, the second stops them: see workers/app.py.
        grace_seconds=15,
        asked_twice=True,
    )


def functions(state: State, ports: Ports, command: list[str], environment: Mapping[str, str]) -> Service:
    return Service(
        "Edge Function runtime",
        command,
        dict(environment),
        f"http://{LOOPBACK}:{ports.functions}/_health",
        state.logs / "functions.log",
    )
