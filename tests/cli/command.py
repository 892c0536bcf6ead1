"""The `opsroom` command as a person's shell runs it: a process of its own."""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("opsroom")
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error it printed with --json."""
        return json.loads(self.err)["error"]


class Running:
    """A command that is still going on; what it prints is kept line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = ""

    async def until_printed(self, text: str, seconds: float = 30) -> None:
        """Read on until `text` was printed."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            while text not in self.out:
                line = await self.process.stdout.readline()
                assert line, f"it ended and had printed only:\n{self.out}"
                self.out += line.decode()

    async def interrupt(self) -> Answer:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return await self.ended()

    async def ended(self) -> Answer:
        """Wait for its end."""
        out, err = await asyncio.wait_for(self.process.communicate(), TIMEOUT_SECONDS)
        return Answer(self.process.returncode or 0, self.out + out.decode(), err.decode())


@dataclass(frozen=True)
class Shell:
    """A person's shell: environment and working folder."""

    environment: Mapping[str, str]
    folder: Path

    async def start(self, *arguments: str, **variables: str) -> Running:
        """Start a command and leave it running."""
        return Running(await self._spawn(arguments, variables))

    async def run(self, *arguments: str, stdin: str = "", **variables: str) -> Answer:
        """Run a command to its end."""
        process = await self._spawn(arguments, variables)
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), TIMEOUT_SECONDS)
        assert "Traceback" not in err.decode(), err.decode()
        return Answer(process.returncode or 0, out.decode(), err.decode())

    async def _spawn(self, arguments: tuple[str, ...], variables: Mapping[str, str]) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            str(PROGRAM),
            *arguments,
            env={**self.environment, **variables},
            cwd=self.folder,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )
