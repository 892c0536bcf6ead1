"""Approvals and gates: enforced by the database on every path, for everybody."""

import uuid
from typing import Any

import psycopg
import pytest

from tests.database.conftest import Person, Room, Worker

RISKY: dict[str, Any] = {
    "slug": "risky",
    "title": "Risky",
    "risk": "block",
    "steps": [{"id": "act", "title": "Act", "kind": "noop"}],
}
GATED: dict[str, Any] = {
    "slug": "gated",
    "title": "Gated",
    "steps": [
        {"id": "plan", "title": "Plan", "kind": "noop"},
        {"id": "ask", "title": "Ask", "kind": "gate", "needs": ["plan"], "with": {"approvers": 2, "instructions": "Read"}},
        {"id": "act", "title": "Act", "kind": "noop", "needs": ["ask"]},
    ],
}  # fmt: skip
DONE = {"status": "succeeded", "exit_code": 0}


async def queue(room: Room, person: Person, session_id: str, spec: dict[str, Any]) -> dict[str, Any]:
    await room.store_template(spec)
    return await person.call("create_run", p_session_id=session_id, p_template=spec["slug"])


async def refused(sqlstate: str, call: Any) -> None:
    with pytest.raises(psycopg.Error) as refusal:
        await call
    assert refusal.value.sqlstate == sqlstate, refusal.value


async def decide(person: Person, gate: dict[str, Any], decision: str, comment: str = "") -> dict[str, Any]:
    return await person.call(
        "decide_gate", p_run_id=gate["run_id"], p_step_id=gate["step_id"], p_decision=decision,
        p_subject_digest=gate["subject_digest"], p_comment=comment,
    )  # fmt: skip


async def gate_of(person: Person, run_id: str) -> dict[str, Any]:
    (gate,) = [g for g in await person.call("list_gates", p_waiting=True) if g["run_id"] == run_id]
    return gate


async def events(room: Room, run_id: str) -> list[str]:
    return await room.column("select type from public.run_events where run_id = %s order by seq", run_id)


@pytest.fixture
async def approver(room: Room) -> Person:
    return await room.person("approver")


async def at_the_gate(worker: Worker) -> dict[str, Any]:
    (claim,) = await worker.claim(1)
    await worker.start(claim)
    await worker.append(
        claim, 1, {"type": "step.started", "step": "plan"}, {"type": "step.finished", "step": "plan", "data": DONE},
        {"type": "step.started", "step": "ask"},
    )  # fmt: skip
    return claim


async def test_a_run_of_risk_block_waits_for_an_approval_and_is_claimed_after(
    room: Room, operator: Person, approver: Person, session_id: str, worker: Worker
) -> None:
    run = await queue(room, operator, session_id, RISKY)
    assert await worker.claim(9) == []
    gate = await gate_of(approver, run["id"])
    assert (gate["obstacle"], gate["run"]["id"], gate["approvers"]) == (None, run["id"], 1)
    decided = await decide(approver, gate, "approved", "fine")
    assert decided["status"] == "approved" and await decide(approver, gate, "approved") == decided
    (claim,) = await worker.claim(9)
    assert (await worker.succeed(claim))["status"] == "succeeded"
    assert [e for e in await events(room, run["id"]) if e.startswith("gate.")] == ["gate.opened", "gate.decided", "gate.closed"]  # fmt: skip
    actor = await room.column("select actor from public.audit_log where target_id = %s and action like 'gate.%%'", run["id"])  # fmt: skip
    assert actor == [approver.user_id]


async def test_nobody_below_the_role_nor_the_creator_decides(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    run = await queue(room, operator, session_id, RISKY)
    admin = await room.person("admin")
    for role in ("viewer", "operator", None):
        somebody = await room.person(role)
        gate = {"run_id": run["id"], "step_id": "", "subject_digest": "0" * 64}
        await refused("ORA03" if role is None else "ORA02", decide(somebody, gate, "approved"))
    own = await queue(room, admin, session_id, RISKY | {"slug": "risky-own"})
    mine = await gate_of(admin, own["id"])
    assert "you created the run" in mine["obstacle"]
    await refused("ORA02", decide(admin, mine, "approved"))
    only_admins = await queue(
        room, operator, session_id, RISKY | {"slug": "risky-admin", "approval": {"role": "admin"}}
    )
    gate = await gate_of(admin, only_admins["id"])
    await refused("ORA02", decide(await room.person("approver"), gate, "approved"))
    assert (await decide(admin, gate, "approved"))["status"] == "approved"
    assert [c["run_id"] for c in await worker.claim(9)] == [only_admins["id"]]


async def test_a_template_may_let_its_creator_approve(room: Room, session_id: str) -> None:
    admin = await room.person("admin")
    spec = RISKY | {"slug": "risky-self", "approval": {"self_approval": True}}
    gate = await gate_of(admin, (await queue(room, admin, session_id, spec))["id"])
    assert (await decide(admin, gate, "approved"))["status"] == "approved"


async def test_what_is_approved_is_what_was_looked_at(
    room: Room, operator: Person, approver: Person, session_id: str
) -> None:
    run = await queue(room, operator, session_id, RISKY)
    gate = await gate_of(approver, run["id"])
    await refused("ORG03", decide(approver, gate | {"subject_digest": "0" * 64}, "approved"))
    await refused("ORV02", decide(approver, gate, "maybe"))
    await refused("ORV02", decide(approver, gate, "approved", "x" * 2001))
    await refused("ORG01", decide(approver, gate | {"step_id": "nothing"}, "approved"))
    await refused("ORN02", decide(approver, gate | {"run_id": str(uuid.uuid4())}, "approved"))


async def test_a_denial_ends_a_run_before_it_starts(
    room: Room, operator: Person, approver: Person, session_id: str, worker: Worker
) -> None:
    run = await queue(room, operator, session_id, RISKY)
    gate = await gate_of(approver, run["id"])
    assert (await decide(approver, gate, "denied", "not today"))["status"] == "denied"
    row = await operator.call("read_run", p_run_id=run["id"])
    assert (row["run"]["status"], row["run"]["reason"]) == ("cancelled", "denied")
    await refused("ORG02", decide(await room.person("approver"), gate, "approved"))


async def test_a_gate_step_needs_as_many_approvals_as_it_says(
    room: Room, operator: Person, approver: Person, session_id: str, worker: Worker
) -> None:
    run = await queue(room, operator, session_id, GATED)
    claim = await at_the_gate(worker)
    state = {"p_run_id": run["id"], "p_claim_token": claim["claim_token"], "p_step_id": "ask"}
    assert (await worker.call("read_gate", **state))["status"] == "waiting"
    passed = {"type": "step.finished", "step": "ask", "data": DONE}
    await refused("ORG04", worker.append(claim, 2, passed))
    gate = await gate_of(approver, run["id"])
    assert (await decide(approver, gate, "approved"))["status"] == "waiting"
    await refused("ORA02", decide(approver, gate, "denied"))
    await refused("ORG04", worker.append(claim, 2, passed))
    assert (await decide(await room.person("admin"), gate, "approved"))["status"] == "approved"
    assert (await worker.call("read_gate", **state))["status"] == "approved"
    await worker.append(claim, 2, passed, {"type": "step.started", "step": "act"}, {"type": "step.finished", "step": "act", "data": DONE})  # fmt: skip
    assert (await worker.finish(claim, "succeeded"))["status"] == "succeeded"


async def test_a_gate_can_not_be_jumped_in_one_batch(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    await queue(room, operator, session_id, GATED)
    (claim,) = await worker.claim(1)
    await refused("ORG04", worker.succeed(claim))


async def test_what_nobody_decides_expires(
    room: Room, operator: Person, approver: Person, session_id: str, worker: Worker
) -> None:
    waiting = await queue(room, operator, session_id, RISKY)
    gated = await queue(room, operator, session_id, GATED)
    claim = await at_the_gate(worker)
    await room.owner.execute("update public.gates set expires_at = clock_timestamp() - interval '1 s' where status = 'waiting'")  # fmt: skip
    gate = await gate_of(approver, gated["id"])
    await refused("ORG02", decide(approver, gate, "approved"))
    assert (await worker.call("sweep_runs"))["timed_out"] >= 2
    ended = await operator.call("read_run", p_run_id=waiting["id"])
    assert (ended["run"]["status"], ended["run"]["reason"]) == ("timed_out", "gate_timeout")
    state = await worker.call("read_gate", p_run_id=gated["id"], p_claim_token=claim["claim_token"], p_step_id="ask")
    assert state["status"] == "expired"
    lost = await worker.call("read_gate", p_run_id=gated["id"], p_claim_token=uuid.uuid4(), p_step_id="ask")
    assert lost == {"verdict": "lost"}


async def test_a_cancelled_run_waits_for_nobody(
    room: Room, operator: Person, approver: Person, session_id: str
) -> None:
    run = await queue(room, operator, session_id, RISKY)
    gate = await gate_of(approver, run["id"])
    await operator.call("cancel_run", p_run_id=run["id"])
    assert await room.value("select status from public.gates where run_id = %s", run["id"]) == "withdrawn"
    await refused("ORG02", decide(approver, gate, "approved"))
    assert (await events(room, run["id"]))[-1] == "run.cancelled"


async def test_approvals_are_never_changed(room: Room, operator: Person, approver: Person, session_id: str) -> None:
    run = await queue(room, operator, session_id, RISKY)
    await decide(approver, await gate_of(approver, run["id"]), "approved")
    for statement in (
        "update public.approvals set comment = ''",
        "delete from public.approvals",
        "delete from public.gates",
    ):
        await refused("ORC08", room.owner.execute(statement))
