"""A room in which everything that runs is witnessed, and whose history is checked at the end."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg
from psycopg import sql

from tests.support import history_source, witness
from tests.support.history import History
from tests.support.stack import Stack
from tests.worker.room import Room, WorkerProcess, eventually

LEASE = 5
"""Seconds: the shortest lease that a template may ask for."""


@dataclass
class Ward(Room):
    created: set[str] = field(default_factory=set[str])
    sessions: set[str] = field(default_factory=set[str])

    @classmethod
    async def open(cls, stack: Stack, folder: Path, person: str) -> Ward:
        ward = cls(stack, folder, person, base_url=stack.api_url)
        ward.session_id = await ward.new_session()
        return ward

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

    async def swept(self, run_id: str, seconds: float = LEASE + 5) -> None:
        """Until a sweep ends it, for whatever reason a sweep has; nothing is helped along."""

        async def ended() -> bool:
            await self.service("sweep_runs")
            return (await self.run(run_id))["finished_at"] is not None

        await eventually(ended, f"run {run_id} to be swept", seconds)

    async def successor_by_time(self, run_id: str) -> str:
        await self.swept(run_id)
        return await self.successor(run_id)

    async def until_last(self, run_id: str) -> dict[str, Any]:
        """The end of the run or, where it was lost before it had started, of its last successor."""
        run = await self.until(run_id, seconds=20)
        while run["reason"] == "lost" and run["started_at"] is None:
            run = await self.until(await self.successor(str(run["id"])), seconds=20)
        return run

    async def until_last_seen(self, run_id: str) -> str:
        """The run, or the successor of one that was lost before it had started, that the witness saw start."""

        async def seen() -> str | None:
            rows = await self.sql(
                "select id from runs where root_run_id = (select root_run_id from runs where id = %s)"
                " and attempt >= (select attempt from runs where id = %s)",
                run_id,
                run_id,
            )
            return next((str(row["id"]) for row in rows if self.seen(str(row["id"]))), None)

        return await eventually(seen, f"run {run_id} or a successor to start", 25)

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

    async def service(self, function: str, **args: Any) -> Any:
        """One worker function, as a worker would call it: a worker's hands without a worker."""
        names = sql.SQL(", ").join(sql.SQL("{} => {}").format(sql.Identifier(n), sql.Placeholder()) for n in args)
        query = sql.SQL("select public.{}({})").format(sql.Identifier(function), names)
        values = [json.dumps(value) if isinstance(value, list | dict) else value for value in args.values()]
        url = self.stack.database_url("worker")
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("set local role service_role")
            row = await (await connection.execute(query, values)).fetchone()
        return row[0] if row else None

    async def admin(self, query: LiteralString, *args: Any) -> None:
        """As the superuser, who can do what no role of the product may."""
        url = self.stack.database_url("supabase_admin")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(query, args or None)

    async def vanish(self, run_id: str) -> None:
        """Take what was uploaded for a run out of Storage, as somebody with the keys could."""
        key = self.stack.secrets.service_role_key
        headers = {"apikey": key, "authorization": f"Bearer {key}"}
        rows = await self.sql("select name from storage.objects where split_part(name, '/', 1) = %s", run_id)
        async with httpx.AsyncClient(headers=headers) as http:
            body = {"prefixes": [row["name"] for row in rows]}
            answer = await http.request("DELETE", f"{self.base_url}/storage/v1/object/artifacts", json=body)
            assert rows and answer.is_success, answer.text

    async def hands(self, capacity: int = 100) -> str:
        """The id of a registered worker that only tests move."""
        worker = str(uuid.uuid4())
        about = {"p_name": "hands", "p_host": "here", "p_pid": 1, "p_version": "0", "p_transport": "postgres"}
        await self.service("register_worker", p_worker_id=worker, p_capacity=capacity, **about)
        return worker

    async def claim(self, worker: str, limit: int = 1, request: str = "") -> list[dict[str, Any]]:
        claims = await self.service(
            "claim_runs", p_worker_id=worker, p_limit=limit, p_request_id=request or str(uuid.uuid4())
        )
        assert {claim["session_id"] for claim in claims} <= self.sessions, "another test left runs behind"
        return claims

    async def start(self, claim: dict[str, Any]) -> str:
        return (await self.service("start_run", **fence(claim)))["verdict"]

    async def append(self, claim: dict[str, Any], batch: int, *events: dict[str, Any]) -> str:
        answer = await self.service("append_events", **fence(claim), p_batch=batch, p_events=list(events))
        return answer["verdict"]

    async def finish(self, claim: dict[str, Any], status: str = "succeeded", reason: str | None = None) -> str:
        return (await self.service("finish_run", **fence(claim), p_status=status, p_reason=reason))["verdict"]


def fence(claim: dict[str, Any]) -> dict[str, Any]:
    return {"p_run_id": claim["run_id"], "p_claim_token": claim["claim_token"]}


STEP: tuple[dict[str, Any], dict[str, Any]] = (
    {"type": "step.started", "step": "s1"},
    {"type": "step.finished", "step": "s1", "data": {"status": "succeeded", "exit_code": 0}},
)
