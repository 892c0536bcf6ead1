"""The story of a run for its page: its chain of attempts, who did what, its proofs, and what can be done next."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from opsroom.components.run_views import AttemptView, DeedView, ProofView, RunActs
from opsroom.control_plane.models import Attempt, Deed, Proof, RunDetail
from opsroom.room.present import REASON_WORDS, STATUS_WORDS, iso, size, span
from opsroom.room.present_keeping import MACHINES, amount

_SOMEBODY: Final = "Somebody"
_LONGEST: Final = 2000


def attempts(detail: RunDetail) -> list[AttemptView]:
    """The chain of a run that was tried more than once; of a single one there is nothing to tell."""
    return [_attempt(item, detail.run.id) for item in detail.attempts] if len(detail.attempts) > 1 else []


def _attempt(attempt: Attempt, current: str) -> AttemptView:
    begun = "" if attempt.attempt == 1 else f"by {attempt.retried_by}" if attempt.retried_by else "by the retry policy"
    return AttemptView(
        href=f"/runs/{attempt.id}",
        number=attempt.attempt,
        status=attempt.status,
        word=STATUS_WORDS[attempt.status],
        reason=REASON_WORDS.get(attempt.reason, "") if attempt.reason else "",
        message=attempt.message or "",
        how=begun,
        carried=f"{attempt.carried} step{'s' if attempt.carried > 1 else ''} carried over" if attempt.carried else "",
        took=span(attempt.started_at or attempt.queued_at, attempt.finished_at),
        since=iso(attempt.started_at),
        current=attempt.id == current,
    )


def run_acts(detail: RunDetail) -> RunActs:
    """What can be done next. Resuming makes sense when some steps succeeded and no later attempt is there; it goes on
    at the first step that did not.
    """
    run, bundle = detail.run, detail.bundle
    before = next((a.id for a in detail.attempts if a.attempt == run.attempt - 1), "")
    acts = RunActs(
        compare=f"/compare?left={before}&right={run.id}" if before else f"/compare?left={run.id}",
        replay=detail.deterministic and (run.status == "succeeded" or run.reason in ("step_failed", "proof_failed")),
    )
    if bundle:
        acts = replace(
            acts,
            bundle=f"/api/runs/{run.id}/bundle",
            signed=iso(bundle.signed_at),
            digest=bundle.sha256,
            size=size(bundle.size_bytes),
        )
    if run.retried_by:
        return replace(acts, next=f"/runs/{run.retried_by}")
    if run.is_live or run.status == "succeeded" or not any(step.status == "succeeded" for step in detail.steps):
        return acts
    return replace(acts, resume=next((step.title for step in detail.steps if step.status != "succeeded"), ""))


def deeds(detail: RunDetail) -> list[DeedView]:
    """Who did what to a run, in order: people by the audit log, and the worker that took it."""
    run = detail.run
    mine = next((attempt for attempt in detail.attempts if attempt.id == run.id), None)
    told = [(deed.at, _deed(deed)) for deed in detail.deeds]
    if run.attempt > 1 and mine:
        who = mine.retried_by or "The retry policy"
        told.append(
            (run.queued_at, DeedView(who, f"began attempt {run.attempt}", "", iso(run.queued_at), not mine.retried_by))
        )
    elif not any(deed.action == "run.created" for deed in detail.deeds):
        told.append((run.queued_at, DeedView(run.created_by_name or _SOMEBODY, "launched it", "", iso(run.queued_at))))
    if run.claimed_at:
        told.append(
            (run.claimed_at, DeedView(run.worker_name or "A worker", "took it", "", iso(run.claimed_at), machine=True))
        )
    return [view for _, view in sorted(told, key=lambda item: item[0])]


def _deed(deed: Deed) -> DeedView:
    details = deed.details
    if did := MACHINES.get(deed.action):
        return DeedView("Retention", did, amount(details), iso(deed.at), machine=True)
    did = {
        "run.created": "launched it as a replay" if details.get("replay_of") else "launched it",
        "run.cancel_requested": "cancelled it by force" if details.get("force") else "asked to cancel it",
        "run.retried": "resumed it as a new attempt" if details.get("resume") else "asked for the next attempt",
        "run.moved": _moved(details),
        "gate.approved": f"approved {details.get('step') or 'the launch'}",
        "gate.denied": f"denied {details.get('step') or 'the launch'}",
        "hold.placed": "put it on legal hold",
        "hold.released": "released a legal hold",
    }.get(deed.action) or deed.action.removeprefix("run.").replace("_", " ").replace(".", " ")
    why = details.get("reason") or details.get("comment") or ""
    return DeedView(deed.by or _SOMEBODY, did, str(why), iso(deed.at))


def _moved(details: Mapping[str, Any]) -> str:
    lane, priority = details.get("lane"), details.get("priority")
    return f"moved it to lane {lane}, priority {priority}" if lane is not None else "moved it"


def proofs(detail: RunDetail) -> list[ProofView]:
    """What the verifiers saw; those that did not pass first."""
    return [_proof(item) for item in sorted(detail.proofs, key=lambda item: item.passed)]


def _proof(proof: Proof) -> ProofView:
    tolerated = not proof.passed and not proof.required
    return ProofView(
        step=proof.step,
        name=proof.name,
        kind=proof.kind,
        state="succeeded" if proof.passed else "warn" if tolerated else "failed",
        word="passed" if proof.passed else "did not pass, not required" if tolerated else "did not pass",
        expected=_short(proof.expected),
        seen=_short(proof.seen),
        message=proof.message or "",
    )


def _short(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
