"""The read model: what the control plane answers, as frozen typed values.

Fields the database adds later are ignored, so that it may be newer than this client (expand, deploy, contract).
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from opsroom.control_plane.rows import Row
from opsroom.control_plane.story import Attempt, BundleRef, Deed, Hold, Proof, Replay, Retention, Verdict
from opsroom.domain.comparison import Result as Comparison
from opsroom.domain.events import Level
from opsroom.domain.lifecycle import LIVE, Lane, Reason, Role, RunStatus, StepStatus
from opsroom.domain.template import ArtifactKind, Risk


class Member(Row):
    """A person of the control room."""

    user_id: str
    email: str
    display_name: str = ""
    role: Role
    disabled_at: dt.datetime | None = None


class Session(Row):
    """An operator's working context."""

    id: str
    title: str
    intent: str = ""
    created_by: str | None = None
    created_by_name: str | None = None
    created_at: dt.datetime
    archived_at: dt.datetime | None = None
    paused_at: dt.datetime | None = None


class SessionSummary(Session):
    """A session with what it needs: `waiting` gates for a person, `failed` runs that no later attempt replaced and of
    them `unseen` by the caller (both of its latest 100 failures). `last_status`: how the run that ended last did.
    """

    queued: int = 0
    active: int = 0
    waiting: int = 0
    failed: int = 0
    unseen: int = 0
    last_status: RunStatus | None = None
    last_activity_at: dt.datetime | None = None


class Run(Row):
    """One execution of one template version."""

    id: str
    session_id: str
    lane: Lane
    template_slug: str
    template_version: int
    template_digest: str
    title: str
    params: Mapping[str, Any]
    status: RunStatus
    reason: Reason | None = None
    message: str | None = None
    priority: int = 0
    attempt: int = 1
    retry_of: str | None = None
    root_run_id: str | None = None
    rerun_of: str | None = None
    replay_of: str | None = None
    replay_verdict: Verdict | None = None
    exit_code: int | None = None
    not_before: dt.datetime | None = None
    queued_at: dt.datetime
    start_deadline_at: dt.datetime | None = None
    claimed_by: str | None = None
    claimed_at: dt.datetime | None = None
    heartbeat_at: dt.datetime | None = None
    lease_expires_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    cancel_requested_at: dt.datetime | None = None
    cancel_requested_by: str | None = None
    cancel_reason: str | None = None
    created_by: str | None = None
    lease_seconds: int | None = None
    timeout_seconds: int | None = None

    @property
    def is_live(self) -> bool:
        """Whether the run can still change."""
        return self.status in LIVE


class Card(Run):
    """A run with what the board shows of it. `dead_letter`: its retries are used up and it has not succeeded. `seen`:
    the caller has looked at its result. `waiting_gate`: the gate step that waits for a person, empty for the approval
    before the first step, None when none does.
    """

    created_by_name: str | None = None
    retried_by: str | None = None
    dead_letter: bool = False
    awaiting_approval: bool = False
    waiting_gate: str | None = None
    seen: bool = False
    place_at: dt.datetime | None = None
    concurrency_key: str | None = None
    steps_total: int = 0
    steps_done: int = 0
    current_step: str | None = None
    current_step_title: str | None = None
    worker_name: str | None = None
    last_line: str | None = None


class LaneView(Row):
    """One lane of a board. `queue` and `finished` hold the first and the last 25; `queued` counts all."""

    lane: Lane
    capacity: int = 1
    paused_at: dt.datetime | None = None
    queued: int = 0
    active: tuple[Card, ...] = ()
    queue: tuple[Card, ...] = ()
    finished: tuple[Card, ...] = ()


class Board(Row):
    """A session's four lanes, as of `read_at` by the database's clock."""

    session: Session
    lanes: tuple[LaneView, ...]
    read_at: dt.datetime

    def lane(self, name: Lane) -> LaneView:
        """The lane called `name`; an empty one if the database sent none."""
        return next((lane for lane in self.lanes if lane.lane == name), LaneView(lane=name))


class Step(Row):
    """One node of the template's graph inside a run."""

    run_id: str
    step_id: str
    position: int
    kind: str
    title: str
    needs: tuple[str, ...] = ()
    required: bool = True
    status: StepStatus
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    exit_code: int | None = None
    message: str | None = None
    carried_from: str | None = None


class Artifact(Row):
    """An immutable output. A link has a `url` and no object; all others an `object_path` and their bytes' sha256."""

    id: str
    run_id: str
    step: str | None = None
    name: str
    kind: ArtifactKind
    media_type: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    object_path: str | None = None
    url: str | None = None
    carried_from: str | None = None
    created_at: dt.datetime
    expired_at: dt.datetime | None = None
    """When its bytes were given up; its digest and size stay."""


class SessionRef(Row):
    """The session of a run, in short."""

    id: str
    title: str
    archived_at: dt.datetime | None = None


class RunDetail(Row):
    """A run with all that belongs to it. `last_seq` is the number of its newest event; `replay` the verdict about it if
    it is a replay; `replays` those of it; `deterministic` whether its template lets it be replayed.
    """

    run: Card
    session: SessionRef | None = None
    steps: tuple[Step, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    deeds: tuple[Deed, ...] = ()
    proofs: tuple[Proof, ...] = ()
    replay: Comparison | None = None
    replays: tuple[Replay, ...] = ()
    deterministic: bool = False
    bundle: BundleRef | None = None
    holds: tuple[Hold, ...] = ()
    retention: Retention | None = None
    last_seq: int = 0
    read_at: dt.datetime | None = None


class FoundRun(Row):
    """A run that a search found, with the title of its session."""

    run: Card
    session_title: str


class Found(Row):
    """What a search found, the latest first."""

    sessions: tuple[SessionRef, ...] = ()
    runs: tuple[FoundRun, ...] = ()


class RunEvent(Row):
    """One fact of a run, for showing. For checking the hash chain use `opsroom.domain.events.Event`, which keeps the
    exact text.
    """

    run_id: str
    seq: int
    at: dt.datetime
    type: str
    step: str | None = None
    level: Level = "info"
    message: str = ""
    data: Mapping[str, Any] = Field(default_factory=dict)
    prev_hash: str = ""
    hash: str = ""
    expired_at: dt.datetime | None = None
    """When its text was removed, past its retention."""


class EventPage(Row):
    """Events after a cursor. `last_seq` is the newest there is; `terminal` that no more will come."""

    events: tuple[RunEvent, ...] = ()
    last_seq: int = 0
    terminal: bool = False


class Template(Row):
    """One version of a runbook. `spec` is its definition as it was saved (`opsroom.domain.template`)."""

    slug: str
    version: int
    digest: str
    enabled: bool = True
    spec: Mapping[str, Any]
    created_at: dt.datetime | None = None

    @property
    def title(self) -> str:
        """The name people read."""
        return str(self.spec.get("title") or self.slug)

    @property
    def description(self) -> str:
        """What it does, in a few sentences."""
        return str(self.spec.get("description") or "")

    @property
    def risk(self) -> Risk:
        """How much harm it can do."""
        return self.spec.get("risk", "info")

    @property
    def params_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the template's params."""
        return self.spec.get("params") or {}


class Worker(Row):
    """A process that executes runs. It is alive when it was seen a short while ago and has not stopped."""

    id: str
    name: str
    host: str | None = None
    pid: int | None = None
    version: str | None = None
    capacity: int = 1
    transport: str | None = None
    started_at: dt.datetime
    last_seen_at: dt.datetime
    draining_at: dt.datetime | None = None
    stopped_at: dt.datetime | None = None
