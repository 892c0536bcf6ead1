"""Durations, log lines, safe previews."""

import datetime as dt
from typing import Any

import pytest

from opsroom.control_plane.fleet import Fleet
from opsroom.control_plane.models import Card, RunEvent
from opsroom.room.artifact_views import as_prose
from opsroom.room.fleet import fleet_view
from opsroom.room.log_stream import lines
from opsroom.room.present import run_view, size, span
from opsroom.room.present_run import artifact_view, phases

AT = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.01, "0 s"), (0.44, "0.4 s"), (42, "42 s"), (187, "3 m 07 s"), (7500, "2 h 05 m")]
)
def test_durations_read_at_a_glance(seconds: float, text: str) -> None:
    assert span(AT, AT + dt.timedelta(seconds=seconds)) == text


def card(**values: Any) -> Card:
    base = {
        "id": "r", "session_id": "s", "lane": "A", "template_version_id": "v", "template_slug": "t", "template_version": 1,
        "template_digest": "d", "title": "T", "params": {}, "status": "running", "queued_at": AT,
    }  # fmt: skip
    return Card.model_validate({**base, **values})


def test_a_card_counts_the_step_at_work() -> None:
    view = run_view(card(claimed_at=AT, started_at=AT, heartbeat_at=AT, steps_total=3, steps_done=1))
    assert (view.steps, view.steps_label) == (["done", "now", "todo"], "2/3")
    over = run_view(card(status="failed", reason="lost", finished_at=AT, steps_total=3, steps_done=1))
    assert (over.steps, over.steps_label, over.reason) == (["done", "todo", "todo"], "1/3", "the worker vanished")
    assert over.heartbeat_at == ""


@pytest.mark.parametrize(
    ("made", "waiting", "alarm"),
    [
        (None, None, ""),  # nobody has a signing key
        (2000, None, ""),  # nothing has ended since
        (2000, 30, ""),
        (2000, 1500, "Checkpoints are overdue"),
        (30, 1500, ""),  # many at once: they come one after the other
    ],
)
def test_checkpoints_alarm_when_ends_are_not_published(made: int | None, waiting: int | None, alarm: str) -> None:
    def ago(seconds: int | None) -> dt.datetime | None:
        return None if seconds is None else AT - dt.timedelta(seconds=seconds)

    last = {"number": 4, "at": ago(made), "waiting_since": ago(waiting)} if made else None
    assert fleet_view(Fleet.model_validate({"read_at": AT, "checkpoint": last})).alarm == alarm


def test_phases_are_as_long_as_they_took() -> None:
    later = AT + dt.timedelta(seconds=30)
    found = phases(card(claimed_at=AT + dt.timedelta(seconds=10), started_at=later, status="running"), later)
    assert [(item.name, item.took) for item in found] == [("Queued", "10 s"), ("Starting", "20 s"), ("Running", "")]


def test_output_becomes_one_line_per_line() -> None:
    events = [
        RunEvent(run_id="r", seq=1, at=AT, type="step.started", step="a"),
        RunEvent(run_id="r", seq=2, at=AT, type="output", step="a", message="x\n\ny\n", data={"stream": "stderr"}),
        RunEvent(run_id="r", seq=3, at=AT, type="metric", message="1"),
        RunEvent(run_id="r", seq=4, at=AT, type="step.finished", step="a", data={"status": "failed", "exit_code": 2}),
    ]
    assert [(line["k"], line["m"]) for line in lines(events)] == [
        ("system", "Step started"), ("stderr", "x"), ("stderr", ""), ("stderr", "y"),
        ("system", "Step failed with exit code 2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        '<img src=x onerror="alert(1)">',
        "<a href='data:text/html,<script>'>x</a>",
        "![x](https://tracker.example/pixel.png)",
    ],
)
def test_markdown_cannot_run_or_call_home(text: str) -> None:
    html = as_prose(text)
    for harmful in ("<script", 'href="javascript', "<img", 'href="data:'):
        assert harmful not in html


def test_a_link_that_would_run_something_is_not_offered() -> None:
    from opsroom.control_plane.models import Artifact

    bad = Artifact(id="1", run_id="r", name="x", kind="link", url="javascript:alert(1)", created_at=AT)
    assert artifact_view(bad).href == ""
    assert [size(n) for n in (0, 999, 48_213_994, None)] == ["0 B", "999 B", "48.2 MB", ""]
