"""What a soak does to its room. Each injection undoes itself; its name is counted in the report."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import psycopg

from tests.faults.ward import LEASE, Ward
from tests.soak.fleet import Fleet
from tests.support.wire import Do, Kind
from workers.leash.system import descendants


@dataclass
class Scene:
    ward: Ward
    fleet: Fleet
    choice: random.Random
    database: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by who restarts it: two at once would each find the other's server stopped."""

    async def some_runs(self, status: str, limit: int) -> list[str]:
        rows = await self.ward.sql(
            "select id from runs where session_id = any(%s) and status = %s order by random() limit %s",
            list(self.ward.sessions),
            status,
            limit,
        )
        return [str(row["id"]) for row in rows]


async def kill_worker(scene: Scene) -> None:
    scene.fleet.any(scene.choice).process.send(signal.SIGKILL)


async def stop_worker(scene: Scene) -> None:
    slot = scene.fleet.any(scene.choice)
    process = slot.process
    process.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(scene.choice.uniform(0.5, LEASE + 3))
    finally:
        if process.process.returncode is None:
            process.send(signal.SIGCONT)


async def cut_link(scene: Scene) -> None:
    wire = scene.fleet.any(scene.choice).wire
    wire.cut()
    try:
        await asyncio.sleep(scene.choice.uniform(0.1, LEASE + 2))
    finally:
        wire.mend()


async def hang_link(scene: Scene) -> None:
    wire = scene.fleet.any(scene.choice).wire
    wire.freeze()
    try:
        await asyncio.sleep(scene.choice.uniform(0.1, LEASE + 2))
    finally:
        wire.mend()


async def cut_one_kind(scene: Scene) -> None:
    kinds: tuple[Kind, ...] = ("calls", "heartbeat", "listen")
    scene.fleet.any(scene.choice).wire.cut(scene.choice.choice(kinds))


async def mistreat_calls(scene: Scene, do: Do) -> None:
    """For two seconds a fifth of a worker's calls goes wrong."""
    wire = scene.fleet.any(scene.choice).wire
    wire.chance = lambda body: do if b"public." in body and scene.choice.random() < 0.2 else None
    try:
        await asyncio.sleep(2)
    finally:
        wire.chance = None


async def lose_answers(scene: Scene) -> None:
    await mistreat_calls(scene, "cut_answer")


async def lose_requests(scene: Scene) -> None:
    await mistreat_calls(scene, "cut_request")


async def double_calls(scene: Scene) -> None:
    await mistreat_calls(scene, "twice")


async def delay_answers(scene: Scene) -> None:
    await mistreat_calls(scene, "hold_answer")


async def terminate_backends(scene: Scene) -> None:
    await scene.ward.sql(
        "select pg_terminate_backend(pid) from (select pid from pg_stat_activity"
        " where application_name = 'opsroom-worker' order by random() limit 3) as chosen"
    )


async def crash_database(scene: Scene) -> None:
    """kill -9 of one server process: Postgres throws all out and recovers."""
    rows = await scene.ward.sql(
        "select pid from pg_stat_activity where application_name = 'opsroom-worker' order by random() limit 1"
    )
    for row in rows:
        os.kill(row["pid"], signal.SIGKILL)


async def restart_database(scene: Scene) -> None:
    async with scene.database:
        await scene.ward.stack.postgres.stop()
        await asyncio.sleep(scene.choice.uniform(0, 2))
        await scene.ward.stack.postgres.start()


async def cancel_runs(scene: Scene) -> None:
    for status in ("queued", "claimed", "running"):
        for run_id in await scene.some_runs(status, 2):
            await scene.ward.call("select cancel_run(%s)", run_id)


async def cancel_by_force(scene: Scene) -> None:
    for run_id in await scene.some_runs("running", 1):
        await scene.ward.call("select cancel_run(%s, null, true)", run_id)


async def kill_below(scene: Scene) -> None:
    """A leash, a supervisor or a command, whatever is hit."""
    below = descendants(scene.fleet.any(scene.choice).process.process.pid)
    if below:
        os.kill(scene.choice.choice(below), signal.SIGKILL)


async def many_sweepers(scene: Scene) -> None:
    await asyncio.gather(*(scene.ward.service("sweep_runs") for _ in range(5)))


async def sit_on_a_row(scene: Scene) -> None:
    url = scene.ward.stack.database_url("postgres")
    for run_id in await scene.some_runs("running", 1):
        async with await psycopg.AsyncConnection.connect(url) as console:
            await console.execute("select from runs where id = %s for update", (run_id,))
            await asyncio.sleep(scene.choice.uniform(0.5, LEASE + 2))


async def pause_a_lane(scene: Scene) -> None:
    session, lane = scene.choice.choice(sorted(scene.ward.sessions)), scene.choice.choice("ABCD")
    await scene.ward.call("select set_lane(%s, %s, null, true)", session, lane)
    try:
        await asyncio.sleep(1)
    finally:
        await scene.ward.call("select set_lane(%s, %s, null, false)", session, lane)


async def pause_a_session(scene: Scene) -> None:
    session = scene.choice.choice(sorted(scene.ward.sessions))
    await scene.ward.call("select set_session_paused(%s, true)", session)
    try:
        await asyncio.sleep(1)
    finally:
        await scene.ward.call("select set_session_paused(%s, false)", session)


async def move_runs(scene: Scene) -> None:
    for run_id in await scene.some_runs("queued", 5):
        try:
            lane, priority = scene.choice.choice("ABCD"), scene.choice.randint(-5, 5)
            await scene.ward.call("select move_run(%s, %s, %s)", run_id, lane, priority)
        except psycopg.DatabaseError as error:
            if error.sqlstate != "ORC05":  # it was claimed meanwhile
                raise


async def take_a_worker_out(scene: Scene) -> None:
    """An admin drains a worker that lives and gives it runs again: it goes on with what it had, and claims nothing."""
    rows = await scene.ward.sql("select id from workers where stopped_at is null order by random() limit 1")
    for row in rows:
        await scene.ward.call("select set_worker_draining(%s)", row["id"])
        try:
            await asyncio.sleep(scene.choice.uniform(0.5, 3))
        finally:
            await scene.ward.call("select set_worker_draining(%s, false)", row["id"])


async def undo_pauses(ward: Ward) -> None:
    """What an injection could not undo, because the database was away."""
    await ward.sql("update lanes set paused_at = null where paused_at is not null")
    await ward.sql("update sessions set paused_at = null where paused_at is not null")
    await ward.sql("update workers set draining_at = null where draining_at is not null and stopped_at is null")


Injection = Callable[[Scene], Awaitable[None]]
COMMON: Final[tuple[Injection, ...]] = (
    kill_worker, stop_worker, cut_link, hang_link, cut_one_kind, lose_answers, lose_requests, double_calls, delay_answers,
    terminate_backends, cancel_runs, cancel_by_force, kill_below, many_sweepers, sit_on_a_row, pause_a_lane,
    pause_a_session, move_runs, take_a_worker_out,
)  # fmt: skip
RARE: Final[tuple[Injection, ...]] = (crash_database, restart_database)
"""They stop everything for seconds: one in twenty-five."""


def pick(choice: random.Random) -> Injection:
    return choice.choice(RARE if choice.random() < 0.04 else COMMON)


def name(injection: Injection) -> str:
    return injection.__name__.replace("_", " ")  # type: ignore[attr-defined]
