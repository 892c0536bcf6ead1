"""Installs the other queues into `.opsroom/bench`: the Python ones from uv.lock's group `bench`, one from npm with Bun.

They stay out of the project's own environment: nothing but this benchmark ever needs them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opsroom.local.paths import REPOSITORY

PROGRAMS: Final = Path(__file__).parent
FOLDER: Final = REPOSITORY / ".opsroom" / "bench"
NPM: Final = {"private": True, "dependencies": {"graphile-worker": "0.18.0"}}


@dataclass(frozen=True)
class Installed:
    python: Path
    bun: Path
    node: Path

    def command(self, program: str) -> list[str]:
        if program.endswith(".js"):
            # It finds its packages in the folder that it stands in.
            shutil.copy(PROGRAMS / program, self.node / program)
            return [str(self.bun), str(self.node / program)]
        return [str(self.python), str(PROGRAMS / program)]


async def _run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=os.environ | (env or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{command[0]} failed:\n{output.decode(errors='replace')}")


def _uv() -> str:
    """As the Makefile finds it."""
    found = shutil.which("uv") or REPOSITORY / ".opsroom" / "tools" / "bin" / "uv"
    if not Path(found).exists():
        raise SystemExit("There is no uv: run `make setup` first.")
    return str(found)


async def install() -> Installed:
    node = FOLDER / "node"
    node.mkdir(parents=True, exist_ok=True)
    python = FOLDER / "python"
    await _run(
        _uv(), "sync", "--frozen", "--quiet", "--only-group", "bench",
        cwd=REPOSITORY, env={"UV_PROJECT_ENVIRONMENT": str(python), "UV_PYTHON_DOWNLOADS": "never"},
    )  # fmt: skip
    bun = Path(sys.executable).parent / "bun"
    wanted = json.dumps(NPM)
    manifest = node / "package.json"
    if not manifest.exists() or manifest.read_text() != wanted or not (node / "node_modules").exists():
        manifest.write_text(wanted)
        await _run(bun, "install", "--silent", cwd=node)
    return Installed(python / "bin" / "python", bun, node)
