"""The history checker: what must be true of every run whatever happened, read from the tables and from the witness.

`violations` is pure: it takes a `History` and returns one sentence per broken rule, each naming the run and the rule.
It asks nothing of the product's code but the hash of an event and the words of the lifecycle.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from opsroom.domain.events import Event, first_break
from opsroom.domain.lifecycle import EDGES, TERMINAL
from tests.support.witness import Sighting

STATUS_EVENTS: Final = {
    "run.queued": "queued",
    "run.claimed": "claimed",
    "run.started": "running",
    **{f"run.{status}": status for status in TERMINAL},
}
AFTER_THE_END: Final = {"late_evidence"}
"""The only events that may follow a run's end."""

Row = dict[str, Any]


@dataclass
class History:
    """All that is known of some sessions' runs. `objects` maps an object path to its bytes' sha256 and size."""

    runs: dict[str, Row]
    events: dict[str, list[Row]]
    steps: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    artifacts: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    capacities: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    sightings: list[Sighting] = field(default_factory=list[Sighting])
    objects: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    created: set[str] = field(default_factory=set[str])
    """Runs whose creation was acknowledged to a person."""
    witnessed: bool = True
    """Whether every run's process tells the witness: then a success without a sighting is a lie."""
    silent: frozenset[str] = frozenset()
    """Templates whose runs tell the witness nothing."""
    outlive_seconds: float = 0.0
    """How long a process may be seen after its run's end: nothing, but for runs that were ended by force."""
    processes: dict[int, str] = field(default_factory=dict[int, str])
    """Processes that are left, and the run each belongs to."""


Rule = Callable[[History], Iterator[str]]


def violations(history: History) -> list[str]:
    """Every broken rule, as `run <id>: <rule>: <what was seen>`. Empty when the history holds."""
    return [broken for rule in RULES for broken in rule(history)]


def one_terminal_state(history: History) -> Iterator[str]:
    for run_id, run in history.runs.items():
        ends = [
            e["type"].removeprefix("run.") for e in history.events[run_id] if STATUS_EVENTS.get(e["type"]) in TERMINAL
        ]
        expected = [run["status"]] if run["status"] in TERMINAL else []
        if ends != expected:
            yield f"run {run_id}: one terminal state: it is {run['status']} and its events say {ends or 'nothing'}"
        if (run["finished_at"] is None) is (run["status"] in TERMINAL):
            yield f"run {run_id}: one terminal state: it is {run['status']} with finished_at {run['finished_at']}"


def legal_edges_only(history: History) -> Iterator[str]:
    for run_id, run in history.runs.items():
        path = [STATUS_EVENTS[e["type"]] for e in history.events[run_id] if e["type"] in STATUS_EVENTS]
        if not path or path[0] != "queued" or path[-1] != run["status"]:
            yield f"run {run_id}: legal edges only: it is {run['status']} and its events went {' > '.join(path) or 'nowhere'}"
        for edge in pairwise(path):
            if edge not in EDGES:
                yield f"run {run_id}: legal edges only: {edge[0]} > {edge[1]} among {' > '.join(path)}"
        times = [run[name] for name in ("queued_at", "claimed_at", "started_at", "finished_at") if run[name]]
        if times != sorted(times):
            yield f"run {run_id}: legal edges only: its times run backwards: {', '.join(map(str, times))}"


def the_chain_recomputes(history: History) -> Iterator[str]:
    """Gapless numbers, each event hashed over the one before."""
    for run_id, rows in history.events.items():
        if problem := first_break(_event(row) for row in rows):
            yield f"run {run_id}: the chain recomputes without a gap: {problem}"


def no_write_after_the_fence(history: History) -> Iterator[str]:
    for run_id, run in history.runs.items():
        kinds = [e["type"] for e in history.events[run_id]]
        end = next((n for n, kind in enumerate(kinds) if STATUS_EVENTS.get(kind) in TERMINAL), None)
        if end is None:
            continue
        late = [kind for kind in kinds[end + 1 :] if kind not in AFTER_THE_END]
        if late or len(kinds) - end > 2:
            yield f"run {run_id}: no accepted write after the fence: {', '.join(kinds[end + 1 :])} after {kinds[end]}"
        written = [("artifact " + a["name"], a["created_at"]) for a in history.artifacts.get(run_id, ())]
        written += [("step " + s["step_id"], s["finished_at"]) for s in history.steps.get(run_id, ())]
        written += [("heartbeat", run["heartbeat_at"])]
        for what, at in written:
            if at and run["finished_at"] and at > run["finished_at"]:
                yield f"run {run_id}: no accepted write after the fence: {what} at {at}, the run ended at {run['finished_at']}"


def at_most_one_start(history: History) -> Iterator[str]:
    told = Counter(s.run_id for s in history.sightings if s.what == "started")
    for run_id in history.runs:
        said = sum(e["type"] == "run.started" for e in history.events[run_id])
        if said > 1 or told[run_id] > 1:
            yield f"run {run_id}: at most one start: {said} in the database, {told[run_id]} by the witness"


def every_start_was_committed_before(history: History) -> Iterator[str]:
    for sighting in history.sightings:
        if sighting.what != "started":
            continue
        run = history.runs.get(sighting.run_id)
        if run is None:
            yield f"run {sighting.run_id}: every start was committed before: the database does not know the run"
            continue
        at = next((e["at"] for e in history.events[sighting.run_id] if e["type"] == "run.started"), None)
        if at is None or at.timestamp() > sighting.wall:
            early = "never" if at is None else f"{at.timestamp() - sighting.wall:.3f} s later"
            yield f"run {sighting.run_id}: every start was committed before: process {sighting.pid} began, run.started came {early}"
        if sighting.attempt != run["attempt"]:
            yield f"run {sighting.run_id}: every start was committed before: the process was told attempt {sighting.attempt}, it is {run['attempt']}"


def no_life_after_the_end(history: History) -> Iterator[str]:
    """Whoever may take over must not meet the one before: nothing of a run is seen once the run has ended."""
    for run_id, seen in _by_run(history).items():
        end = history.runs[run_id]["finished_at"]
        late = seen[-1].wall - end.timestamp() if end else 0
        if late > history.outlive_seconds:
            yield f"run {run_id}: no life after the end: process {seen[-1].pid} was seen {late:.3f} s after the run's end"


def acknowledged_creations_are_there(history: History) -> Iterator[str]:
    for run_id in history.created - history.runs.keys():
        yield f"run {run_id}: acknowledged creations = terminal + live: it was acknowledged and is gone"
    for run_id, run in history.runs.items():
        if run_id in history.created:
            continue
        before = history.runs.get(str(run["retry_of"]))
        if before is None:
            yield f"run {run_id}: acknowledged creations = terminal + live: nobody asked for it"
        elif (
            before["finished_at"] is None
            or run["queued_at"] < before["finished_at"]
            or run["attempt"] != before["attempt"] + 1
        ):
            yield f"run {run_id}: acknowledged creations = terminal + live: it succeeds {run['retry_of']} before that one's end"


def lanes_within_capacity(history: History) -> Iterator[str]:
    held: defaultdict[tuple[str, str], list[tuple[float, float, str]]] = defaultdict(list)
    seen: defaultdict[tuple[str, str], list[tuple[float, float, str]]] = defaultdict(list)
    for run_id, run in history.runs.items():
        if run["claimed_at"]:
            end = run["finished_at"].timestamp() if run["finished_at"] else float("inf")
            held[str(run["session_id"]), run["lane"]].append((run["claimed_at"].timestamp(), end, run_id))
    for run_id, lines in _by_run(history).items():
        run = history.runs[run_id]
        last = lines[-1].wall if history.outlive_seconds == 0 else lines[0].wall
        seen[str(run["session_id"]), run["lane"]].append((lines[0].wall, last, run_id))
    for source, lanes in (("the database's times", held), ("the witness", seen)):
        for (session, lane), spans in lanes.items():
            capacity = history.capacities.get((session, lane), 1)
            if crowd := _crowd(spans, capacity):
                yield f"run {crowd[-1]}: lanes within capacity: lane {lane} takes {capacity}; by {source} it held {', '.join(crowd)} at once"


def success_has_its_evidence(history: History) -> Iterator[str]:
    seen = _by_run(history)
    for run_id, run in history.runs.items():
        for artifact in history.artifacts.get(run_id, ()):
            if artifact["kind"] != "link":
                stored = history.objects.get(artifact["object_path"])
                if stored != (artifact["sha256"], artifact["size_bytes"]):
                    yield f"run {run_id}: recorded evidence exists: artifact {artifact['name']} is {'not there' if stored is None else 'another one'} in Storage"
        if run["status"] != "succeeded":
            continue
        open_steps = [
            s["step_id"] for s in history.steps.get(run_id, ()) if s["required"] and s["status"] != "succeeded"
        ]
        if open_steps:
            yield f"run {run_id}: success has its evidence: steps {', '.join(open_steps)} did not succeed"
        told = history.witnessed and run["template_slug"] not in history.silent
        if told and [s.what for s in seen.get(run_id, ()) if s.what != "alive"] != ["started", "ended"]:
            yield f"run {run_id}: success has its evidence: the witness saw {[s.what for s in seen.get(run_id, ())]}"


def no_process_left(history: History) -> Iterator[str]:
    for pid, run_id in history.processes.items():
        yield f"run {run_id}: no process left: {pid} is still there"


RULES: Final[tuple[Rule, ...]] = (
    one_terminal_state,
    legal_edges_only,
    the_chain_recomputes,
    no_write_after_the_fence,
    at_most_one_start,
    every_start_was_committed_before,
    no_life_after_the_end,
    acknowledged_creations_are_there,
    lanes_within_capacity,
    success_has_its_evidence,
    no_process_left,
)


def _event(row: Row) -> Event:
    at: datetime = row["at"]
    text = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond:06d}Z"
    return Event.model_validate({**row, "run_id": str(row["run_id"]), "at": text})


def _by_run(history: History) -> dict[str, list[Sighting]]:
    """Of runs that are known; each list in the order in which the lines were written."""
    found: dict[str, list[Sighting]] = {}
    for sighting in history.sightings:
        if sighting.run_id in history.runs:
            found.setdefault(sighting.run_id, []).append(sighting)
    return found


def _crowd(spans: Iterable[tuple[float, float, str]], capacity: int) -> list[str] | None:
    """The first runs found to hold more slots than there are. A slot given back in the very moment is free."""
    inside: dict[str, float] = {}
    for start, end, run_id in sorted(spans):
        inside = {other: until for other, until in inside.items() if until > start}
        inside[run_id] = end
        if len(inside) > capacity:
            return list(inside)
    return None


def digest(path: Path) -> tuple[str, int]:
    data = path.read_bytes()
    return hashlib.sha256(data).hexdigest(), len(data)
