"""What components draw: frozen values with every text ready and every time as ISO 8601.

Reflex sends them to the browser as they are and redraws the cards that differ, so they hold what is shown and nothing
else. `opsroom.room.present` makes them from the read model.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Freshness:
    """What the indicator shows. `as_of` is the database's time of the last good read; `mode` none: nothing is shown."""

    mode: str = "catching_up"
    as_of: str = ""
    reason: str = ""


@dataclass(frozen=True)
class RunView:
    """One run, wherever it is shown."""

    id: str = ""
    href: str = ""
    title: str = ""
    template: str = ""
    version: str = ""
    lane: str = ""
    status: str = "queued"
    word: str = "Queued"
    reason: str = ""
    message: str = ""
    dead: bool = False
    live: bool = False
    gated: bool = False
    cancelling: bool = False
    cancel_requested_at: str = ""
    seen: bool = False
    unseen: bool = False
    may_retry: bool = False
    priority: int = 0
    attempt: int = 1
    queued_at: str = ""
    claimed_at: str = ""
    started_at: str = ""
    finished_at: str = ""
    not_before: str = ""
    heartbeat_at: str = ""
    lease_seconds: int = 30
    took: str = ""
    steps: list[str] = field(default_factory=list)
    steps_label: str = ""
    step_title: str = ""
    worker: str = ""
    last_line: str = ""


@dataclass(frozen=True)
class QueueCard:
    """A run that waits. Its place is where it stands in the list, so that a move redraws one card and not all."""

    id: str = ""
    title: str = ""
    template: str = ""
    priority: int = 0
    attempt: int = 1
    queued_at: str = ""
    not_before: str = ""
    gated: bool = False


@dataclass(frozen=True)
class DoneCard:
    """A run that is over. `unseen`: a failure that nothing replaced and this person has not looked at."""

    id: str = ""
    title: str = ""
    status: str = "succeeded"
    word: str = ""
    reason: str = ""
    took: str = ""
    attempt: int = 1
    finished_at: str = ""
    seen: bool = False
    unseen: bool = False
    dead: bool = False
    retried: bool = False
    may_retry: bool = False


@dataclass(frozen=True)
class LaneCard:
    """One lane of the board, without its runs: these are vars of their own, so that an update sends only the lists that
    changed.
    """

    letter: str = ""
    word: str = "Idle"
    detail: str = ""
    busy: bool = False
    paused: bool = False
    capacity: int = 1
    slots: list[bool] = field(default_factory=list)
    taken: int = 0
    idle: str = "Nothing runs here."
    queued: int = 0
    unshown: int = 0


@dataclass(frozen=True)
class BoardHead:
    """The selected session."""

    id: str = ""
    title: str = ""
    intent: str = ""
    archived: bool = False
    paused_at: str = ""
    created_at: str = ""


@dataclass(frozen=True)
class SessionItem:
    """One line of the session list. `waiting` gates and `unseen` failures are what needs this person."""

    id: str = ""
    href: str = ""
    title: str = ""
    search: str = ""
    state: str = "pending"
    paused: bool = False
    active: int = 0
    queued: int = 0
    waiting: int = 0
    unseen: int = 0
    last_activity_at: str = ""


@dataclass(frozen=True)
class FleetView:
    """Workers and queues at a glance. The states are of the design system; `alarm` is empty when all is well."""

    workers: str = ""
    workers_state: str = "pending"
    workers_hint: str = ""
    queued: int = 0
    oldest_at: str = ""
    queue_state: str = "pending"
    active: int = 0
    stuck: int = 0
    swept_at: str = ""
    alarm: str = ""
    alarm_hint: str = ""


@dataclass(frozen=True)
class TemplateView:
    """A template to pick."""

    slug: str = ""
    title: str = ""
    description: str = ""
    risk: str = "info"
    risk_word: str = ""
    version: str = ""
    enabled: bool = True
    search: str = ""
    steps: list[str] = field(default_factory=list)
    limit: str = ""


@dataclass(frozen=True)
class FieldView:
    """One param as a form field. `kind`: text, multiline, enum, integer, number, boolean, list, object, datetime, date,
    email, url, secret, json. `start` is what it holds at first (see `opsroom.room.params_form`); `item` the field of
    each item of a list, `most` how many there may be (0: any number); `longest` the most characters.
    """

    name: str = ""
    label: str = ""
    kind: str = "text"
    hint: str = ""
    required: bool = False
    start: Any = ""
    options: list[str] = field(default_factory=list)
    placeholder: str = ""
    wide: bool = False
    most: int = 0
    longest: int = 0
    item: list["FieldView"] = field(default_factory=list)
    fields: list["FieldView"] = field(default_factory=list)


@dataclass(frozen=True)
class PlanNode:
    """One step in the preview of a plan, at its place in pixels. `facts` are short words about it."""

    id: str = ""
    title: str = ""
    kind: str = ""
    gate: bool = False
    x: int = 0
    y: int = 0
    facts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PlanView:
    """What a run of a template will do: its graph, and what it promises. `edges` are SVG paths."""

    width: int = 0
    height: int = 0
    nodes: list[PlanNode] = field(default_factory=list)
    edges: list[str] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    approvals: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LaneOutcome:
    """What became of one lane's part of a launch."""

    lane: str = ""
    done: bool = False
    text: str = ""
    href: str = ""


@dataclass(frozen=True)
class PhaseView:
    """One stretch of a run's life. `share` is its part of the timeline, `took` is empty while it lasts."""

    name: str = ""
    state: str = "queued"
    since: str = ""
    took: str = ""
    share: float = 1.0


@dataclass(frozen=True)
class StepView:
    """One step of a run; `x` and `y` are its place in the graph. `carried`: an earlier attempt did it."""

    id: str = ""
    title: str = ""
    kind: str = ""
    status: str = "pending"
    since: str = ""
    until: str = ""
    took: str = ""
    needs: str = ""
    exit_code: str = ""
    message: str = ""
    carried: bool = False
    x: int = 0
    y: int = 0


@dataclass(frozen=True)
class ArtifactView:
    """One artifact of a run: `src` is where its bytes are, `page` where it is shown."""

    id: str = ""
    name: str = ""
    kind: str = "file"
    size: str = ""
    digest: str = ""
    href: str = ""
    page: str = ""
    link: bool = False
    carried: bool = False
    expired: str = ""
