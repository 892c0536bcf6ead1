"""A room in which everything that runs is witnessed, and whose history is checked at the end."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import history_source, witness
from tests.support.history import History
from tests.worker.room import Room, WorkerProcess, eventually
from workers.store import Claim, Store
from workers.store.postgres import PostgresTransport

LEASE = 5
"""Seconds: the shortest lease that a template may ask for."""


@dataclass
class Ward(Room):
    created: set[str] = field(default_factory=set[str])
    sessions: set[str] = field(default_factory=set[str])

    @property
    def witness(self) -> Path:
        return self.folder / "witness"

    @property
    def work(self) -> Path:
        folder = self.folder / "work"
        folder.mkdir(exist_ok=True)
        return folder

    def environment(self, transport: str = "postgres", **extra: str) -> dict[str, str]:
        env = super().environment(transport)
        env |= {"OPSROOM_WORK_ROOT": str(self.work), "OPSROOM_WORKER_HEARTBEAT_SECONDS": "1"}
        env |= {"OPSROOM_WORKER_POLL_SECONDS": "0.5", "OPSROOM_WORKER_SWEEP_SECONDS": "0.5"}
        return env | extra

    async def new_session(self) -> str:
        session = await super().new_session()
        self.sessions.add(session)
        return session

    async def launch(self, *args: Any, **keys: Any) -> str:
        run_id = await super().launch(*args, **keys)
        self.created.add(run_id)
        return run_id

    async def witnessed(self, body: str = "", seconds: float = 0, retry: bool = False, **keys: Any) -> str:
        """A template of one step that tells the witness; with `retry`, lost runs get a successor."""
        keys = {"lease_seconds": LEASE, **keys}
        if retry:
            keys["retry"] = {"attempts": 3, "on": ["lost"], "backoff_seconds": 0}
        step = {"with": {"script": witness.script(self.witness, body, seconds)}, **keys.pop("step", {})}
        return await self.template([step], **keys)

    async def go(self, body: str = "", seconds: float = 0, **keys: Any) -> str:
        return await self.launch(await self.witnessed(body, seconds, **keys))

    async def until_seen(self, run_id: str, what: str = "started", seconds: float = 20) -> None:
        async def there() -> bool:
            return any(s.run_id == run_id and s.what == what for s in witness.read(self.witness))

        await eventually(there, f"run {run_id} to be seen {what}", seconds)

    def seen(self, run_id: str) -> list[str]:
        return [s.what for s in witness.read(self.witness) if s.run_id == run_id and s.what != "alive"]

    async def successor(self, run_id: str, seconds: float = 20) -> str:
        async def there() -> str | None:
            rows = await self.sql("select id from runs where retry_of = %s", run_id)
            return str(rows[0]["id"]) if rows else None

        return await eventually(there, f"run {run_id} to have a successor", seconds)

    async def lose(self, run_id: str) -> None:
        """What time would do: the lease of a run whose worker is known to be dead is over now, and somebody sweeps."""
        await self.sql("update runs set lease_expires_at = clock_timestamp() - interval '1 s' where id = %s", run_id)
        await self.sql("update private.sweep_state set held_until = null")

        async def ended() -> bool:
            await self.sql("select sweep_runs()")
            return (await self.run(run_id))["finished_at"] is not None

        # A freshly started database keeps silent for one lease.
        await eventually(ended, f"run {run_id} to be swept", LEASE + 5)

    async def row_of(self, worker: WorkerProcess) -> dict[str, Any]:
        return (await self.sql("select * from workers where pid = %s order by started_at desc", worker.process.pid))[0]

    async def check(self, **about: Any) -> History:
        """The history checker over all that this test made."""
        return await history_source.check(self.stack, self.sessions, self.witness, self.created, self.work, **about)

    async def clear(self) -> None:
        """Nothing of this test may be claimed by the next one's workers."""
        await self.sql(
            "select private.end_run(id, 'cancelled', 'cancelled_by_person', '') from runs"
            " where session_id = any(%s) and finished_at is null",
            list(self.sessions),
        )
        await self.sql("update workers set stopped_at = clock_timestamp() where stopped_at is null")

    @asynccontextmanager
    async def store(self, url: str | None = None, worker_id: str | None = None) -> AsyncGenerator[Store]:
        """A worker's hands without a worker: the calls, registered, one by one."""
        store = Store(PostgresTransport(url or self.stack.database_url("worker"), 2), worker_id or str(uuid.uuid4()))
        await store.open()
        try:
            await store.register_worker(name="hands", host="here", pid=1, version="0", capacity=100)
            yield store
        finally:
            await store.close()

    async def claim(self, store: Store, run_id: str) -> Claim:
        """This run and no other."""
        await self.sql("update runs set priority = 100 where id = %s and status = 'queued'", run_id)
        claims = await store.claim_runs(1, str(uuid.uuid4()))
        assert [claim.run_id for claim in claims] == [run_id]
        return claims[0]
