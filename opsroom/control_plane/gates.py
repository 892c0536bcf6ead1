"""Gates: what waits for a person, and what persons decided. The database judges who may decide; this only asks it."""

import datetime as dt
from typing import Literal

from opsroom.control_plane.commands import as_uuid
from opsroom.control_plane.models import Card, Row
from opsroom.control_plane.rest import Rest
from opsroom.domain.lifecycle import Role

GateStatus = Literal["waiting", "approved", "denied", "expired", "withdrawn"]
Decision = Literal["approved", "denied"]


class Approval(Row):
    """One person's decision."""

    by: str
    by_name: str
    role: Role
    decision: Decision
    comment: str = ""
    at: dt.datetime


class Gate(Row):
    """A gate step of a run, or with an empty `step_id` the approval that it needs before its first step.

    `subject_digest` pins what is decided about: template version and params.
    """

    run_id: str
    step_id: str
    status: GateStatus
    approvers: int
    role: Role
    self_approval: bool = False
    instructions: str = ""
    subject_digest: str
    opened_at: dt.datetime
    expires_at: dt.datetime
    closed_at: dt.datetime | None = None
    approvals: tuple[Approval, ...] = ()


class InboxItem(Gate):
    """A gate with its run. `obstacle` says why the one who asks may not decide; None when they may."""

    run: Card
    session_title: str
    obstacle: str | None = None


class Gates:
    """Queries and commands about gates; part of `ControlPlane`."""

    _rest: Rest

    async def list_gates(self, *, waiting: bool = True) -> tuple[InboxItem, ...]:
        """What waits for a decision, what expires first first; or the hundred that were closed last."""
        return tuple(
            InboxItem.model_validate(row) for row in await self._rest.rpc("list_gates", {"p_waiting": waiting})
        )

    async def decide_gate(
        self, run_id: str, step_id: str, decision: Decision, subject_digest: str, comment: str = ""
    ) -> Gate:
        """Approve or deny. Raises Forbidden when somebody else has to, GateClosed when it is too late, ApprovalStale
        when `subject_digest` is not what waits.
        """
        arguments = {
            "p_run_id": as_uuid(run_id, "run"),
            "p_step_id": step_id,
            "p_decision": decision,
            "p_subject_digest": subject_digest,
            "p_comment": comment,
        }
        return Gate.model_validate(await self._rest.rpc("decide_gate", arguments))
