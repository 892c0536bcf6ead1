"""`fill N` queues N jobs that do nothing; `work "" CONCURRENCY` does them until it is killed."""

# Runs in an environment of its own; see bench/references/install.py.
# pyright: reportMissingImports=false, reportFunctionMemberAccess=false

import asyncio
import sys

from procrastinate import App, PsycopgConnector

DSN, *WHAT = sys.argv[1:]
# Settles what its worker finds: more connections than jobs at a time.
app = App(connector=PsycopgConnector(conninfo=DSN, min_size=12, max_size=12))


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
