"""`fill N` queues N jobs that do nothing; `work "" CONCURRENCY` does them until it is killed."""

import asyncio
import sys

from procrastinate import App, PsycopgConnector

DSN, *WHAT = sys.argv[1:]
app = App(connector=PsycopgConnector(conninfo=DSN))


@app.task(name="nothing")
async def nothing() -> None:
    pass


async def main() -> None:
    async with app.open_async():
        match WHAT:
            case ["fill", count]:
                await app.schema_manager.apply_schema_async()
                await nothing.batch_defer_async(*({} for _ in range(int(count))))
            case ["work", _, concurrency]:
                await app.run_worker_async(concurrency=int(concurrency))
            case _:
                raise SystemExit("fill N | work WAY CONCURRENCY")


asyncio.run(main())
