"""`python -m bench`: runs the benchmarks on a private stack and prints them; exits 1 when a limit was not kept."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys

from rich.console import Console

from bench import (
    batches,
    board_latency,
    cancel,
    depth,
    engine,
    evidence,
    log,
    loss,
    pickup,
    processes,
    references,
    room_load,
    room_pages,
    runs,
    throughput,
)
from bench.report import Row, machine, print_rows

BENCHMARKS = {
    "board": ("Change in the database to the board in the browser", board_latency.run),
    "engine": ("Engine calls against bare SQL", engine.run),
    "pickup": ("Pick-up by an idle worker", pickup.run),
    "throughput": ("Runs of no-op steps with full evidence, a hundred at a time; ms for each run", throughput.run),
    "processes": ("Runs of a process that ends at once; ms for each run", processes.run),
    "batches": ("The engine's SQL against bare SQL, one by one and a hundred at a time; ms for each run", batches.run),
    "depth": ("A claim from a deep table against one from an empty table", depth.run),
    "references": ("Other queues against the engine's worker; ms for each job", references.run),
    "loss": ("kill -9 of a worker to the successor's start elsewhere", loss.run),
    "cancel": ("Cancel to the last process gone", cancel.run),
    "evidence": ("An evidence bundle of 1,000 events and 10 artifacts", evidence.run),
    "room": ("The board under load: every change in every tab", room_load.run),
    "pages": ("Opening pages, and following a log", room_pages.run),
    "runs": ("Pages of all runs and insights, of a million runs and of a thousand", runs.run),
    "log": ("Heartbeats while one run says 20,000 lines a second", log.run),
}


async def main(names: list[str], *, quick: bool, as_json: bool) -> bool:
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console = Console(stderr=as_json, width=140)
    where = machine()
    console.print(", ".join(f"{name} {value}" for name, value in where.items()), highlight=False)
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        console.print("[yellow]This machine is busy with other programs: compare the ratios, do not quote the times.")
    results: dict[str, list[Row]] = {}
    for name in names:
        title, run = BENCHMARKS[name]
        results[name] = await run(quick=quick)
        print_rows(console, title, results[name])
    if as_json:
        rows = {name: [row.as_json() for row in found] for name, found in results.items()}
        sys.stdout.write(json.dumps({"machine": where, "quick": quick, "benchmarks": rows}, indent=2) + "\n")
    return all(row.kept for found in results.values() for row in found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], default=[], help="all when none is named")
    parser.add_argument("--quick", action="store_true", help="fewer samples: to see that it works, not to quote")
    parser.add_argument("--json", action="store_true", help="JSON on stdout, the tables on stderr")
    options = parser.parse_args()
    kept = asyncio.run(main(options.names or list(BENCHMARKS), quick=options.quick, as_json=options.json))
    sys.exit(0 if kept else 1)
