"""Runs `opsroom up` as a person would, in a state folder and on ports of its own, and reads what it says."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsroom.local.paths import REPOSITORY, Ports, State, free_port
from opsroom.local.ui import Ui
from tests.support.stack import DENO_CACHE

WAIT = 60
OPSROOM = str(Path(sys.executable).with_name("opsroom"))
PORTS = ("UI", "API", "DB", "FUNCTIONS", "WORKER")


@dataclass
class Launcher:
    """`up` starts one; every one that still runs is stopped at the end of the test."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})
    started: list[Running] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("SUPABASE_", "OPSROOM_"))
        }
        chosen = {f"OPSROOM_{name}_PORT": str(port) for name, port in self.ports.items()}
        return {**inherited, **chosen, "OPSROOM_STATE_DIR": str(self.folder), **more}

    async def bring_board(self) -> None:
        """Put the frontend into the state folder, in the build that the browser tests use as well."""
        kept = State(REPOSITORY / ".opsroom" / "tests")
        kept.create()
        ui = Ui(kept, Ports())
        if not ui.is_built():
            await ui.build()
        shutil.copytree(kept.ui, self.folder / "ui", ignore=shutil.ignore_patterns("node_modules"), symlinks=True)

    async def command(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Run `opsroom` to its end: exit code and everything it printed."""
        process = await asyncio.create_subprocess_exec(
            OPSROOM,
            *arguments,
            env=self.environment(**more),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), WAIT)
        return process.returncode or 0, output.decode()

    async def up(self, *arguments: str, **more: str) -> Running:
        """Start, and wait until it says that it is ready."""
        running = await self.begin(*arguments, **more)
        running.ready = await running.next("ready")
        return running

    async def begin(self, *arguments: str, **more: str) -> Running:
        """Start, and wait for nothing."""
        (self.folder / "deno").mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            OPSROOM,
            *("up", "--json"),
            *(arguments or ("--no-ui",)),
            env=self.environment(**more),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        running = Running(process)
        self.started.append(running)
        return running


@dataclass
class Running:
    process: asyncio.subprocess.Process
    ready: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    async def next(self, event: str, containing: str = "") -> dict[str, Any]:
        """The next event of that kind. Fails when the command ends first."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT):
            while line := await self.process.stdout.readline():
                self.said.append(line.decode())
                try:
                    told = json.loads(line)
                except ValueError:
                    continue
                if told.get("event") == event and containing in line.decode():
                    return told
        raise AssertionError("opsroom up ended:\n" + "".join(self.said))

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        output = await asyncio.wait_for(self.process.communicate(), WAIT)
        self.said.append((output[0] or b"").decode())
        return self.process.returncode or 0

    def children(self) -> dict[int, str]:
        """The processes it has started, by pid, with their command lines."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid): Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in listed}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_gone(pids: list[int]) -> None:
    async with asyncio.timeout(WAIT):
        while any(map(alive, pids)):
            await asyncio.sleep(0.05)


__all__ = ["DENO_CACHE", "WAIT", "Launcher", "Running", "alive", "until_gone"]
