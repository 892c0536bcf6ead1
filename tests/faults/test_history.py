"""The checker can fail: each rule, broken on purpose in an otherwise good history, is named together with the run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsroom.domain.events import FIRST_PREV_HASH, Event, event_hash
from tests.support.history import History, violations
from tests.support.witness import Sighting

RUN, OTHER, SESSION = "run-1", "run-2", "session-1"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STORY = {0: "run.queued", 1: "run.claimed", 2: "run.started", 3: "step.started", 5: "step.finished", 6: "run.succeeded"}


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def chain(run_id: str, told: list[tuple[str, datetime]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for seq, (kind, when) in enumerate(told, start=1):
        row = {
            "run_id": run_id, "seq": seq, "at": when, "type": kind, "step": None, "level": "info", "message": "",
            "data": {}, "prev_hash": rows[-1]["hash"] if rows else FIRST_PREV_HASH, "hash": "",
        }  # fmt: skip
        text = when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        rows.append(row | {"hash": event_hash(Event.model_validate(row | {"at": text}))})
    return rows


def run_of(run_id: str, offset: float) -> dict[str, Any]:
    return {
        "id": run_id, "session_id": SESSION, "lane": "A", "status": "succeeded", "retry_of": None, "attempt": 1,
        "template_slug": "t", "queued_at": at(0), "claimed_at": at(offset + 1), "started_at": at(offset + 2),
        "finished_at": at(offset + 6), "heartbeat_at": at(offset + 2),
    }  # fmt: skip


def good() -> History:
    """Two runs, one after the other, in a lane that takes one."""
    runs = {RUN: run_of(RUN, 0), OTHER: run_of(OTHER, 6)}
    history = History(runs, {})
    for run_id, offset in ((RUN, 0), (OTHER, 6)):
        told = [(kind, at(offset + second if second else 0)) for second, kind in STORY.items()]
        history.events[run_id] = chain(run_id, told)
        history.steps[run_id] = [
            {"step_id": "s1", "required": True, "status": "succeeded", "finished_at": at(offset + 5)}
        ]
        for what, second in (("started", 3), ("alive", 4), ("ended", 5)):
            wall = at(offset + second).timestamp()
            history.sightings.append(Sighting(what, run_id, 1, 7, second, wall))
    path = f"{RUN}/abc"
    history.artifacts[RUN] = [
        {"name": "proof", "kind": "file", "sha256": "abc", "size_bytes": 3, "object_path": path, "created_at": at(5)}
    ]
    history.objects[path] = ("abc", 3)
    history.created = {RUN, OTHER}
    return history


def told(history: History, kinds: Mapping[Any, str]) -> None:
    history.events[RUN] = chain(RUN, [(kind, at(second)) for second, kind in kinds.items()])


def two_ends(h: History) -> None:
    told(h, STORY | {7: "run.failed"})


def skipped_edge(h: History) -> None:
    told(h, {second: kind for second, kind in STORY.items() if kind != "run.claimed"})


def a_gap(h: History) -> None:
    del h.events[RUN][3]


def a_changed_event(h: History) -> None:
    h.events[RUN][3]["message"] = "changed"


def a_late_event(h: History) -> None:
    told(h, STORY | {7: "output"})


def a_late_artifact(h: History) -> None:
    h.artifacts[RUN][0]["created_at"] = at(6.5)


def a_second_start(h: History) -> None:
    h.sightings.append(replace(h.sightings[0], pid=8))


def a_start_before_its_intent(h: History) -> None:
    h.sightings[0] = replace(h.sightings[0], wall=at(1.9).timestamp())


def a_start_of_nobody(h: History) -> None:
    h.sightings.append(replace(h.sightings[0], run_id="run-3"))


def life_after_the_end(h: History) -> None:
    h.sightings.append(replace(h.sightings[1], wall=at(6.2).timestamp()))


def a_vanished_creation(h: History) -> None:
    h.created.add("run-3")


def a_made_up_run(h: History) -> None:
    h.created.discard(RUN)


def an_early_successor(h: History) -> None:
    h.created.discard(OTHER)
    h.runs[OTHER] |= {"retry_of": RUN, "attempt": 2}


def a_crowded_lane(h: History) -> None:
    h.runs[OTHER] |= {"claimed_at": at(5)}


def a_lane_crowded_by_the_witness(h: History) -> None:
    h.sightings[2] = replace(h.sightings[2], wall=at(9.5).timestamp())
    h.outlive_seconds = 0


def an_unfinished_step(h: History) -> None:
    h.steps[RUN][0]["status"] = "running"


def an_object_that_is_not_there(h: History) -> None:
    h.objects.clear()


def another_object(h: History) -> None:
    h.objects[f"{RUN}/abc"] = ("abd", 3)


def a_success_nobody_saw(h: History) -> None:
    h.sightings = [s for s in h.sightings if s.run_id != RUN]


def a_process_left(h: History) -> None:
    h.processes[99] = RUN


BROKEN: dict[Callable[[History], None], str] = {
    two_ends: "one terminal state",
    skipped_edge: "legal edges only",
    a_gap: "the chain recomputes",
    a_changed_event: "the chain recomputes",
    a_late_event: "no accepted write after the fence",
    a_late_artifact: "no accepted write after the fence",
    a_second_start: "at most one start",
    a_start_before_its_intent: "every start was committed before",
    a_start_of_nobody: "every start was committed before",
    life_after_the_end: "no life after the end",
    a_vanished_creation: "acknowledged creations = terminal + live",
    a_made_up_run: "acknowledged creations = terminal + live",
    an_early_successor: "acknowledged creations = terminal + live",
    a_crowded_lane: "lanes within capacity",
    a_lane_crowded_by_the_witness: "lanes within capacity",
    an_unfinished_step: "success has its evidence",
    an_object_that_is_not_there: "recorded evidence exists",
    another_object: "recorded evidence exists",
    a_success_nobody_saw: "success has its evidence",
    a_process_left: "no process left",
}


def test_a_good_history_holds() -> None:
    assert violations(good()) == []


@pytest.mark.parametrize("breaking", BROKEN, ids=lambda f: f.__name__)
def test_a_broken_history_is_found(breaking: Callable[[History], None]) -> None:
    history = copy.deepcopy(good())
    breaking(history)
    broken = violations(history)
    assert any(BROKEN[breaking] in said and said.startswith("run ") for said in broken), broken
