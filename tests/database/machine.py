"""The state machine of the stateful test: what people and workers do, what goes wrong, and what each answer must be."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.database.ground import Ground, Row, call, is_held

IMMEDIATE = [
    {"id": "first", "title": "First", "kind": "noop", "with": {}},
    {"id": "second", "title": "Second", "kind": "noop", "needs": ["first"], "with": {}},
]
# With an input, of which the database can not know that it does nothing.
STEP_LIST = [step | {"with": {"that": "does something"}} for step in IMMEDIATE]
KEY = {"properties": {"key": {"type": "string", "default": "a"}}}
# Leases are ended by hand: none is over by itself, however slow the machine.
TEMPLATES: list[dict[str, Any]] = [
    {"slug": "machine-plain", "title": "Plain", "lease_seconds": 3600, "steps": IMMEDIATE},
    {"slug": "machine-keyed", "title": "Keyed", "lease_seconds": 3600, "steps": STEP_LIST,
     "params": KEY, "concurrency_key": "{{ params.key }}"},
    {"slug": "machine-retried", "title": "Retried", "lease_seconds": 3600, "steps": STEP_LIST,
     "retry": {"attempts": 3, "on": ["failed", "lost", "timed_out"], "backoff_seconds": 0}},
]  # fmt: skip

LANES = st.sampled_from("AAB")  # Few, to meet in.
MORE = st.sampled_from((0, 0, 2))
PAUSED = st.sampled_from((False, False, False, True))
PICK = st.integers(min_value=0, max_value=10_000)
PRIORITIES = st.sampled_from((-1, 0, 5))


def refused(code: str, connection: psycopg.Connection[Any], function: str, **args: Any) -> None:
    with pytest.raises(psycopg.Error) as caught:
        call(connection, function, **args)
    assert caught.value.sqlstate == code, caught.value


class Machine(RuleBasedStateMachine):
    ground: Ground

    def __init__(self) -> None:
        super().__init__()
        self.ground.runs = {}
        self.workers: list[str] = []
        self.attached: dict[str, psycopg.Connection[Any]] = {}
        self.claims: dict[str, Row] = {}
        """By run: what claim_runs answered, and the number of the next batch."""
        self.requests: list[tuple[str, str, set[str]]] = []
        self.created: list[tuple[Row, str]] = []

    def teardown(self) -> None:
        for connection in self.attached.values():
            connection.close()

    @property
    def runs(self) -> dict[str, Row]:
        return self.ground.runs

    def pick(self, number: int, *statuses: str) -> Row:
        """A run, in the order of their making; one with one of `statuses` when there is one, so that rules are not idle."""
        rows = sorted(self.runs.values(), key=lambda r: (r["queued_at"], r["id"]))
        return (found := [r for r in rows if r["status"] in statuses] or rows)[number % len(found)]

    def claim_of(self, number: int, *statuses: str) -> tuple[Row, Row]:
        claims = [c for c in self.claims.values() if self.runs[c["run_id"]]["status"] in statuses]
        claim = (found := claims or list(self.claims.values()))[number % len(found)]
        return claim, self.runs[claim["run_id"]]

    @initialize(slots=st.integers(min_value=1, max_value=3), taken=st.integers(min_value=0, max_value=3))
    def begin(self, slots: int, taken: int) -> None:
        """Runs that wait and runs that go on, so that rules find something to do from the first step on."""
        self.ground.start_over()
        self.workers = [self.ground.new_worker() for _ in range(2)]
        self.ground.check()
        self.set_lane(0, "A", slots, False)
        for template in TEMPLATES:
            self.create_run(0, template, "A", 0, False, 1)
        self.ground.check()
        self.claim_runs(0, taken, True)

    @invariant()
    def everything_holds(self) -> None:
        if self.workers:
            self.ground.check()

    # What people do.

    @rule(
        session=PICK, template=st.sampled_from(TEMPLATES), lane=LANES, priority=PRIORITIES, key=st.booleans(), more=MORE
    )
    def create_run(self, session: int, template: Row, lane: str, priority: int, key: bool, more: int) -> None:
        args = {"p_session_id": self.ground.sessions[session % 2], "p_template": template["slug"], "p_lane": lane,
                "p_priority": priority, "p_idempotency_key": str(uuid.uuid4()) if key else None}  # fmt: skip
        run = call(self.ground.person, "create_run", **args)
        assert run["status"] == "queued"
        if key:
            self.created.append((args, run["id"]))
        for _ in range(more):
            call(self.ground.person, "create_run", **args | {"p_idempotency_key": None})

    @precondition(lambda self: self.created)
    @rule(number=PICK)
    def create_run_again(self, number: int) -> None:
        args, run_id = self.created[number % len(self.created)]
        if self.runs[run_id]["lane"] == args["p_lane"] and self.runs[run_id]["priority"] == args["p_priority"]:
            assert call(self.ground.person, "create_run", **args)["id"] == run_id
        refused("ORC03", self.ground.person, "create_run", **args | {"p_priority": 77})

    @precondition(lambda self: self.runs)
    @rule(number=PICK, force=st.sampled_from((False, False, True)), live=st.booleans())
    def cancel_run(self, number: int, force: bool, live: bool) -> None:
        run = self.pick(number, *(("queued", "claimed", "running") if live else ()))
        answer = call(self.ground.person, "cancel_run", p_run_id=run["id"], p_force=force)
        if run["finished_at"]:
            assert answer["status"] == run["status"]
        elif run["status"] == "queued" or force:
            assert answer["status"] == "cancelled"
        else:
            assert (answer["status"], answer["cancel_requested_at"] is not None) == (run["status"], True)

    @precondition(lambda self: self.runs)
    @rule(number=PICK, resume=st.booleans())
    def retry_run(self, number: int, resume: bool) -> None:
        run = self.pick(number, "failed", "cancelled", "timed_out")
        args = {"p_run_id": run["id"], "p_resume": resume}
        if not run["finished_at"]:
            return refused("ORC02", self.ground.person, "retry_run", **args)
        if run["status"] == "succeeded":
            return refused("ORC05", self.ground.person, "retry_run", **args)
        successor = call(self.ground.person, "retry_run", **args)
        assert successor["retry_of"] == run["id"]
        assert call(self.ground.person, "retry_run", **args)["id"] == successor["id"]

    @precondition(lambda self: self.runs)
    @rule(number=PICK, lane=LANES)
    def rerun(self, number: int, lane: str) -> None:
        run, key = self.pick(number), str(uuid.uuid4())
        args = {"p_run_id": run["id"], "p_lane": lane, "p_idempotency_key": key}
        answer = call(self.ground.person, "rerun", **args)
        assert (answer["rerun_of"], answer["status"], answer["attempt"]) == (run["id"], "queued", 1)
        assert call(self.ground.person, "rerun", **args)["id"] == answer["id"]

    @precondition(lambda self: self.runs)
    @rule(number=PICK, lane=LANES, priority=PRIORITIES)
    def move_run(self, number: int, lane: str, priority: int) -> None:
        run = self.pick(number, "queued")
        args = {"p_run_id": run["id"], "p_lane": lane, "p_priority": priority}
        if run["status"] != "queued":
            return refused("ORC05", self.ground.person, "move_run", **args)
        moved = call(self.ground.person, "move_run", **args)
        assert (moved["lane"], moved["priority"], moved["place_at"] is not None) == (lane, priority, True)

    @rule(session=PICK, lane=LANES, capacity=st.sampled_from((None, 1, 2, 3)), paused=PAUSED)
    def set_lane(self, session: int, lane: str, capacity: int | None, paused: bool) -> None:
        session_id = self.ground.sessions[session % 2]
        call(self.ground.person, "set_lane", p_session_id=session_id, p_lane=lane, p_capacity=capacity, p_paused=paused)

    @rule(session=PICK, paused=PAUSED)
    def pause_session(self, session: int, paused: bool) -> None:
        session_id = self.ground.sessions[session % 2]
        call(self.ground.person, "set_session_paused", p_session_id=session_id, p_paused=paused)

    # What workers do.

    def claim_with(self, worker: str, request: str, limit: int) -> list[Row]:
        args = {"p_worker_id": worker, "p_limit": limit, "p_request_id": request}
        return call(self.ground.worker, "claim_runs", **args)

    @rule(worker=PICK, limit=st.sampled_from((0, 1, 1, 2, 4)), start=st.booleans())
    def claim_runs(self, worker: int, limit: int, start: bool) -> None:
        worker_id, request = self.workers[worker % len(self.workers)], str(uuid.uuid4())
        claims = self.claim_with(worker_id, request, limit)
        self.check_claims(claims, limit)
        if claims:
            self.requests.append((worker_id, request, {c["run_id"] for c in claims}))
            assert self.claim_with(worker_id, request, limit) == claims
        if start:
            items = [{"run_id": c["run_id"], "claim_token": c["claim_token"]} for c in claims]
            answers = call(self.ground.worker, "start_runs", p_runs=items)
            assert [a["verdict"] for a in answers] == ["started"] * len(claims)

    def check_claims(self, claims: list[Row], limit: int) -> None:
        """Only what waited; no lane over its slots; the best of each lane; and nothing left lying that could go."""
        assert len(claims) <= limit
        before, fresh = self.runs, {c["run_id"] for c in claims}
        self.ground.check()
        paused = set(
            self.ground.value("select array(select id::text from public.sessions where paused_at is not null)")
        )
        for claim in claims:
            assert before[claim["run_id"]]["status"] == "queued"
            self.claims[claim["run_id"]] = claim | {"batch": 1}
        keys = {r["concurrency_key"] for r in self.runs.values() if is_held(r)}
        for (session, lane), row in self.ground.lanes.items():
            mine = [r for r in self.runs.values() if (r["session_id"], r["lane"]) == (session, lane)]
            taken, new = [r for r in mine if is_held(r)], [r for r in mine if r["id"] in fresh]
            waiting = [r for r in mine if r["status"] == "queued" and not r["not_before"]
                       and (not r["concurrency_key"] or r["concurrency_key"] not in keys)]  # fmt: skip
            stopped = row["paused_at"] or session in paused
            assert not (new and stopped), "a paused lane gave a run"
            assert not new or len(taken) <= row["capacity"], "a lane is over its slots"
            if new:
                worst = max(order(r) for r in new)
                assert all(order(r) > worst for r in waiting), "a run was passed over"
            if waiting and not stopped and len(taken) < row["capacity"]:
                assert len(claims) == limit, "a run that could go was left"

    @precondition(lambda self: self.requests)
    @rule(number=PICK)
    def claim_again(self, number: int) -> None:
        """A replay, however late: those of its runs that are still live, and never another one."""
        worker_id, request, run_ids = self.requests[number % len(self.requests)]
        claims = self.claim_with(worker_id, request, 1)
        assert {c["run_id"] for c in claims} == {i for i in run_ids if not self.runs[i]["finished_at"]}

    @precondition(lambda self: self.claims)
    @rule(number=PICK, wrong=st.booleans())
    def start_run(self, number: int, wrong: bool) -> None:
        claim, run = self.claim_of(number, "claimed")
        over = self.ground.value(
            "select lease_expires_at < clock_timestamp() from public.runs where id = %s", run["id"]
        )
        if wrong or not is_held(run) or over:
            expected = "lost"
        elif run["status"] == "running":
            expected = "started"
        else:
            expected = "cancel" if run["cancel_requested_at"] else "started"
        item = {"run_id": run["id"], "claim_token": str(uuid.uuid4()) if wrong else claim["claim_token"]}
        for _ in range(2):
            assert call(self.ground.worker, "start_runs", p_runs=[item]) == [{"run_id": run["id"], "verdict": expected}]

    @precondition(lambda self: self.claims)
    @rule(worker=PICK)
    def heartbeat(self, worker: int) -> None:
        beats = [{"run_id": c["run_id"], "claim_token": c["claim_token"]} for c in self.claims.values()]
        worker_id = self.workers[worker % len(self.workers)]
        for answer in call(self.ground.worker, "heartbeat", p_worker_id=worker_id, p_runs=beats):
            run = self.runs[answer["run_id"]]
            held = "cancel" if run["cancel_requested_at"] else "ok"
            assert answer["verdict"] == (held if is_held(run) else "lost")

    @precondition(lambda self: self.claims)
    @rule(number=PICK, step=st.sampled_from(("first", "second")), how=st.sampled_from(("succeeded", "failed", None)))
    def append_events(self, number: int, step: str, how: str | None) -> None:
        """A step's whole story, or a line of output; then the same batch again, one too far, and one with a wrong token."""
        claim, run = self.claim_of(number, "running")
        args = {"p_run_id": run["id"], "p_claim_token": claim["claim_token"], "p_batch": claim["batch"]}
        events = story(step, how) if how else [{"type": "output", "step": step, "message": "a line\n"}]
        if not is_held(run):
            assert call(self.ground.worker, "append_events", **args, p_events=events)["verdict"] == "lost"
            return
        wrong = args | {"p_claim_token": str(uuid.uuid4())}
        assert call(self.ground.worker, "append_events", **wrong, p_events=events)["verdict"] == "lost"
        gap = args | {"p_batch": claim["batch"] + 1}
        refused("ORC06", self.ground.worker, "append_events", **gap, p_events=events)
        if how and self.step_status(run["id"], step) != "pending":
            return refused("ORC05", self.ground.worker, "append_events", **args, p_events=events)
        first = call(self.ground.worker, "append_events", **args, p_events=events)
        assert call(self.ground.worker, "append_events", **args, p_events=events) == first
        claim["batch"] += 1

    def step_status(self, run_id: str, step: str) -> str:
        return self.ground.value("select status from public.run_steps where run_id = %s and step_id = %s", run_id, step)

    @precondition(lambda self: self.claims)
    @rule(number=PICK, name=st.sampled_from(("one", "two")))
    def put_artifact(self, number: int, name: str) -> None:
        claim, run = self.claim_of(number, "running")
        args = {"p_run_id": run["id"], "p_claim_token": claim["claim_token"]}
        link = {"name": name, "kind": "link", "media_type": "text/html", "url": "https://example.test/"}
        first = call(self.ground.worker, "put_artifact", **args, p_artifact=link)
        assert first["verdict"] == ("ok" if is_held(run) else "lost")
        assert call(self.ground.worker, "put_artifact", **args, p_artifact=link) == first
        if is_held(run):
            other = link | {"url": "https://example.test/other"}
            refused("ORC07", self.ground.worker, "put_artifact", **args, p_artifact=other)

    @precondition(lambda self: self.claims)
    @rule(numbers=st.lists(PICK, min_size=1, max_size=3), whole=st.booleans(), good=st.booleans())
    def finish_runs(self, numbers: list[int], whole: bool, good: bool) -> None:
        """One or several at once, with their last batch or without; a success needs its steps. Twice: the same answer."""
        results: dict[str, Row] = {}
        may_succeed = True
        for number in numbers:
            claim, run = self.claim_of(number, "running", "claimed")
            pending = [s for s in ("first", "second") if self.step_status(run["id"], s) == "pending"]
            events = [event for s in pending for event in story(s, "succeeded")] if whole else []
            end = {"status": "succeeded", "reason": None} if good else {"status": "failed", "reason": "step_failed"}
            batch = {"batch": claim["batch"], "events": events} if events else {}
            results[run["id"]] = {"run_id": run["id"], "claim_token": claim["claim_token"], **end, **batch}
            all_done = all(s in pending or self.step_status(run["id"], s) == "succeeded" for s in ("first", "second"))
            done = all_done and (whole or not pending)
            may_succeed = may_succeed and (not is_held(run) or (run["status"] == "running" and done))
        items = list(results.values())
        if good and not may_succeed:
            return refused("ORC05", self.ground.worker, "finish_runs", p_results=items)
        answers = call(self.ground.worker, "finish_runs", p_results=items)
        for item, answer in zip(items, answers, strict=True):
            was = self.runs[item["run_id"]]
            same = (was["status"], was["reason"]) == (item["status"], item["reason"])
            assert answer["verdict"] == ("ok" if is_held(was) or same else "lost")
            assert answer["status"] == (item["status"] if is_held(was) else was["status"])
        assert call(self.ground.worker, "finish_runs", p_results=items) == answers
        forged = [item | {"claim_token": str(uuid.uuid4())} for item in items]
        assert {a["verdict"] for a in call(self.ground.worker, "finish_runs", p_results=forged)} == {"lost"}

    @rule(worker=PICK)
    def drain_worker(self, worker: int) -> None:
        worker_id = self.workers[worker % len(self.workers)]
        call(self.ground.worker, "drain_worker", p_worker_id=worker_id)
        assert self.claim_with(worker_id, str(uuid.uuid4()), 4) == []
        self.workers[worker % len(self.workers)] = self.ground.new_worker()

    # What goes wrong.

    @precondition(lambda self: any(is_held(r) for r in self.runs.values()))
    @rule(number=PICK, limit=st.sampled_from((0, 1, 100)))
    def lose_a_lease(self, number: int, limit: int) -> None:
        run = self.pick(number, "claimed", "running")
        self.ground.owner.execute(
            "update public.runs set lease_expires_at = clock_timestamp() - interval '1 s' where id = %s", (run["id"],)
        )
        self.sweep(limit)

    def sweep(self, limit: int) -> None:
        before, answer = self.runs, call(self.ground.worker, "sweep_runs", p_limit=limit)
        self.ground.check()
        ended = [r for r in self.runs.values() if r["finished_at"] and not before.get(r["id"], r)["finished_at"]]
        assert len(ended) == answer["lost"] + answer["timed_out"] <= limit
        assert {(r["status"], r["reason"]) for r in ended} <= {("failed", "lost")}
        if limit == 100 and not answer["held"]:
            over = "select count(*) from public.runs where status in ('claimed', 'running') and lease_expires_at < clock_timestamp()"
            assert self.ground.value(over) == 0
        for run in ended:
            again = not run["cancel_requested_at"] and (
                ((not run["started_at"] or run["immediate"]) and run["attempt"] < 5)
                or (run["template_slug"] == "machine-retried" and run["attempt"] < 3)
            )
            assert again == any(r["retry_of"] == run["id"] for r in self.runs.values())

    @rule(worker=PICK)
    def attach_worker(self, worker: int) -> None:
        worker_id = self.workers[worker % len(self.workers)]
        if worker_id not in self.attached:
            self.attached[worker_id] = self.ground.attach(worker_id)

    @precondition(lambda self: self.attached)
    @rule(number=PICK)
    def cut_connection(self, number: int) -> None:
        """Within the grace nothing ends; after it all runs of the worker have, unless most workers were cut together."""
        worker_id = sorted(self.attached)[number % len(self.attached)]
        self.ground.cut(self.attached.pop(worker_id))
        self.sweep(100)
        self.ground.owner.execute(
            "update public.workers set missing_since = missing_since - interval '2 s' where id = %s", (worker_id,)
        )
        self.sweep(100)


def story(step: str, how: str) -> list[Row]:
    return [{"type": "step.started", "step": step}, {"type": "step.finished", "step": step, "data": {"status": how}}]


def order(row: Row) -> tuple[int, str, str]:
    return -row["priority"], row["place_at"], row["id"]
