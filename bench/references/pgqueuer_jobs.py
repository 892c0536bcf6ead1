"""`fill N` queues N jobs that do nothing; `work BATCH CONCURRENCY` does them until it is killed."""

# Runs in an environment of its own; see bench/references/install.py.
# pyright: reportMissingImports=false, reportFunctionMemberAccess=false

import asyncio
import sys

import psycopg
from pgqueuer import PgQueuer
from pgqueuer.db import PsycopgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

DSN, *WHAT = sys.argv[1:]


async def main() -> None:
    async with await psycopg.AsyncConnection.connect(DSN, autocommit=True) as connection:
        driver = PsycopgDriver(connection)
        match WHAT:
            case ["fill", count]:
                queries = Queries(driver)
                await queries.install()
                jobs = int(count)
                await queries.enqueue(["nothing"] * jobs, [None] * jobs, [0] * jobs)
            case ["work", batch, _]:
                queue = PgQueuer(driver)

                @queue.entrypoint("nothing")
                async def nothing(job: Job) -> None:
                    pass

                await queue.run(batch_size=int(batch))
            case _:
                raise SystemExit("fill N | work BATCH CONCURRENCY")


asyncio.run(main())
