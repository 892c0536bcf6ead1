"""CSV that a spreadsheet can open: no value in it is taken for a formula, whatever its author wanted."""

import csv
import datetime as dt
import io
import json
from collections.abc import Iterable
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a text for a formula; with an apostrophe in front it is a text."""


def line(values: Iterable[object]) -> str:
    """One line, with its end. Every cell is quoted: some spreadsheets split at semicolons as well."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerow([cell(value) for value in values])
    return buffer.getvalue()


def cell(value: object) -> str:
    """A value as the text of a cell: moments as ISO 8601, `yes` and `no`, and JSON for what has parts."""
    match value:
        case None:
            return ""
        case dt.datetime():
            return value.isoformat()
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value)
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case _:
            return json.dumps(value, ensure_ascii=False)
