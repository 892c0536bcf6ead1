"""A unified diff as rows: each with its kind, its line's number before and after, and its text."""

import re
from typing import Any, Final

MAX_ROWS: Final = 20_000
_HUNK: Final = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def diff_rows(text: str, limit: int = MAX_ROWS) -> dict[str, Any]:
    """Rows `[kind, old, new, text]`: kind is file, head, hunk, context, added, removed or note. Counts of files, added
    and removed lines are of all of it; `cut` says that rows are missing. Hunks are read by their lengths, so that a
    removed line that begins with `--` is no header.
    """
    rows: list[list[Any]] = []
    files = added = removed = total = 0
    old = new = old_left = new_left = 0
    for line in text.splitlines():
        sign = line[:1]
        if old_left > 0 or new_left > 0:
            if sign == "+":
                row = ["added", None, new, line[1:]]
                new, new_left, added = new + 1, new_left - 1, added + 1
            elif sign == "-":
                row = ["removed", old, None, line[1:]]
                old, old_left, removed = old + 1, old_left - 1, removed + 1
            elif sign == "\\":
                row = ["note", None, None, line[2:]]
            else:
                row = ["context", old, new, line[1:]]
                old, new, old_left, new_left = old + 1, new + 1, old_left - 1, new_left - 1
        elif hunk := _HUNK.match(line):
            old, new = int(hunk[1]), int(hunk[3])
            old_left, new_left = int(hunk[2] or 1), int(hunk[4] or 1)
            row = ["hunk", None, None, line]
        elif line.startswith("+++ "):
            row = ["file", None, None, _path(line[4:], rows)]
            files += 1
            if rows and rows[-1][0] == "head" and rows[-1][3].startswith("--- "):
                rows.pop()  # said by the file's name
                total -= 1
        elif sign == "\\":
            row = ["note", None, None, line[2:]]
        else:
            row = ["head", None, None, line]
        total += 1
        if len(rows) < limit:
            rows.append(row)
    return {"rows": rows, "files": files, "added": added, "removed": removed, "cut": total > len(rows)}


def _path(written: str, before: list[list[Any]]) -> str:
    """The name of a file from its `+++` line; of a deleted one from the `---` line before it."""
    name = written.split("\t", maxsplit=1)[0]
    if name == "/dev/null" and before and before[-1][3].startswith("--- "):
        name = before[-1][3][4:].split("\t")[0]
    return name.removeprefix("a/").removeprefix("b/")
