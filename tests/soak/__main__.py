"""`python -m tests.soak`: runs under random faults for a while, then the history checker over every one of them."""

import argparse
import asyncio
import sys

from tests.soak.campaign import Campaign, Plan


def main() -> int:
    """Exit code 0 when the history holds and every run has ended, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800, help="how long faults are injected (1800)")
    parser.add_argument("--workers", type=int, default=8, help="worker processes (8)")
    parser.add_argument("--runs", type=int, default=50_000, help="runs created, evenly over the time (50000)")
    parser.add_argument("--seed", type=int, default=None, help="of the choice of faults; printed when not given")
    parser.add_argument("--drain", type=float, default=300, help="seconds allowed to work off the rest (300)")
    arguments = parser.parse_args()
    plan = Plan(arguments.seconds, arguments.workers, arguments.runs, arguments.seed, arguments.drain)
    report = asyncio.run(Campaign(plan).run())
    print(report.text())
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
