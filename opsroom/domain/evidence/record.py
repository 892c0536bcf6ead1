"""What the control plane knows of an ended run, as the evidence bundle tells it. The SQL function `read_evidence`
answers this.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from opsroom.domain.events import Event


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class RunFacts(_Frozen):
    """The run's row. Times are UTC as `2026-11-24T00:13:49.614000Z`."""

    id: str
    title: str
    session_id: str
    session_title: str
    lane: str
    status: str
    reason: str | None
    message: str | None
    exit_code: int | None
    attempt: int
    retry_of: str | None
    root_run_id: str
    rerun_of: str | None
    replay_of: str | None = None
    created_by: str
    created_by_name: str
    cancel_requested_by_name: str | None
    cancel_reason: str | None
    queued_at: str
    claimed_at: str | None
    started_at: str | None
    finished_at: str


class TemplateFacts(_Frozen):
    slug: str
    version: int
    digest: str
    spec: Mapping[str, Any]


class WorkerFacts(_Frozen):
    id: str
    name: str
    host: str
    version: str


class StepFacts(_Frozen):
    id: str
    title: str
    kind: str
    required: bool
    status: str
    started_at: str | None
    finished_at: str | None
    exit_code: int | None
    message: str | None
    carried_from: str | None


class ArtifactFacts(_Frozen):
    """`sha256` and `size_bytes` are null for a link."""

    name: str
    step: str | None
    kind: str
    media_type: str
    sha256: str | None
    size_bytes: int | None
    object_path: str | None
    url: str | None
    carried_from: str | None


class ProofFacts(_Frozen):
    """What a verifier expected and what it saw."""

    step: str
    name: str
    kind: str
    phase: str
    required: bool
    passed: bool
    expected: Any
    seen: Any
    message: str
    at: str


class ApprovalFacts(_Frozen):
    """One decision about a gate. `subject_digest` pins what was decided about: template version and params."""

    step: str
    decision: str
    by: str
    by_name: str
    role: str
    comment: str
    subject_digest: str
    at: str


class AttemptFacts(_Frozen):
    id: str
    attempt: int
    status: str
    reason: str | None


class RunRecord(_Frozen):
    """Everything of one ended run."""

    run: RunFacts
    template: TemplateFacts
    params: Mapping[str, Any]
    worker: WorkerFacts | None
    steps: tuple[StepFacts, ...]
    artifacts: tuple[ArtifactFacts, ...]
    proofs: tuple[ProofFacts, ...]
    approvals: tuple[ApprovalFacts, ...]
    attempts: tuple[AttemptFacts, ...]
    events: tuple[Event, ...]
