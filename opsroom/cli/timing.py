"""Moments and durations on the command line."""

import datetime as dt
import re
from typing import Final

from opsroom.cli.output import span
from opsroom.domain.errors import InvalidArgument

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_moment(text: str) -> dt.datetime:
    """`+10m` from now, or an ISO 8601 moment; without an offset it is this machine's local time."""
    if relative := re.fullmatch(r"\+(\d{1,6})([smhd])", text):
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=int(relative[1]) * _UNITS[relative[2]])
    try:
        return dt.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise InvalidArgument(
            f"{text!r} is no moment.", hint="Write 2026-11-24T18:00:00+01:00, or a time from now: +10m, +2h, +1d."
        ) from None


def duration(start: dt.datetime | None, end: dt.datetime | None) -> str:
    """From start to end, or to now; a dash when it has not started."""
    if start is None:
        return "-"
    return span(((end or dt.datetime.now(dt.UTC)) - start).total_seconds())
