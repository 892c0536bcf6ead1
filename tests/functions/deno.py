"""Runs Deno as `opsroom up` and CI do: the locked wheel, the function's own configuration, nothing asked."""

from __future__ import annotations

import asyncio
import os

from opsroom.local import functions
from opsroom.local.paths import REPOSITORY
from tests.support.stack import DENO_CACHE

FUNCTION = REPOSITORY / "supabase" / "functions" / "ops-executor"
TESTS = REPOSITORY / "tests" / "functions"
CONFIG = ("--config", str(FUNCTION / "deno.json"))
# The tests need supabase-js, the function does not: their lock is their own, so that the deployed one stays small.
TEST_LOCK = ("--lock", str(TESTS / "deno.lock"), "--frozen")
ENVIRONMENT = os.environ | {"DENO_DIR": str(DENO_CACHE), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}


async def deno(*arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> str:
    """What Deno printed; its exit status must be 0."""
    process = await asyncio.create_subprocess_exec(
        functions.deno(),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=REPOSITORY,
        env=ENVIRONMENT | (env or {}),
    )
    output, _ = await process.communicate(stdin.encode())
    text = output.decode()
    assert process.returncode == 0, text
    return text
