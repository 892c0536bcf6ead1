"""From a run in the read model to what its page draws."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from opsroom.components.run_views import EdgeView, GraphView
from opsroom.components.views import ArtifactView, PhaseView, StepView
from opsroom.control_plane.models import Artifact, Card, RunDetail, Step
from opsroom.room.plan import lay_out
from opsroom.room.present import iso, run_view, size, span
from opsroom.room.present_compare import replay_rows, replay_view
from opsroom.room.present_keeping import day, held, kept
from opsroom.room.present_story import attempts, deeds, proofs, run_acts


def run_values(detail: RunDetail) -> dict[str, Any]:
    """The vars of a run's page."""
    run = detail.run
    return {
        "run": run_view(run),
        "session": run.session_id,
        "launched_by": run.created_by_name or "",
        "phases": phases(run, detail.read_at),
        "steps_note": steps_note(detail),
        **graph_values(detail.steps),
        "artifacts": [artifact_view(item) for item in detail.artifacts],
        "attempts": attempts(detail),
        "deeds": deeds(detail),
        "proofs": proofs(detail),
        "acts": run_acts(detail),
        "replay": replay_view(detail),
        "replays": replay_rows(detail),
        "params": json.dumps(dict(run.params), indent=2, ensure_ascii=False) if run.params else "",
        "facts": facts(run) + kept(detail.retention),
        "held": held(detail),
    }


def steps_note(detail: RunDetail) -> str:
    """How far the steps are: done of all while the run is live, afterwards how many succeeded."""
    run, steps = detail.run, detail.steps
    if run.is_live:
        return f"{run.steps_done} of {len(steps)} done"
    return f"{sum(step.status == 'succeeded' for step in steps)} of {len(steps)} succeeded"


def phases(run: Card, now: dt.datetime | None) -> list[PhaseView]:
    """The states a run went through, each as long as it took; the last one lasts while the run is live."""
    marks: list[tuple[str, str, dt.datetime]] = [("Queued", "queued", run.queued_at)]
    if run.claimed_at:
        marks.append(("Starting", "claimed", run.claimed_at))
    if run.started_at:
        marks.append(("Running", "running", run.started_at))
    ends = [mark[2] for mark in marks[1:]] + [run.finished_at]
    lengths = [((end or now or at) - at).total_seconds() for (_, _, at), end in zip(marks, ends, strict=True)]
    whole = sum(lengths) or 1.0
    return [
        PhaseView(name, state, iso(at), span(at, end), round(max(0.04, length / whole), 2))
        for (name, state, at), end, length in zip(marks, ends, lengths, strict=True)
    ]


def graph_values(steps: Sequence[Step]) -> dict[str, Any]:
    """The steps, each at its place in the graph, and the graph's edges in the state of the step they come from."""
    nodes: list[Mapping[str, Any]] = [{"id": step.step_id, "needs": step.needs} for step in steps]
    places, edges, (width, height) = lay_out(nodes)
    state = {step.step_id: step.status for step in steps}
    return {
        "steps": [step_view(step, places[step.step_id]) for step in steps],
        "graph": GraphView(width, height, [EdgeView(path, state[source]) for source, path in edges]),
    }


def step_view(step: Step, place: tuple[int, int] = (0, 0)) -> StepView:
    """A step with its duration, at its place in the graph."""
    return StepView(
        id=step.step_id,
        title=step.title,
        kind=step.kind,
        status=step.status,
        since=iso(step.started_at),
        until=iso(step.finished_at),
        took=span(step.started_at, step.finished_at),
        needs=", ".join(step.needs),
        exit_code="" if step.exit_code in (None, 0) else str(step.exit_code),
        message="" if step.message == f"exit code {step.exit_code}" else step.message or "",
        carried=step.carried_from is not None,
        x=place[0],
        y=place[1],
    )


def artifact_view(artifact: Artifact) -> ArtifactView:
    """An artifact with the way to its bytes, or to where a link leads."""
    link = artifact.object_path is None
    href = _web(artifact.url) if link else f"/api/runs/{artifact.run_id}/artifacts/{artifact.id}"
    gone = artifact.expired_at
    return ArtifactView(
        id=artifact.id,
        name=artifact.name,
        kind=artifact.kind,
        size=size(artifact.size_bytes),
        digest=(artifact.sha256 or "")[:12],
        href="" if gone else href,
        page=f"/runs/{artifact.run_id}/artifacts/{artifact.id}",
        link=link,
        carried=artifact.carried_from is not None,
        expired=f"Its bytes expired on {day(gone)}; its digest stays" if gone else "",
    )


def _web(url: str | None) -> str:
    """A link that a worker wrote, if it is one that a browser may follow without running something."""
    return url if url and urlsplit(url).scheme in ("http", "https") else ""


def facts(run: Card) -> list[tuple[str, str]]:
    """What else is known of a run, as names and values."""
    limit = run.timeout_seconds
    known: Sequence[tuple[str, str | None]] = (
        ("Run", run.id),
        ("Template", f"{run.template_slug} v{run.template_version}"),
        ("Digest", run.template_digest[:16]),
        ("Priority", str(run.priority) if run.priority else None),
        ("Worker", run.worker_name),
        ("Time limit", span(dt.datetime.min, dt.datetime.min + dt.timedelta(seconds=limit)) if limit else None),
        ("Exit code", str(run.exit_code) if run.exit_code is not None else None),
        ("Cancelled because", run.cancel_reason),
    )
    return [(name, value) for name, value in known if value]
