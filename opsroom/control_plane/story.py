"""What happened to a run: its chain of attempts, who did what to it, what its verifiers saw; how long it is kept."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from opsroom.control_plane.rows import Row
from opsroom.domain.lifecycle import Reason, RunStatus

Verdict = Literal["REPRODUCED", "DIVERGED"]


class Attempt(Row):
    """One run of a chain of retries. `carried` counts the steps it took over; `retried_by` is empty when a policy began
    it.
    """

    id: str
    attempt: int
    status: RunStatus
    reason: Reason | None = None
    message: str | None = None
    queued_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    carried: int = 0
    retried_by: str | None = None


class Deed(Row):
    """What somebody did to a run, as the audit log has it (`run.created`, `run.cancel_requested`, …)."""

    at: dt.datetime
    action: str
    by: str | None = None
    details: Mapping[str, Any] = Field(default_factory=dict)


class Proof(Row):
    """What a verifier expected after a step and what it saw."""

    step: str
    name: str
    kind: str = ""
    required: bool = True
    passed: bool
    expected: Any = None
    seen: Any = None
    message: str | None = None
    at: dt.datetime | None = None


class Replay(Row):
    """A run that repeated another, and what came of it once they were compared."""

    id: str
    status: RunStatus
    queued_at: dt.datetime
    finished_at: dt.datetime | None = None
    verdict: Verdict | None = None


class BundleRef(Row):
    """A run's newest evidence bundle, in short."""

    sha256: str
    size_bytes: int
    keyid: str
    signed_at: dt.datetime


class Hold(Row):
    """A legal hold on a run, or on a session and so on all its runs. `title` is what it is on."""

    id: str
    run_id: str | None = None
    session_id: str | None = None
    title: str = ""
    reason: str
    placed_by_name: str | None = None
    placed_at: dt.datetime
    released_by_name: str | None = None
    released_at: dt.datetime | None = None
    release_reason: str | None = None


class Retention(Row):
    """When a run's log and its large artifacts go, or went; due at None: never."""

    logs_due_at: dt.datetime | None = None
    logs_expired_at: dt.datetime | None = None
    artifacts_due_at: dt.datetime | None = None
    artifacts_expired_at: dt.datetime | None = None
    large_bytes: int = 0
