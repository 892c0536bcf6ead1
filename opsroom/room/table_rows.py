"""A CSV file as a table: the first rows of it, each cell as text."""

import csv
import io
from typing import Any, Final

MAX_ROWS: Final = 1_000
MAX_COLUMNS: Final = 60
MAX_CELLS: Final = 12_000
MAX_CELL: Final = 500
_SEPARATORS: Final = ",;\t|"


def table_rows(text: str, whole: bool) -> dict[str, Any]:
    """`head`, the first line, and `rows` of at most MAX_CELLS cells; `cut` says what was left out. `whole` is whether
    `text` is all of the file: the last line of a part is dropped, as it may be half of one.
    """
    if not whole:
        text = text.rpartition("\n")[0]
    table: list[list[str]] = []
    widest = longest = 0
    rows_cut = not whole
    try:
        for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=_separator(text)):
            if len(table) > MAX_ROWS or len(table) * min(widest, MAX_COLUMNS) > MAX_CELLS:
                rows_cut = True
                break
            widest = max(widest, len(row))
            longest = max(longest, *(len(cell) for cell in row), 0)
            table.append([cell if len(cell) <= MAX_CELL else f"{cell[:MAX_CELL]}…" for cell in row[:MAX_COLUMNS]])
    except csv.Error:
        rows_cut = True
    cut = {"rows": rows_cut, "columns": max(0, widest - MAX_COLUMNS), "cells": longest > MAX_CELL}
    return {"head": table[0] if table else [], "rows": table[1:], "cut": cut}


def _separator(text: str) -> str:
    """The separator that the first line has most of; a comma if it has none."""
    first = text.partition("\n")[0]
    return max(_SEPARATORS, key=first.count) if any(map(first.count, _SEPARATORS)) else ","
