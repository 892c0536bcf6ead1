"""A room to test workers in: a person who launches runs, and real worker processes that execute them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import httpx
import psycopg
from psycopg.rows import dict_row

from opsroom.domain.template import parse, parse_yaml
from tests.support.stack import Stack

COMMAND = (sys.executable, "-m", "workers")
TERMINAL = ("succeeded", "failed", "cancelled", "timed_out")


@dataclass
class Room:
    """The person's side, straight on the database; a session of its own per test."""

    stack: Stack
    folder: Path
    person: str
    session_id: str = ""
    base_url: str = "http://127.0.0.1:9"
    secrets: dict[str, str] = field(default_factory=dict[str, str])

    async def sql(self, query: LiteralString, *params: Any) -> list[dict[str, Any]]:
        """As the owner of the schema."""
        async with await psycopg.AsyncConnection.connect(
            self.stack.database_url("postgres"), autocommit=True
        ) as connection:
            cursor = await connection.cursor(row_factory=dict_row).execute(query, params or None)
            return await cursor.fetchall() if cursor.description else []

    async def call(self, query: LiteralString, *params: Any) -> Any:
        """One command function, as the signed-in person."""
        async with await psycopg.AsyncConnection.connect(self.stack.database_url("authenticator")) as connection:
            await connection.execute("set local role authenticated")
            claims = json.dumps({"sub": self.person, "role": "authenticated"})
            await connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
            row = await (await connection.execute(query, params)).fetchone()
            return row[0] if row else None

    async def template(self, steps: list[dict[str, Any]], **keys: Any) -> str:
        """Save a template of these steps under a fresh slug."""
        slug = f"t-{uuid.uuid4().hex[:12]}"
        steps = [
            {"id": f"s{n}", "title": f"Step {n}", "kind": "shell", **step} for n, step in enumerate(steps, start=1)
        ]
        spec = parse({"slug": slug, "title": "Test", "steps": steps, **keys}).spec()
        await self.call("select save_template(%s)", json.dumps(spec))
        return slug

    async def first_template(self, slug: str) -> str:
        """Save the shipped template `slug`, as `make up` seeds it."""
        await self.call(
            "select save_template(%s)", json.dumps(parse_yaml(Path(f"templates/{slug}.yaml").read_text()).spec())
        )
        return slug

    async def new_session(self) -> str:
        return (await self.call("select create_session(%s)", "Worker tests"))["id"]

    async def launch(
        self, slug: str, params: Mapping[str, Any] | None = None, lane: str = "A", session: str = ""
    ) -> str:
        run = await self.call(
            "select create_run(%s, %s, %s::json, %s)", session or self.session_id, slug, json.dumps(params or {}), lane
        )
        return run["id"]

    async def launch_script(self, script: str, params: Mapping[str, Any] | None = None, **keys: Any) -> str:
        return await self.launch(await self.template([{"with": {"script": script}}], **keys), params)

    async def run(self, run_id: str) -> dict[str, Any]:
        return (await self.sql("select * from runs where id = %s", run_id))[0]

    async def events(self, run_id: str) -> list[dict[str, Any]]:
        return await self.sql("select * from run_events where run_id = %s order by seq", run_id)

    async def steps(self, run_id: str) -> dict[str, dict[str, Any]]:
        rows = await self.sql("select * from run_steps where run_id = %s order by position", run_id)
        return {row["step_id"]: row for row in rows}

    async def artifacts(self, run_id: str) -> dict[str, dict[str, Any]]:
        rows = await self.sql("select * from artifacts where run_id = %s order by name", run_id)
        return {row["name"]: row for row in rows}

    async def output(self, run_id: str, stream: str = "stdout") -> str:
        """What the run said, as it said it but for the very last newline."""
        text = ""
        for event in await self.events(run_id):
            if event["type"] == "output" and event["data"]["stream"] == stream:
                text += event["message"] + ("" if event["data"].get("partial") else "\n")
        return text

    async def until(self, run_id: str, *statuses: str, seconds: float = 30) -> dict[str, Any]:
        """The run once it is in one of `statuses` (by default: ended)."""

        async def there() -> dict[str, Any] | None:
            run = await self.run(run_id)
            return run if run["status"] in (statuses or TERMINAL) else None

        return await eventually(there, f"run {run_id} to be {statuses or 'ended'}", seconds)

    async def until_output(self, run_id: str, text: str, seconds: float = 20) -> None:
        async def there() -> bool:
            return text in await self.output(run_id)

        await eventually(there, f"run {run_id} to print {text!r}", seconds)

    def environment(self, transport: str = "postgres", **extra: str) -> dict[str, str]:
        """A worker's environment: nothing inherited but what a program needs."""
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env |= {"SUPABASE_URL": self.base_url, "SUPABASE_SERVICE_ROLE_KEY": self.stack.secrets.service_role_key}
        env |= {
            "OPSROOM_WORKER_PORT": "off",
            "OPSROOM_WORK_ROOT": str(self.folder),
            "OPSROOM_WORKER_GRACE_SECONDS": "2",
        }
        env |= {"OPSROOM_WORKER_POLL_SECONDS": "1", "OPSROOM_WORKER_SWEEP_SECONDS": "1"}
        env |= {f"OPSROOM_SECRET_{name}": value for name, value in self.secrets.items()}
        if transport == "postgres":
            env["OPSROOM_DATABASE_URL"] = self.stack.database_url("worker")
        return env | extra

    async def stored(self, run_id: str, name: str) -> bytes:
        """The bytes of an artifact, from Storage."""
        path, key = (await self.artifacts(run_id))[name]["object_path"], self.stack.secrets.service_role_key
        async with httpx.AsyncClient(headers={"apikey": key, "authorization": f"Bearer {key}"}) as http:
            answer = await http.get(f"{self.base_url}/storage/v1/object/authenticated/artifacts/{path}")
            assert answer.is_success, answer.text
            return answer.content

    @asynccontextmanager
    async def worker(self, transport: str = "postgres", **extra: str) -> AsyncGenerator[WorkerProcess]:
        """A real worker, `python -m workers`; killed at the end if it is still there."""
        worker = await WorkerProcess.start(
            self.environment(transport, **extra), self.folder / f"{uuid.uuid4().hex}.log"
        )
        try:
            yield worker
        finally:
            await worker.kill()


@dataclass
class WorkerProcess:
    process: asyncio.subprocess.Process
    log: Path

    @classmethod
    async def start(cls, env: Mapping[str, str], log: Path, command: tuple[str, ...] = COMMAND) -> WorkerProcess:
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(*command, env=env, stdout=file, stderr=file, cwd=Path.cwd())
        return cls(process, log)

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    async def until_said(self, text: str, seconds: float = 20) -> None:
        async def there() -> bool:
            if self.process.returncode is not None and text not in self.said:
                raise AssertionError(f"the worker ended with {self.process.returncode}:\n{self.said}")
            return text in self.said

        try:
            await eventually(there, f"the worker to say {text!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said:\n{self.said}") from None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = 20) -> int:
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


T = TypeVar("T")


async def eventually(probe: Callable[[], Awaitable[T | None]], what: str, seconds: float) -> T:
    """The first truthy answer of `probe`."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := await probe():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        await asyncio.sleep(0.05)


def processes_with(text: str) -> list[int]:
    """Every process whose command line or environment holds `text`."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            for name in ("cmdline", "environ"):
                try:
                    if text.encode() in (entry / name).read_bytes():
                        found.append(int(entry.name))
                        break
                except OSError:
                    continue
    return found
