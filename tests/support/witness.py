"""The witness: a file outside of the database to which the *children* of runs append, one short line per event.

`O_APPEND` of a line shorter than a page is atomic, so no child can spoil another's line. The checker compares what the
children saw with what the database says; neither can lie for the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sighting:
    """One line: a run's process was seen `started`, `alive` or `ended`. Times in seconds, wall and monotonic."""

    what: str
    run_id: str
    attempt: int
    pid: int
    mono: float
    wall: float


def script(witness: Path, body: str = "", seconds: float = 0) -> str:
    """A shell step that tells the witness of its start, of its life every 50 ms for `seconds`, and of its end.

    Builtins of bash only: a process per line would cost more than the run. `/proc/uptime` is the monotonic clock, and
    `$EPOCHREALTIME` the wall clock that Postgres reads as well.
    """
    return f"""
witness() {{ local up; read -r up _ </proc/uptime
  echo "$1 $RUN_ID $RUN_ATTEMPT $$ $up ${{EPOCHREALTIME/,/.}}" >>{witness}; }}
live() {{ local i nothing; exec {{nothing}}<> <(:); for ((i = 0; i < $1; i++)); do read -rt 0.05 -u $nothing || :; witness alive; done; }}
witness started
{body}
{f"live {int(seconds / 0.05)}" if seconds else ""}
witness ended
"""


def read(path: Path) -> list[Sighting]:
    """Every sighting so far, in the order in which they were written."""
    if not path.exists():
        return []
    return list(parse(path.read_text().splitlines()))


def parse(lines: Iterable[str]) -> Iterable[Sighting]:
    for line in lines:
        what, run_id, attempt, pid, mono, wall = line.split()
        yield Sighting(what, run_id, int(attempt), int(pid), float(mono), float(wall))
