"""The same contract through the unmodified supabase-js, under the Deno that the stack itself uses."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path

from opsroom.local.functions import deno
from tests.gateway.project import PASSWORD, Project
from tests.support.stack import DENO_CACHE

SCRIPT = Path(__file__).with_name("supabase_js.ts")
LOCK = Path(__file__).with_name("deno.lock")


async def test_supabase_js_finds_what_it_expects(project: Project) -> None:
    ada, bob = await project.person(), await project.person()
    given = asdict(project.address) | {"password": PASSWORD}
    given |= {"ada": {"id": ada.id, "email": ada.email}, "bob": {"id": bob.id, "email": bob.email}}
    process = await asyncio.create_subprocess_exec(
        deno(),
        *("test", "--quiet", "--no-prompt", "--allow-net", "--allow-env", "--no-config", "--node-modules-dir=none"),
        *("--lock", str(LOCK), "--frozen", str(SCRIPT)),
        env={**os.environ, "CONTRACT": json.dumps(given), "DENO_DIR": str(DENO_CACHE), "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, output.decode()
