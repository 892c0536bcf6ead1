"""A broken worker, for the mutation test: it spawns first and commits the start afterwards."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from workers.__main__ import main
from workers.store.postgres import PostgresTransport
from workers.store.transport import Channel

committed_call = PostgresTransport.call
late: set[asyncio.Task[Any]] = set()


async def call(self: PostgresTransport, function: str, params: Mapping[str, Any], channel: Channel) -> Any:
    if function not in ("start_run", "start_runs"):
        return await committed_call(self, function, params, channel)

    async def afterwards() -> None:
        await asyncio.sleep(0.5)
        await committed_call(self, function, params, channel)

    late.add(asyncio.create_task(afterwards()))
    if function == "start_run":
        return {"verdict": "started"}
    return [{"run_id": run["run_id"], "verdict": "started"} for run in params["p_runs"]]


PostgresTransport.call = call

if __name__ == "__main__":
    sys.exit(main())
