"""What the commands print: tables for people, JSON for scripts."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

STATUS_STYLES: Final[Mapping[str, str]] = {
    "queued": "bright_black",
    "pending": "bright_black",
    "claimed": "cyan",
    "running": "bold cyan",
    "succeeded": "green",
    "failed": "bold red",
    "cancelled": "yellow",
    "skipped": "bright_black",
    "timed_out": "magenta",
}

console: Final = Console(highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on stdout; models are dumped."""
    typer.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2))


def print_json_line(value: Any) -> None:
    """One line of JSON on stdout, for streams."""
    typer.echo(json.dumps(_plain(value), ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, empty: str) -> None:
    """A table without rules, or the sentence `empty`. Cells are plain text: nothing in them is read as markup."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold" if column in ("ID", "URL") else "ellipsis", no_wrap=column != "TITLE")
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - read after the loop
        table.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row))
    console.print(table if count else Text(empty))


def status(value: str) -> Text:
    """A status in its colour."""
    return Text(value, style=STATUS_STYLES.get(value, ""))


def short(identifier: str) -> str:
    """The first eight digits of a UUID, which commands take in its place."""
    return identifier[:8]


def age(moment: dt.datetime | None) -> str:
    """How long ago, roughly: `12 s`, `5 min`, `3 h`, `2 d`."""
    return "-" if moment is None else span((dt.datetime.now(dt.UTC) - moment).total_seconds())


def span(seconds: float) -> str:
    """A duration, roughly."""
    seconds = max(seconds, 0)
    for limit, unit, size in ((90, "s", 1), (90 * 60, "min", 60), (36 * 3600, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def clean(text: str) -> str:
    """`text` without control characters: a title or a log line must not steer the terminal it is shown on."""
    return "".join(c if c in "\n\t" or (ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0) else "�" for c in text)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value
