"""Runs Deno as `opsroom up` and CI do: the locked wheel, the function's own configuration, nothing asked."""

from __future__ import annotations

import asyncio
import os
import sysconfig
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FUNCTION = REPOSITORY / "supabase" / "functions" / "ops-executor"
TESTS = REPOSITORY / "tests" / "functions"
CONFIG = ("--config", str(FUNCTION / "deno.json"))
# The tests need supabase-js, the function does not: their lock is their own, so that the deployed one stays small.
TEST_LOCK = ("--lock", str(TESTS / "deno.lock"), "--frozen")


async def deno(*arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> str:
    """What Deno printed; its exit status must be 0."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sysconfig.get_path("scripts")) / "deno"),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=REPOSITORY,
        env=os.environ | {"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"} | (env or {}),
    )
    output, _ = await process.communicate(stdin.encode())
    text = output.decode()
    assert process.returncode == 0, text
    return text
