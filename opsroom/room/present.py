"""From the read model to what components draw (`opsroom.components.views`)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final

from opsroom.components.views import BoardHead, DoneCard, LaneCard, QueueCard, RunView, SessionItem, TemplateView
from opsroom.control_plane.models import Board, Card, LaneView, SessionSummary, Template
from opsroom.domain.lifecycle import Reason, RunStatus

STATUS_WORDS: Final[dict[RunStatus, str]] = {
    "queued": "Queued",
    "claimed": "Starting",
    "running": "Running",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "timed_out": "Timed out",
}
REASON_WORDS: Final[dict[Reason, str]] = {
    "step_failed": "a step failed",
    "lost": "the worker vanished",
    "cancelled_by_person": "by a person",
    "step_timeout": "a step took too long",
    "run_timeout": "the run took too long",
    "queue_timeout": "nobody started it in time",
    "worker_error": "the worker failed",
    "invalid_template": "the template does not work",
    "proof_failed": "a check did not pass",
    "denied": "it was denied",
    "gate_timeout": "nobody decided in time",
}


def iso(at: dt.datetime | None) -> str:
    """ISO 8601, or empty."""
    return at.isoformat() if at else ""


def span(start: dt.datetime | None, end: dt.datetime | None) -> str:
    """How long it took, in at most two units: `0.4 s`, `42 s`, `3 m 07 s`, `2 h 05 m`."""
    if not start or not end:
        return ""
    seconds = max(0.0, (end - start).total_seconds())
    if seconds < 0.05:
        return "0 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def size(count: int | None) -> str:
    """Bytes in the unit that reads best."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def run_view(card: Card) -> RunView:
    """A run as its card and its page show it."""
    total, done = card.steps_total, min(card.steps_done, card.steps_total)
    under_way = card.is_live and card.status != "queued"
    return RunView(
        id=card.id,
        href=f"/runs/{card.id}",
        title=card.title,
        template=card.template_slug,
        version=f"v{card.template_version}",
        lane=card.lane,
        status=card.status,
        word=_word(card),
        gated=card.waiting_gate is not None and card.is_live,
        reason=REASON_WORDS.get(card.reason, "") if card.reason else "",
        message=card.message or "",
        dead=card.dead_letter,
        live=card.is_live,
        cancelling=card.cancel_requested_at is not None and card.is_live,
        cancel_requested_at=iso(card.cancel_requested_at),
        seen=card.seen,
        unseen=is_unseen(card),
        may_retry=may_retry(card),
        priority=card.priority,
        attempt=card.attempt,
        queued_at=iso(card.queued_at),
        claimed_at=iso(card.claimed_at),
        started_at=iso(card.started_at),
        finished_at=iso(card.finished_at),
        not_before=iso(card.not_before),
        heartbeat_at=iso(card.heartbeat_at) if under_way else "",
        lease_seconds=card.lease_seconds or 30,
        took=span(card.started_at or card.claimed_at or card.queued_at, card.finished_at),
        steps=["done" if i < done else "now" if i == done and under_way else "todo" for i in range(total)],
        steps_label=f"{min(done + 1, total) if under_way else done}/{total}" if total else "",
        step_title=card.current_step_title or card.current_step or "",
        worker=card.worker_name or "",
        last_line=(card.last_line or "").strip(),
    )


def _word(card: Card) -> str:
    if card.cancel_requested_at and card.is_live:
        return "Cancelling"
    if card.waiting_gate is not None and card.is_live:
        return "Needs approval"
    return STATUS_WORDS[card.status]


def may_retry(card: Card) -> bool:
    """Whether the run ended without success, and no later attempt has taken its place."""
    return not card.is_live and card.status != "succeeded" and card.retried_by is None


def is_unseen(card: Card) -> bool:
    """Whether the run is a failure that needs this person to look at it."""
    return card.status in ("failed", "timed_out") and card.retried_by is None and not card.seen


def queue_card(card: Card) -> QueueCard:
    """A run that waits."""
    return QueueCard(
        id=card.id,
        title=card.title,
        template=card.template_slug,
        priority=card.priority,
        attempt=card.attempt,
        queued_at=iso(card.queued_at),
        not_before=iso(card.not_before),
        gated=card.awaiting_approval,
    )


def done_card(card: Card) -> DoneCard:
    """A run that is over."""
    return DoneCard(
        id=card.id,
        title=card.title,
        status=card.status,
        word=STATUS_WORDS[card.status],
        reason=REASON_WORDS.get(card.reason, "") if card.reason else "",
        took=span(card.started_at or card.claimed_at or card.queued_at, card.finished_at),
        attempt=card.attempt,
        finished_at=iso(card.finished_at),
        seen=card.seen,
        unseen=is_unseen(card),
        dead=card.dead_letter,
        retried=card.retried_by is not None,
        may_retry=may_retry(card),
    )


def lane_card(lane: LaneView, *, held: bool = False) -> LaneCard:
    """A lane; `held`: its session is paused."""
    waiting = lane.queued
    return LaneCard(
        letter=lane.lane,
        word=_lane_word(lane),
        detail=f"{waiting} queued" if waiting else "Nothing queued",
        busy=bool(lane.active),
        paused=lane.paused_at is not None,
        capacity=lane.capacity,
        slots=[i < len(lane.active) for i in range(max(lane.capacity, len(lane.active)))],
        taken=len(lane.active),
        idle=_idle(lane, held),
        queued=waiting,
        unshown=max(0, waiting - len(lane.queue)),
    )


def _idle(lane: LaneView, held: bool) -> str:
    if not lane.queued:
        return "Nothing runs here."
    if lane.paused_at:
        return "Held back until the lane is resumed."
    if held:
        return "Held back until the session is resumed."
    if lane.queued == len(lane.queue) and all(card.awaiting_approval for card in lane.queue):
        return "Waiting for an approval."
    now = dt.datetime.now(dt.UTC)
    due = lane.queued > len(lane.queue) or any(not card.not_before or card.not_before <= now for card in lane.queue)
    return "Waiting for a worker." if due else "Waiting for its time."


def _lane_word(lane: LaneView) -> str:
    if len(lane.active) > 1:
        return f"{len(lane.active)} running"
    if lane.active:
        return _word(lane.active[0])
    if lane.paused_at:
        return "Paused"
    return "Waiting" if lane.queued else "Idle"


def board_values(board: Board) -> dict[str, Any]:
    """The vars of a board: its head, and `lane_a`, `active_a`, `queue_a`, `finished_a` and so on for the lanes that
    were read.
    """
    held = board.session.paused_at is not None
    values: dict[str, Any] = {
        "head": BoardHead(
            id=board.session.id,
            title=board.session.title,
            intent=board.session.intent,
            archived=board.session.archived_at is not None,
            paused_at=iso(board.session.paused_at),
            created_at=iso(board.session.created_at),
        )
    }
    for lane in board.lanes:
        letter = lane.lane.lower()
        values[f"lane_{letter}"] = lane_card(lane, held=held)
        values[f"active_{letter}"] = [run_view(card) for card in lane.active]
        values[f"queue_{letter}"] = [queue_card(card) for card in lane.queue]
        values[f"finished_{letter}"] = [done_card(card) for card in lane.finished]
    return values


def session_item(session: SessionSummary) -> SessionItem:
    """A session with what it needs; its state is the most urgent of what is in it."""
    ended = session.last_status or "pending"
    return SessionItem(
        id=session.id,
        href=f"/sessions/{session.id}",
        title=session.title,
        search=f"{session.title} {session.intent}".lower(),
        state="waiting"
        if session.waiting
        else "failed"
        if session.unseen
        else "running"
        if session.active
        else "queued"
        if session.queued
        else ended,
        paused=session.paused_at is not None,
        active=session.active,
        queued=session.queued,
        waiting=session.waiting,
        unseen=session.unseen,
        last_activity_at=iso(session.last_activity_at or session.created_at),
    )


def grouped(sessions: Iterable[SessionSummary]) -> dict[str, list[SessionItem]]:
    """The session list: what needs this person first, then what works, then the rest; the latest first in each."""
    items = sorted(map(session_item, sessions), key=lambda item: item.last_activity_at, reverse=True)
    groups: dict[str, list[SessionItem]] = {"needs_you": [], "working": [], "done": []}
    for item in items:
        needed, works = item.waiting or item.unseen, item.active or item.queued
        groups["needs_you" if needed else "working" if works else "done"].append(item)
    return groups


def pick(groups: dict[str, list[SessionItem]]) -> str:
    """The session a person wants to see who named none: one that works, else one that needs them, else the latest."""
    order: Sequence[str] = ("working", "needs_you", "done")
    return next((groups[name][0].id for name in order if groups[name]), "")


def template_view(template: Template) -> TemplateView:
    """A template as the picker shows it."""
    seconds = int(template.spec.get("timeout_seconds", 3600))
    words = {"warn": "Changes things", "block": "Dangerous"}
    return TemplateView(
        slug=template.slug,
        title=template.title,
        description=template.description,
        risk=template.risk,
        risk_word=words.get(template.risk, ""),
        version=f"v{template.version}",
        enabled=template.enabled,
        search=f"{template.slug} {template.title} {template.description}".lower(),
        steps=[str(step.get("title") or step.get("id")) for step in template.spec.get("steps", [])],
        limit=span(dt.datetime.min, dt.datetime.min + dt.timedelta(seconds=seconds)),
    )
