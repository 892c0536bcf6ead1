"""The reference for pick-up: a queue worker in its shortest honest form. Started as `python -m bench.bare_worker DSN`.

LISTEN, claim by `for update skip locked`, spawn the command, store its first line. No lease, no limits, no groups of
processes, no events but the one line; with it goes when the NOTIFY was heard and when the claim was answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import psycopg

from bench import floor


async def work(dsn: str) -> None:
    listener = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    await listener.execute("listen floor_jobs")
    print("ready", flush=True)
    async for _ in listener.notifies():
        heard = time.time()
        while row := await (await connection.execute(floor.CLAIM)).fetchone():
            begun = time.time()
            process = await asyncio.create_subprocess_exec("date", "+%s.%N", stdout=asyncio.subprocess.PIPE)
            assert process.stdout is not None
            line = await process.stdout.readline()
            event = {"message": line.decode(), "data": {"heard": heard, "begun": begun}}
            await connection.execute(floor.APPEND, (row[0], json.dumps([event])))
            await process.wait()
            await connection.execute(floor.FINISH, (row[0],))


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
