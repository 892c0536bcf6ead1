"""The ground of the stateful test: connections as the programs make them, and what must be true after every step."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from opsroom.domain import lifecycle
from opsroom.domain.events import Event, first_break

Row = dict[str, Any]

ROWS: LiteralString = "select coalesce(jsonb_agg(to_jsonb(r)), '[]') from public.runs as r where session_id = any (%s)"
EVENTS: LiteralString = (
    "select e.run_id::text, jsonb_agg(jsonb_build_object('run_id', e.run_id, 'seq', e.seq, 'type', e.type, 'step', e.step, "
    "'at', to_char(e.at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'level', e.level, 'message', e.message, "
    "'data', e.data, 'prev_hash', e.prev_hash, 'hash', e.hash) order by e.seq) "
    "from public.run_events as e join public.runs as r on r.id = e.run_id where r.session_id = any (%s) group by e.run_id"
)
STEPS: LiteralString = (
    "select s.run_id::text, jsonb_agg(to_jsonb(s) order by s.position) from public.run_steps as s "
    "join public.runs as r on r.id = s.run_id where r.session_id = any (%s) group by s.run_id"
)
LANES: LiteralString = "select jsonb_agg(to_jsonb(l)) from public.lanes as l where l.session_id = any (%s)"
# Cancelled, because what fails may get a successor.
END_ALL: LiteralString = (
    "select private.end_run(id, 'cancelled', 'worker_error', '') from public.runs where finished_at is null"
)


def call(connection: psycopg.Connection[Any], function: str, **args: Any) -> Any:
    names = sql.SQL(", ").join(sql.SQL("{} => {}").format(sql.Identifier(n), sql.Placeholder()) for n in args)
    query = sql.SQL("select public.{}({})").format(sql.Identifier(function), names)
    values = [json.dumps(v) if isinstance(v, dict | list) else v for v in args.values()]
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None


@dataclass
class Ground:
    """One database; a fresh pair of sessions per example. `runs` is what was there after the step before."""

    owner: psycopg.Connection[Any]
    person: psycopg.Connection[Any]
    worker: psycopg.Connection[Any]
    worker_url: str
    sessions: list[str] = field(default_factory=list[str])
    runs: dict[str, Row] = field(default_factory=dict[str, Row])
    lanes: dict[tuple[str, str], Row] = field(default_factory=dict[tuple[str, str], Row])
    last_hash: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])

    @classmethod
    def open(cls, owner_url: str, person_url: str, worker_url: str) -> Ground:
        owner = psycopg.connect(owner_url, autocommit=True)
        user_id, email = uuid.uuid4(), f"machine-{uuid.uuid4().hex[:8]}@example.test"
        owner.execute("insert into auth.users (id, email) values (%s, %s)", (user_id, email))
        owner.execute("select public.set_member(%s, 'operator')", (email,))
        person = psycopg.connect(person_url, autocommit=True)
        person.execute("set role authenticated")
        claims = json.dumps({"role": "authenticated", "sub": str(user_id)})
        person.execute("select set_config('request.jwt.claims', %s, false)", (claims,))
        ground = cls(owner, person, psycopg.connect(worker_url, autocommit=True), worker_url)
        ground.worker.execute("set role service_role")
        return ground

    def close(self) -> None:
        for connection in (self.owner, self.person, self.worker):
            connection.close()

    def start_over(self) -> None:
        self.owner.execute(END_ALL)
        self.owner.execute("update public.workers set stopped_at = clock_timestamp() where stopped_at is null")
        self.owner.execute("update private.sweep_state set held_until = null")
        self.owner.execute(
            "update public.sessions set archived_at = clock_timestamp() where id = any (%s)", (self.sessions,)
        )
        self.sessions = [call(self.person, "create_session", p_title=title)["id"] for title in ("One", "Two")]
        self.runs, self.last_hash = {}, {}
        self.check()

    def new_worker(self) -> str:
        worker_id = str(uuid.uuid4())
        self.worker.execute("select public.register_worker(%s, 'machine', 'host', 1, '0', 8, 'postgres')", (worker_id,))
        return worker_id

    def attach(self, worker_id: str) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self.worker_url, autocommit=True)
        connection.execute("set role service_role")
        call(connection, "attach_worker", p_worker_id=worker_id)
        return connection

    def cut(self, connection: psycopg.Connection[Any]) -> None:
        """Breaks a worker's own connection and waits until the server has noticed."""
        pid = connection.info.backend_pid
        connection.close()
        deadline = time.monotonic() + 10
        while self.value("select exists (select from pg_stat_activity where pid = %s)", pid):
            assert time.monotonic() < deadline, "the server keeps a closed connection"
            time.sleep(0.002)

    def value(self, query: LiteralString, *args: Any) -> Any:
        row = self.owner.execute(query, args).fetchone()
        assert row is not None
        return row[0]

    def of_runs(self, query: LiteralString) -> dict[str, Any]:
        return dict(self.owner.execute(query, (self.sessions,)).fetchall())

    def check(self) -> None:
        """Everything that is true of every state, and of every step from the state before."""
        now = {row["id"]: row for row in self.value(ROWS, self.sessions)}
        for run_id, was in self.runs.items():
            row = now[run_id]  # No run ever goes away.
            if was["finished_at"]:
                assert row == was, "a terminal row changed"
            elif row["status"] != was["status"]:
                assert (was["status"], row["status"]) in lifecycle.EDGES, f"{was['status']} -> {row['status']}"
        chains, steps = self.of_runs(EVENTS), self.of_runs(STEPS)
        for run_id, row in now.items():
            self._check_story(row, chains[run_id])
            check_steps(row, chains[run_id], steps[run_id])
        keys = Counter(r["concurrency_key"] for r in now.values() if r["concurrency_key"] and is_held(r))
        assert max(keys.values(), default=0) <= 1, "two runs hold one concurrency key"
        check_attempts(now)
        self.runs = now
        self.lanes = {(row["session_id"], row["lane"]): row for row in self.value(LANES, self.sessions)}
        self._check_reads()

    def _check_story(self, row: Row, chain: list[Row]) -> None:
        seq, seen = self.last_hash.get(row["id"], (0, ""))
        assert len(chain) >= seq and (seq == 0 or chain[seq - 1]["hash"] == seen), "events went away or changed"
        if len(chain) > seq:
            assert first_break(Event.model_validate(event) for event in chain) is None
            self.last_hash[row["id"]] = (len(chain), chain[-1]["hash"])
        types = [event["type"] for event in chain]
        ends = [t for t in types if t.removeprefix("run.") in lifecycle.TERMINAL and t.startswith("run.")]
        assert ends == ([f"run.{row['status']}"] if row["finished_at"] else [])
        assert types.count("run.claimed") == (row["claimed_at"] is not None), f"run.claimed: {types}"
        assert types.count("run.started") == (row["started_at"] is not None)
        if row["finished_at"]:
            after = types[types.index(ends[0]) + 1 :]
            assert after in ([], ["late_evidence"]), f"after the end: {after}"

    def _check_reads(self) -> None:
        counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for row in self.runs.values():
            kind = "active" if is_held(row) else "queued" if row["status"] == "queued" else "finished"
            counts[row["session_id"], row["lane"]][kind] += 1
        retried = {row["retry_of"] for row in self.runs.values()}
        listed = {item["id"]: item for item in call(self.person, "list_sessions")}
        for session in self.sessions:
            board = call(self.person, "read_board", p_session_id=session)
            for lane in board["lanes"]:
                expected = counts[session, lane["lane"]]
                assert lane["queued"] == expected["queued"]
                assert len(lane["queue"]) == min(expected["queued"], 25)
                assert len(lane["active"]) == expected["active"]
                assert len(lane["finished"]) == min(expected["finished"], 25)
            mine = [row for row in self.runs.values() if row["session_id"] == session]
            item = listed[session]
            status = Counter(row["status"] for row in mine)
            assert (item["queued"], item["active"]) == (status["queued"], status["claimed"] + status["running"])
            ended = max((row["finished_at"] for row in mine if row["finished_at"]), default=None)
            assert item["last_status"] in (
                {row["status"] for row in mine if row["finished_at"] == ended} if ended else {None}
            )
            lost = [r for r in mine if r["status"] in ("failed", "timed_out") and r["id"] not in retried]
            assert item["failed"] == min(len(lost), 100)


def is_held(row: Row) -> bool:
    return row["status"] in ("claimed", "running")


def check_steps(row: Row, chain: list[Row], steps: list[Row]) -> None:
    """Steps are a projection of the events: told again from them, they are the same."""
    told = {s["step_id"]: "succeeded" if s["carried_from"] else "pending" for s in steps}
    for event in chain:
        match event["type"]:
            case "step.started":
                told[event["step"]] = "running"
            case "step.skipped":
                told[event["step"]] = "skipped"
            case "step.finished":
                told[event["step"]] = event["data"]["status"]
            case _:
                pass
    if row["finished_at"]:
        how = row["status"] if row["status"] in ("cancelled", "timed_out") else "failed"
        told = {s: {"pending": "skipped", "running": how}.get(status, status) for s, status in told.items()}
    assert {s["step_id"]: s["status"] for s in steps} == told
    if row["status"] == "succeeded":
        assert all(s["status"] == "succeeded" for s in steps if s["required"])


def check_attempts(runs: dict[str, Row]) -> None:
    successors = Counter(row["retry_of"] for row in runs.values() if row["retry_of"])
    assert max(successors.values(), default=1) == 1, "a run has two successors"
    for row in runs.values():
        if row["retry_of"]:
            before = runs[row["retry_of"]]
            assert before["finished_at"] and before["status"] != "succeeded"
            assert (row["attempt"], row["root_run_id"]) == (before["attempt"] + 1, before["root_run_id"])
            assert row["place_at"] == before["place_at"], "a retry lost its place"
