"""Insights and the fleet in full: counted once, whether ahead by the sweep or at the read, and right within the width of a bucket."""

import json
import uuid
from typing import Any

import psycopg
import pytest

from tests.database.conftest import TEMPLATE, Person, Room, Worker

HISTORY = """
insert into public.runs (id, root_run_id, retry_of, attempt, session_id, lane, template_version_id, template_slug, template_version,
  template_digest, title, params, lease_seconds, timeout_seconds, created_by, status, reason, queued_at, claimed_by, claimed_at,
  claim_token, heartbeat_at, lease_expires_at, started_at, finished_at)
select %(id)s, coalesce(%(first)s, %(id)s), %(first)s, case when %(first)s is null then 1 else 2 end, %(session)s, 'A', v.id, v.slug, v.version,
  v.digest, 'Past', '{}', 30, 60, %(by)s, %(status)s, %(reason)s, e.at - %(waited)s - %(took)s, %(worker)s, e.at - %(took)s,
  gen_random_uuid(), e.at, e.at, e.at - %(took)s, e.at
from public.template_versions as v, (select date_trunc('hour', now()) - %(ago)s as at) as e where v.slug = %(slug)s
"""


class Past:
    """Runs that ended long ago, of a template of their own."""

    def __init__(self, room: Room, operator: Person, session_id: str, worker: Worker) -> None:
        self.room, self.operator, self.session_id, self.worker = room, operator, session_id, worker
        self.slug = f"past-{uuid.uuid4().hex[:8]}"

    async def save(self) -> None:
        spec = TEMPLATE | {"slug": self.slug}
        await self.room.store_template(spec)

    async def run(
        self,
        ago: str,
        status: str = "succeeded",
        reason: str | None = None,
        waited: int = 4,
        took: int = 60,
        first: Any = None,
    ) -> uuid.UUID:
        values = {
            "id": uuid.uuid4(),
            "first": first,
            "session": self.session_id,
            "by": self.operator.user_id,
            "worker": self.worker.id,
            "slug": self.slug,
            "status": status,
            "reason": reason,
            "waited": f"{waited} seconds",
            "took": f"{took} seconds",
            "ago": ago,
        }
        query = HISTORY
        for name in ("waited", "took", "ago"):
            query = query.replace(f"%({name})s", f"%({name})s::interval")
        for name in ("id", "first"):
            query = query.replace(f"%({name})s", f"%({name})s::uuid")
        await self.room.owner.execute(query, values)  # pyright: ignore[reportArgumentType]
        return values["id"]

    async def read(self, ago: str, **more: Any) -> dict[str, Any]:
        since = await self.room.value("select (now() - %s::interval)::text", ago)
        return await self.operator.call("read_insights", p_from=since, **more)


@pytest.fixture
async def past(room: Room, operator: Person, session_id: str, worker: Worker) -> Past:
    """A clean ledger: what other tests left is counted already, so that a later end is a later count."""
    past = Past(room, operator, session_id, worker)
    await past.save()
    return past


def outcome(answer: dict[str, Any]) -> dict[str, int]:
    keys = ("succeeded", "failed", "cancelled", "timed_out", "lost", "recovered")
    return {key: answer["totals"][key] for key in keys if answer["totals"][key]}


async def fill(past: Past) -> None:
    for took in (10, 20, 30, 1000):
        await past.run("3 hours", took=took)
    lost = await past.run("3 hours", "failed", "lost", took=5)
    await past.run("2 hours", first=lost, took=40)
    await past.run("2 hours", "failed", "step_failed", waited=400)
    await past.run("2 hours", "timed_out", "run_timeout")
    await past.run("2 hours", "cancelled", "cancelled_by_person")


@pytest.mark.parametrize("counted", ["ahead", "half", "at the read"])
async def test_runs_are_counted_once_wherever_they_are_counted(room: Room, past: Past, counted: str) -> None:
    await room.owner.execute("update private.run_counts_state set ended_at = now() - interval '4 hours'")
    await fill(past)
    if counted != "at the read":
        await room.value("select private.count_runs(%s)", 100_000 if counted == "ahead" else 4)
    answer = await past.read("23 hours", p_template=past.slug)
    assert answer["complete"]
    assert outcome(answer) == {"succeeded": 5, "failed": 2, "cancelled": 1, "timed_out": 1, "lost": 1, "recovered": 1}
    assert {item["reason"]: item["n"] for item in answer["reasons"]} == {
        "lost": 1,
        "step_failed": 1,
        "run_timeout": 1,
        "cancelled_by_person": 1,
    }
    assert [sum(p[s] for s in ("succeeded", "failed", "cancelled", "timed_out")) for p in answer["points"]] == [5, 4]
    assert answer["grain_seconds"] == 3600
    (template,) = answer["templates"]
    assert template["template_slug"] == past.slug
    # 5, 10, 20, 30, 1000, 40, 60, 60, 60 s: the median is 40, the last but five hundredths the longest.
    assert template["took_p50"] == pytest.approx(40, rel=0.1)
    assert template["took_p95"] == pytest.approx(1000, rel=0.1)
    assert template["waited_p50"] == pytest.approx(4, rel=0.1)
    assert template["waited_p95"] == pytest.approx(400, rel=0.1)


@pytest.mark.parametrize(("ago", "grain"), [("23 hours", 3600), ("7 days", 21600), ("30 days", 86400)])
async def test_longer_times_have_longer_grains_and_the_same_sum(room: Room, past: Past, ago: str, grain: int) -> None:
    await room.owner.execute("update private.run_counts_state set ended_at = now() - interval '4 hours'")
    await fill(past)
    await room.value("select private.count_runs(100000)")
    answer = await past.read(ago, p_template=past.slug)
    assert answer["grain_seconds"] == grain
    assert sum(answer["totals"][s] for s in ("succeeded", "failed", "cancelled", "timed_out")) == 9
    whole = await past.read(ago, p_session_id=past.session_id)
    assert outcome(whole) == outcome(answer)
    assert whole["points"] == answer["points"]


async def test_the_sweep_counts_and_a_fresh_end_waits(room: Room, past: Past, worker: Worker) -> None:
    await room.owner.execute("update private.run_counts_state set ended_at = now() - interval '4 hours'")
    await past.run("2 hours")
    await past.operator.call(
        "create_run", p_session_id=past.session_id, p_template=past.slug, p_params=json.dumps({"name": "ada"})
    )
    (claim,) = await worker.claim()
    await worker.succeed(claim)
    await worker.call("sweep_runs")
    counted = await room.value(
        "select sum(n)::integer from private.run_counts where template_slug = %s and measure = 'succeeded' and grain = '1 hour'",
        past.slug,
    )
    assert counted == 1, "one of them ended a moment ago"
    assert outcome(await past.read("23 hours", p_template=past.slug)) == {"succeeded": 2}


async def test_a_sweep_goes_on_when_counting_fails(room: Room, worker: Worker) -> None:
    body = await room.value("select pg_get_functiondef('private.count_runs'::regproc)")
    await room.owner.execute(
        "create or replace function private.count_runs(p_limit integer) returns boolean language plpgsql "
        "set search_path = '' as $$ begin raise 'no'; end $$"
    )
    try:
        assert await worker.call("sweep_runs") == {
            "lost": 0,
            "timed_out": 0,
            "retried": 0,
            "held": False,
            "due_in": None,
        }
    finally:
        await room.owner.execute(body)


@pytest.mark.parametrize(
    "args",
    [
        {"p_from": None},
        {"p_from": "2026-01-02", "p_to": "2026-01-01"},
        {"p_from": "-infinity"},
        {"p_from": "1999-01-01"},
    ],
)
async def test_times_that_make_no_sense_are_refused(operator: Person, args: dict[str, Any]) -> None:
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("read_insights", **args)
    assert refused.value.sqlstate == "ORV02"


async def test_a_room_without_runs_has_insights(past: Past) -> None:
    answer = await past.read("23 hours", p_template="nothing-there")
    assert answer["points"] in (None, []) and answer["reasons"] == [] and answer["templates"] == []
    assert outcome(answer) == {}


async def test_workers_are_told_with_what_they_do(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    gone, stopped, draining = [await room.worker() for _ in range(3)]
    await stopped.call("stop_worker", p_worker_id=stopped.id)
    await draining.call("drain_worker", p_worker_id=draining.id)
    await room.owner.execute(
        "update public.workers set last_seen_at = now() - interval '2 minutes' where id = %s", (gone.id,)
    )
    run = await operator.call(
        "create_run", p_session_id=session_id, p_template="greet", p_params=json.dumps({"name": "ada"}), p_title="Held"
    )
    await worker.claim()
    answer = await operator.call("read_workers")
    seen = {item["id"]: item for item in answer["workers"]}
    states = {str(w.id): seen[str(w.id)]["state"] for w in (worker, gone, stopped, draining)}
    assert list(states.values()) == ["online", "missing", "stopped", "draining"]
    mine = seen[str(worker.id)]
    assert (mine["active"], [item["id"] for item in mine["runs"]]) == (1, [run["id"]])
    assert mine["runs"][0]["title"] == "Held"
    assert "claim_token" not in json.dumps(answer)
    await room.owner.execute(
        "update public.workers set last_seen_at = now() - interval '2 days' where id = %s", (gone.id,)
    )
    assert str(gone.id) not in {item["id"] for item in (await operator.call("read_workers"))["workers"]}
