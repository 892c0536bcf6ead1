"""How long a run's evidence is kept, and what holds it, in words."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from opsroom.control_plane.models import RunDetail
from opsroom.control_plane.story import Hold, Retention


def held(detail: RunDetail) -> str:
    """The legal holds that a run is under, in a sentence; empty when there are none."""
    if not detail.holds:
        return ""
    return f"On legal hold: {'; '.join(_told(hold) for hold in detail.holds)}. Nothing of it is collected."


def _told(hold: Hold) -> str:
    where = " (the session's)" if hold.session_id else ""
    return f"“{hold.reason}”{where} by {hold.placed_by_name or 'somebody'} since {day(hold.placed_at)}"


def kept(retention: Retention | None) -> list[tuple[str, str]]:
    """When log and large artifacts go, or went, as facts; nothing while there is no bundle, for then nothing goes."""
    if retention is None:
        return []
    return [
        ("Log", _until(retention.logs_due_at, retention.logs_expired_at)),
        ("Large artifacts", _until(retention.artifacts_due_at, retention.artifacts_expired_at)),
    ]


def _until(due: dt.datetime | None, gone: dt.datetime | None) -> str:
    if gone:
        return f"expired on {day(gone)}"
    return f"kept until {day(due)}" if due else "kept for ever"


def day(at: dt.datetime) -> str:
    """`3 Feb 2027`, of UTC."""
    at = at.astimezone(dt.UTC)
    return f"{at.day} {at:%b %Y}"


MACHINES: Final = {
    "log.expired": "removed the text of its log",
    "artifacts.expired": "gave up its large artifacts",
    "orphan.collected": "deleted an object that nothing named",
}
"""What a collection did, which nobody asked for in person."""


def amount(details: Mapping[str, Any]) -> str:
    """How much a collection took, where that is a number of things with names."""
    names = [str(item.get("name")) for item in details.get("artifacts") or []]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
