"""A real worker, `python -m workers`, for benchmarks."""

from __future__ import annotations

from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.room import Database
from opsroom.local import services
from opsroom.local.paths import LOOPBACK, Ports, free_port

WAIT_SECONDS = 30


@asynccontextmanager
async def real_worker(database: Database, **variables: str) -> AsyncIterator[Process]:
    """One over Postgres, ready."""
    # No run of a benchmark has artifacts, so that this worker never calls the Supabase API.
    environment = {
        "SUPABASE_URL": f"http://{LOOPBACK}:9",
        "SUPABASE_SERVICE_ROLE_KEY": "unused",
        "OPSROOM_DATABASE_URL": database.postgres.dsn("worker"),
        **variables,
    }
    worker = services.worker(database.postgres.state, Ports(worker=free_port()), environment)
    try:
        await worker.start()
        await worker.wait_until_ready(WAIT_SECONDS)
        assert worker.process is not None
        yield worker.process
    finally:
        await worker.stop()


async def stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()
