"""Pages of all runs and insights over a million runs, next to the same page over a thousand: as a person's calls, in
the database, without the network.

The pages are taken at the top, in the middle and near the end; the filters find much, little and nothing.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from bench.engine import timed
from bench.history import History, load_history
from bench.report import Rounds, Row
from bench.room import Connection, new_worker, open_database, value

LIMIT_MS = 300.0
PAGE = 50


@dataclass
class Ledger:
    """A database with a history, and a person who looks at it."""

    person: Connection
    history: History
    cursors: list[str | None]

    def filters(self) -> dict[str, dict[str, Any]]:
        session = self.history.sessions[0]
        return {
            "no filter": {},
            "one state, frequent": {"status": ["succeeded"]},
            "one state, rare": {"status": ["timed_out"]},
            "live only": {"status": ["queued", "claimed", "running"]},
            "given up": {"dead_letters": True},
            "a session": {"session": session},
            "a rare person": {"person": self.history.rare_person},
            "a template and a lane": {"template": "rotate-keys", "lane": "B"},
            "no such template": {"template": "nothing"},
            "a text": {"text": "module_13"},
            "a text that is nowhere": {"text": "nowhere at all"},
            "a text that is nowhere, in failures": {"text": "nowhere at all", "status": ["failed", "timed_out"]},
            "all at once": {
                "session": session,
                "status": ["failed"],
                "lane": "A",
                "template": "snapshot",
                "text": "odoo",
            },
        }

    async def page(self, wanted: dict[str, Any], before: str | None) -> Any:
        return await value(self.person, "select public.search_runs(%s, %s, %s)", json.dumps(wanted), before, PAGE)


async def run(*, quick: bool) -> list[Row]:
    many, rounds = (50_000, 3) if quick else (1_000_000, 5)
    async with AsyncExitStack() as stack:

        async def ledger(runs: int) -> tuple[Ledger, Connection]:
            database = await stack.enter_async_context(open_database())
            person, worker, owner = [await database.connect(who) for who in ("person", "worker", "postgres")]
            for connection in (person, worker, owner):
                await stack.enter_async_context(connection)
            history = await load_history(database, person, await new_worker(worker), runs)
            cursors = [
                await value(
                    owner,
                    "select private.run_cursor(r) from public.runs as r order by queued_at desc offset %s limit 1",
                    at,
                )
                for at in (runs // 2, runs - 100)
            ]
            while await value(owner, "select private.count_runs(5000)"):
                pass
            return Ledger(person, history, [None, *cursors]), owner

        deep, _ = await ledger(many)
        shallow, _ = await ledger(1000)

        async def sample(each: Ledger, name: str) -> list[float]:
            samples: list[float] = []
            for before in each.cursors:
                await timed(samples, lambda before=before: each.page(each.filters()[name], before))
            return samples

        async def figures(each: Ledger, days: int) -> list[float]:
            samples: list[float] = []
            for _ in range(3):
                await timed(
                    samples,
                    lambda: value(each.person, "select public.read_insights(now() - make_interval(days => %s))", days),
                )
            return samples

        rows: list[Row] = []
        for name in deep.filters():
            measured: list[list[float]] = []
            compared: list[list[float]] = []
            for number in range(rounds + 1):
                ours, theirs = await sample(deep, name), await sample(shallow, name)
                if number:
                    measured.append(ours)
                    compared.append(theirs)
            rows.append(_row(f"page of {many:,} runs, {name}", measured, compared))
        for days in (1, 7, 30):
            pairs = [(await figures(deep, days), await figures(shallow, days)) for _ in range(rounds)]
            rows.append(_row(f"insights of {days} d, {many:,} runs", [a for a, _ in pairs], [b for _, b in pairs]))
        return rows


def _row(what: str, measured: Rounds, compared: Rounds) -> Row:
    return Row(what, measured, "the same of 1,000 runs", compared, limit_ms=LIMIT_MS)
