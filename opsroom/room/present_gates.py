"""From gates of the read model to what components draw."""

import json
from typing import Any, Final

from opsroom.components.gates import DecisionView, GateView
from opsroom.control_plane.gates import GateStatus, InboxItem
from opsroom.room.present import iso

WORDS: Final[dict[GateStatus, str]] = {
    "waiting": "Waiting",
    "approved": "Approved",
    "denied": "Denied",
    "expired": "Expired",
    "withdrawn": "Withdrawn",
}
STATES: Final[dict[GateStatus, str]] = {
    "waiting": "warn",
    "approved": "succeeded",
    "denied": "failed",
    "expired": "timed_out",
    "withdrawn": "cancelled",
}
LONGEST_VALUE: Final = 300


def gate_view(item: InboxItem) -> GateView:
    """A gate with its run, as the inbox shows it."""
    left = item.approvers - sum(approval.decision == "approved" for approval in item.approvals)
    role = item.role if item.approvers == 1 else f"{item.role}s"
    return GateView(
        key=f"{item.run_id}:{item.step_id}",
        run_id=item.run_id,
        step_id=item.step_id,
        href=f"/runs/{item.run_id}",
        title=item.run.title,
        where=f"Gate {item.step_id}" if item.step_id else "Before it starts",
        session=item.session_title,
        session_href=f"/sessions/{item.run.session_id}",
        template=f"{item.run.template_slug} v{item.run.template_version}",
        launched_by=item.run.created_by_name or "",
        launched_at=iso(item.run.queued_at),
        instructions=item.instructions,
        params=[[name, _short(value)] for name, value in item.run.params.items()],
        digest=item.subject_digest,
        needs=f"{left} of {item.approvers} {role} to go" if item.approvers > 1 else f"Needs an {role}",
        decisions=[
            DecisionView(a.by_name, WORDS[a.decision], STATES[a.decision], a.comment, iso(a.at)) for a in item.approvals
        ],
        expires_at=iso(item.expires_at),
        closed_at=iso(item.closed_at),
        status=item.status,
        word=WORDS[item.status],
        state=STATES[item.status],
        may=item.obstacle is None and item.status == "waiting",
        obstacle=item.obstacle or "",
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
