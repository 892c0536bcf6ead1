"""What a person is told of."""

import datetime as dt
from typing import Any

from opsroom.control_plane.models import Run
from opsroom.room.attention import ended_note

AT = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


def test_the_end_of_a_run_says_how_and_where() -> None:
    values: dict[str, Any] = {
        "id": "r", "session_id": "s", "lane": "B", "template_slug": "t", "template_version": 1, "template_digest": "d", "title": "Snapshot",
        "params": {}, "status": "failed", "reason": "lost", "queued_at": AT, "started_at": AT, "finished_at": AT + dt.timedelta(seconds=75),
    }  # fmt: skip
    note = ended_note(Run.model_validate(values))
    assert (note.id, note.title, note.href) == ("run:r:failed", "Failed: Snapshot", "/runs/r")
    assert note.text == "lane B · took 1 m 15 s · the worker vanished"
