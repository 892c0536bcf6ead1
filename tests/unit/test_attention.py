"""What counts as needing a person, and what they are told of."""

import datetime as dt
from typing import Any

from opsroom.control_plane.models import Run, SessionSummary
from opsroom.room.attention import Gates, ended_note, needs

AT = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


def session(name: str, waiting: int = 0, unseen: int = 0) -> SessionSummary:
    return SessionSummary(id=name, title=name.upper(), created_at=AT, waiting=waiting, unseen=unseen)


def test_gates_need_only_who_may_approve() -> None:
    sessions = (session("a", waiting=2, unseen=1), session("b", unseen=3))
    assert (needs(sessions, True), needs(sessions, False)) == (6, 4)


def test_a_gate_is_told_of_when_it_begins_to_wait() -> None:
    gates = Gates()
    assert gates.look((session("a", waiting=1),)) == []  # it waited already
    first = gates.look((session("a", waiting=1), session("b", waiting=1)))
    assert [(note.title, note.text) for note in first] == [("An approval is waited for", "B")]
    assert gates.look((session("a"), session("b", waiting=1))) == first
    again = gates.look((session("a", waiting=2), session("b", waiting=1)))
    assert [note.title for note in again] == ["An approval is waited for", "2 approvals are waited for"]
    assert len({note.id for note in again}) == 2


def test_the_end_of_a_run_says_how_and_where() -> None:
    values: dict[str, Any] = {
        "id": "r", "session_id": "s", "lane": "B", "template_slug": "t", "template_version": 1, "template_digest": "d", "title": "Snapshot",
        "params": {}, "status": "failed", "reason": "lost", "queued_at": AT, "started_at": AT, "finished_at": AT + dt.timedelta(seconds=75),
    }  # fmt: skip
    note = ended_note(Run.model_validate(values))
    assert (note.id, note.title, note.href) == ("run:r:failed", "Failed: Snapshot", "/runs/r")
    assert note.text == "lane B · took 1 m 15 s · the worker vanished"
