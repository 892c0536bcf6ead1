"""The lifecycle of a run and of its steps: the words, and which change may follow which.

The database enforces this (`private.run_edges` and the CHECKs on `public.runs`); what is here lets the UI, the command
line and the worker speak of it in types. `tests/database` compares the two.
"""

from typing import Final, Literal

RunStatus = Literal["queued", "claimed", "running", "succeeded", "failed", "cancelled", "timed_out"]
StepStatus = Literal["pending", "running", "succeeded", "failed", "skipped", "cancelled", "timed_out"]
Lane = Literal["A", "B", "C", "D"]
Role = Literal["viewer", "operator", "approver", "admin"]
FinishStatus = Literal["succeeded", "failed", "cancelled", "timed_out"]

Reason = Literal[
    "step_failed",
    "lost",
    "cancelled_by_person",
    "step_timeout",
    "run_timeout",
    "queue_timeout",
    "worker_error",
    "invalid_template",
    "proof_failed",
    "denied",
    "gate_timeout",
]
"""Why a run ended as it did; null for a run that succeeded."""

LANES: Final[tuple[Lane, ...]] = ("A", "B", "C", "D")
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "approver", "admin")
LIVE: Final[frozenset[RunStatus]] = frozenset({"queued", "claimed", "running"})
TERMINAL: Final[frozenset[RunStatus]] = frozenset({"succeeded", "failed", "cancelled", "timed_out"})

EDGES: Final[frozenset[tuple[RunStatus, RunStatus]]] = frozenset(
    {
        ("queued", "claimed"),
        ("queued", "cancelled"),
        ("queued", "timed_out"),
        ("claimed", "running"),
        ("claimed", "failed"),
        ("claimed", "cancelled"),
        ("claimed", "timed_out"),
        ("running", "succeeded"),
        ("running", "failed"),
        ("running", "cancelled"),
        ("running", "timed_out"),
    }
)
"""Every change of status that may ever happen, forward only."""


def is_terminal(status: RunStatus) -> bool:
    """Whether nothing about a run in `status` can change any more."""
    return status in TERMINAL


def at_least(role: Role, needed: Role) -> bool:
    """Whether a member with `role` may do what needs `needed`: each role holds all that the ones before it do."""
    return ROLES.index(role) >= ROLES.index(needed)
