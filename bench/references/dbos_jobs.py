"""`fill N` queues N workflows that do nothing; `work "" CONCURRENCY` runs them until it is killed."""

# Runs in an environment of its own; see bench/references/install.py.
# pyright: reportMissingImports=false, reportFunctionMemberAccess=false

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions

DSN, *WHAT = sys.argv[1:]
CONFIG: DBOSConfig = {"name": "bench", "system_database_url": DSN, "application_version": "1", "log_level": "ERROR"}


@DBOS.workflow()
def nothing() -> None:
    pass


def launch() -> None:
    DBOS(config=CONFIG)
    DBOS.launch()


match WHAT:
    case ["fill", count]:
        launch()
        DBOS.destroy()
        client = DBOSClient(system_database_url=DSN)
        options: EnqueueOptions = {"queue_name": "bench", "workflow_name": nothing.__qualname__}
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: client.enqueue(options), range(int(count))))
        client.destroy()
    case ["work", _, _]:
        launch()
        DBOS.register_queue("bench")
        threading.Event().wait()
    case _:
        raise SystemExit("fill N | work WAY CONCURRENCY")
