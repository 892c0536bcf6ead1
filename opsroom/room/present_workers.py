"""From the fleet as it is read to what its page draws."""

from collections import Counter
from typing import Any, Final

from opsroom.components.workers import FleetHead, HeldView, WorkerView
from opsroom.control_plane.reports import KnownWorker, Workers, WorkerState
from opsroom.room.present import iso

WORDS: Final[dict[WorkerState, str]] = {
    "online": "Online",
    "draining": "Draining",
    "missing": "Missing",
    "stopped": "Stopped",
}
TONES: Final[dict[WorkerState, str]] = {
    "online": "succeeded",
    "draining": "warn",
    "missing": "failed",
    "stopped": "pending",
}


def workers_values(found: Workers) -> dict[str, Any]:
    """The vars of the page. A missing worker that holds a run still matters; one without is only gone."""
    serving = [worker for worker in found.workers if worker.state in ("online", "draining")]
    versions = Counter(worker.version or "?" for worker in serving)
    # The one that most have, and of two that are as common the one that is there for longer.
    common = (
        max((versions[w.version or "?"], -w.started_at.timestamp(), w.version or "?") for w in serving)[2]
        if serving
        else ""
    )
    views = [(worker, _view(worker, common if len(versions) > 1 else "")) for worker in found.workers]
    here = [view for worker, view in views if not _is_gone(worker)]
    gone = sorted((view for worker, view in views if _is_gone(worker)), key=lambda v: v.last_seen_at, reverse=True)
    return {
        "head": _head(found, versions),
        "here": sorted(here, key=lambda view: (view.state == "online", view.state == "draining", view.name)),
        "gone": gone,
    }


def _is_gone(worker: KnownWorker) -> bool:
    return worker.state == "stopped" or (worker.state == "missing" and not worker.active)


def _head(found: Workers, versions: Counter[str]) -> FleetHead:
    states = Counter(worker.state for worker in found.workers if not _is_gone(worker))
    serving = [worker for worker in found.workers if worker.state == "online"]
    trouble = [f"{states[state]} {WORDS[state].lower()}" for state in ("missing", "draining") if states[state]]
    active, slots = sum(worker.active for worker in serving), sum(worker.capacity for worker in serving)
    parts = ", ".join(f"{version}: {n}" for version, n in sorted(versions.items()))
    return FleetHead(
        online=states["online"],
        trouble=", ".join(trouble),
        slots=f"{active}/{slots}",
        slots_note="of the workers online" if slots else "Nobody takes runs",
        queued=found.queued,
        oldest_queued_at=iso(found.oldest_queued_at),
        stuck=found.stuck,
        last_sweep_at=iso(found.sweep.last_sweep_at),
        held_until=iso(found.sweep.held_until),
        checkpoint_at=iso(found.checkpoint.at) if found.checkpoint else "",
        checkpoint_late=bool(found.checkpoint and found.checkpoint.is_overdue(found.read_at)),
        versions=f"{parts}. That is normal while a fleet is upgraded." if len(versions) > 1 else "",
    )


def _view(worker: KnownWorker, common: str) -> WorkerView:
    return WorkerView(
        id=worker.id,
        name=worker.name,
        where=f"{worker.host}:{worker.pid}",
        state=worker.state,
        word=WORDS[worker.state],
        tone=TONES[worker.state],
        why=_why(worker),
        transport=_transport(worker),
        version=worker.version or "?",
        odd_version=bool(common) and worker.version != common,
        capacity=worker.capacity,
        active=worker.active,
        share=min(1.0, worker.active / worker.capacity),
        started_at=iso(worker.started_at),
        last_seen_at=iso(worker.stopped_at if worker.state == "stopped" else worker.last_seen_at),
        runs=[
            HeldView(f"/runs/{run.id}", run.title, run.lane, run.status, iso(run.started_at or run.claimed_at))
            for run in worker.runs
        ],
        unshown=max(0, worker.active - len(worker.runs)),
    )


def _transport(worker: KnownWorker) -> str:
    if worker.transport != "postgres":
        return worker.transport or "?"
    return "postgres, direct" if worker.attached else "postgres, pooled"


def _why(worker: KnownWorker) -> str:
    match worker.state:
        case "online":
            return "It says that it lives, and takes runs."
        case "draining":
            return "It gets no more runs; those it has go on."
        case "missing" if worker.missing_since:
            return "Its connection is gone."
        case "missing":
            return "It has said nothing for a minute."
        case "stopped":
            return "It was told to stop, and did."
