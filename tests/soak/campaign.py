"""A soak: runs created evenly, faults at random, all mended, the rest worked off, and then the checker over everything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import random
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.ward import LEASE, Ward
from tests.soak.fleet import Fleet
from tests.soak.injections import Scene, name, pick, undo_pauses
from tests.support import history_source
from tests.support.history import violations
from tests.support.private_stack import private_stack
from tests.support.witness import read, script

SESSIONS, LANE_CAPACITY = 4, 3
BACKLOG = 1500
"""Runs that wait at most: a machine too slow for the plan makes fewer runs, instead of ending with a heap of them."""
EVERY_SECONDS = 1.2
"""Between injections, on average."""
COMMANDS = ((0.74, "silent", 0.0), (0.18, "short", 0.1), (0.08, "long", 3.0))
"""Parts of the runs: steps without a command, and commands that take so many seconds (unless something happens)."""


@dataclass(frozen=True)
class Plan:
    seconds: float
    workers: int
    runs: int
    seed: int | None
    drain_seconds: float


@dataclass
class Report:
    plan: Plan
    seed: int
    injected: Counter[str] = field(default_factory=Counter[str])
    ends: Counter[str] = field(default_factory=Counter[str])
    created: int = 0
    attempts: int = 0
    unfinished: int = 0
    restarts: int = 0
    sightings: int = 0
    events: int = 0
    took: float = 0.0
    broken: list[str] = field(default_factory=list[str])

    @property
    def holds(self) -> bool:
        return not self.broken and not self.unfinished and self.created > 0

    def text(self) -> str:
        machine = (
            f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
        )
        lines = [f"Soak of {self.took:.0f} s, {self.plan.workers} workers, seed {self.seed}, on {machine}", "Injected:"]
        lines += [f"  {count:6} {what}" for what, count in sorted(self.injected.items())]
        lines += [f"  {self.restarts:6} workers started again", "Found:"]
        lines += [f"  {self.created:6} runs created, {self.attempts} with their retries, {self.unfinished} unfinished"]
        lines += [f"  {count:6} {what}" for what, count in self.ends.most_common()]
        lines += [f"  {self.events:6} events, {self.sightings} lines of the witness"]
        lines += [f"The history {'holds' if self.holds else 'DOES NOT HOLD'}: {len(self.broken)} rules broken"]
        return "\n".join([*lines, *(f"  {said}" for said in self.broken[:50])])


class Campaign:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        seed = plan.seed if plan.seed is not None else random.SystemRandom().randrange(1 << 32)
        self._choice = random.Random(seed)
        self._report = Report(plan, seed)
        self._created: set[str] = set()
        self._injecting: set[asyncio.Task[None]] = set()

    async def run(self) -> Report:
        began = time.monotonic()
        async with private_stack() as stack:
            with tempfile.TemporaryDirectory(prefix="opsroom-soak-") as folder:
                ward = await Ward.open(stack, Path(folder), await person(stack))
                for _ in range(SESSIONS - 1):
                    await ward.new_session()
                await ward.sql("update lanes set capacity = %s", LANE_CAPACITY)
                await self._save_templates(ward)
                async with Fleet(ward, self._plan.workers) as fleet:
                    await self._work(ward, fleet)
                    self._report.restarts = fleet.restarts
                    await self._work_off(ward)
                    await fleet.drain()
                await self._judge(ward)
        self._report.took = time.monotonic() - began
        return self._report

    async def _work(self, ward: Ward, fleet: Fleet) -> None:
        until = time.monotonic() + self._plan.seconds
        creating = asyncio.create_task(self._create(ward, until))
        scene = Scene(ward, fleet, self._choice)
        while time.monotonic() < until:
            task = asyncio.create_task(self._inject(scene))
            self._injecting.add(task)
            task.add_done_callback(self._injecting.discard)
            await asyncio.sleep(self._choice.uniform(0, 2 * EVERY_SECONDS))
        await asyncio.gather(*self._injecting)
        for slot in fleet.slots:
            slot.wire.mend()
        await creating

    async def _inject(self, scene: Scene) -> None:
        injection = pick(self._choice)
        try:
            await injection(scene)
        except (psycopg.OperationalError, OSError):
            # The database is away, or the process is gone already: another fault was faster.
            self._report.injected[f"{name(injection)} (met another fault)"] += 1
        except Exception as error:
            self._report.broken.append(f"the injection {name(injection)} failed: {error!r}")
        else:
            self._report.injected[name(injection)] += 1

    async def _save_templates(self, ward: Ward) -> None:
        retry = {"attempts": 5, "on": ["lost"], "backoff_seconds": 0}
        step = {"kind": "noop", "with": {}}
        self._silent = await ward.template([step], lease_seconds=LEASE, retry=retry)
        self._slugs = [self._silent]
        for _, _, seconds in COMMANDS[1:]:
            told = script(ward.witness, "echo talking", seconds)
            self._slugs.append(await ward.template([{"with": {"script": told}}], lease_seconds=LEASE, retry=retry))

    async def _create(self, ward: Ward, until: float) -> None:
        """Evenly over the time; as an operator whose calls are repeated under their key until they are answered."""
        places = [(session, lane) for session in sorted(ward.sessions) for lane in "ABCD"]
        began, total = time.monotonic(), self._plan.runs
        while len(self._created) < total and (now := time.monotonic()) < until:
            due = int(total * min(1.0, (now - began + 1) / (until - began))) - len(self._created)
            if due > 0 and await self._has_room(ward):
                batch = [self._choice.choice(places) for _ in range(min(due, 100))]
                await self._create_batch(ward, batch)
            await asyncio.sleep(0.2)

    async def _has_room(self, ward: Ward) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            (row,) = await ward.sql("select count(*) < %s as room from runs where status = 'queued'", BACKLOG)
            return row["room"]
        return False

    async def _create_batch(self, ward: Ward, places: list[tuple[str, str]]) -> None:
        sessions, lanes = map(list, zip(*places, strict=True))
        slugs = self._choice.choices(self._slugs, [part for part, _, _ in COMMANDS], k=len(places))
        keys = [str(uuid.uuid4()) for _ in places]
        while True:
            try:
                runs = await ward.call(
                    "select json_agg(create_run(p_session_id => s, p_template => t, p_lane => l, p_idempotency_key => k) ->> 'id')"
                    " from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) as new (s, t, l, k)",
                    *(sessions, slugs, lanes, keys),
                )
            except psycopg.OperationalError:
                await asyncio.sleep(0.3)
            else:
                self._created.update(runs)
                return

    async def _work_off(self, ward: Ward) -> None:
        until = time.monotonic() + self._plan.drain_seconds
        while time.monotonic() < until:
            with contextlib.suppress(psycopg.OperationalError):  # it may still recover from the last fault
                await undo_pauses(ward)
                (row,) = await ward.sql("select count(*) as n from runs where finished_at is null")
                if row["n"] == 0:
                    break
            await asyncio.sleep(0.5)

    async def _judge(self, ward: Ward) -> None:
        """Session by session, so that a long soak fits into memory."""
        report, sightings, known = self._report, read(ward.witness), set[str]()
        for session in sorted(ward.sessions):
            history = await history_source.load(ward.stack, [session], ward.folder / "none")
            history.sightings = [s for s in sightings if s.run_id in history.runs]
            history.silent, history.outlive_seconds = frozenset({self._silent}), LEASE
            history.created = self._created & history.runs.keys()
            history.processes = await history_source.left(history.runs.keys(), ward.work)
            known |= history.runs.keys()
            report.broken += violations(history)
            report.attempts += len(history.runs)
            report.unfinished += sum(run["finished_at"] is None for run in history.runs.values())
            report.events += sum(map(len, history.events.values()))
            for run in history.runs.values():
                report.ends[run["status"] + (f" ({run['reason']})" if run["reason"] else "")] += 1
        report.broken += [f"run {run}: acknowledged and gone" for run in self._created - known]
        report.broken += [
            f"run {s.run_id}: the witness saw a run that nobody knows" for s in sightings if s.run_id not in known
        ]
        report.created, report.sightings = len(self._created), len(sightings)


async def person(stack: Any) -> str:
    """The id of an admin."""
    user_id, email = str(uuid.uuid4()), "soak@example.com"
    async with await psycopg.AsyncConnection.connect(stack.database_url("supabase_admin"), autocommit=True) as admin:
        await admin.execute("insert into auth.users (id, email) values (%s, %s)", (user_id, email))
    async with await psycopg.AsyncConnection.connect(stack.database_url("postgres"), autocommit=True) as owner:
        await owner.execute("select set_member(%s, 'admin')", (email,))
    return user_id
