"""The executor by itself, as deployed: real Deno, the unmodified entry point, and no control plane to be reached."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from opsroom.local import functions
from opsroom.local.paths import LOOPBACK, free_port
from tests.functions.deno import CONFIG, ENVIRONMENT, FUNCTION
from tests.functions.room import EXECUTOR

SECRET = "sb_secret_that_must_not_show"
HELD = {"run_id": "00000000-0000-4000-8000-000000000001", "claim_token": "00000000-0000-4000-8000-000000000002"}


@dataclass
class Alone:
    http: httpx.AsyncClient
    process: asyncio.subprocess.Process

    async def stop(self) -> str:
        """What it had logged."""
        if self.process.returncode is None:
            self.process.terminate()
        output, _ = await self.process.communicate()
        return output.decode()


@pytest.fixture
async def alone() -> AsyncIterator[Alone]:
    port, nobody = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        functions.deno(),
        *("run", *CONFIG, "--frozen", "--allow-env", f"--allow-net={LOOPBACK}", str(FUNCTION / "index.ts")),
        stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=ENVIRONMENT
        | {
            "SUPABASE_URL": f"http://{LOOPBACK}:{nobody}",
            "SUPABASE_ANON_KEY": "sb_publishable_1",
            "SUPABASE_SERVICE_ROLE_KEY": SECRET,
            "DENO_SERVE_ADDRESS": f"tcp:{LOOPBACK}:{port}",
        },
    )
    assert process.stdout is not None
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=20) as http:
        found = Alone(http, process)
        async with asyncio.timeout(30):
            while b"Listening" not in (line := await process.stdout.readline()):
                assert line, "the executor did not start"
        yield found
    await found.stop()


async def test_an_unreachable_database_is_503_with_retry_after(alone: Alone) -> None:
    health = await alone.http.get(f"{EXECUTOR}/health")
    start = await alone.http.post(f"{EXECUTOR}/runs.start", json=HELD, headers={"apikey": SECRET})
    for response in (health, start):
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert int(response.headers["retry-after"]) > 0
        for leak in (SECRET, "127.0.0.1", "file:", "    at "):
            assert leak not in response.text


async def test_what_is_refused_before_the_database_needs_none(alone: Alone) -> None:
    missing = await alone.http.post(f"{EXECUTOR}/runs.start", json={}, headers={"apikey": SECRET})
    assert missing.status_code == 422
    assert (await alone.http.post(f"{EXECUTOR}/runs.start", json=HELD)).status_code == 401
    assert (await alone.http.get(f"{EXECUTOR}/openapi.json")).status_code == 200
    for path in ("runs.start%00", "%2e%2e/v1/runs.start", "runs.start;x", "../../../etc/passwd"):
        assert (await alone.http.post(f"{EXECUTOR}/{path}", json=HELD)).status_code in (401, 404), path


async def test_the_log_is_one_object_per_line_without_keys_or_bodies(alone: Alone) -> None:
    body = HELD | {"text": "a body that must not show"}
    await alone.http.post(f"{EXECUTOR}/runs.start", json=body, headers={"apikey": SECRET, "x-request-id": "req-1"})
    log = await alone.stop()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [(line["operation"], line["status"], line["request_id"]) for line in lines] == [("runs.start", 422, "req-1")]
    assert SECRET not in log
    assert "must not show" not in log
    assert HELD["run_id"] not in log
