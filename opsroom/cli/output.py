"""What the commands print: tables for people, JSON for scripts."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opsroom.cli.text import clean

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


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, empty: str, wrap: bool = False
) -> None:
    """A table, or the sentence `empty`. Where the terminal is too narrow, the column TITLE gives way: cut, or wrapped.

    Cells are plain text: nothing in them is read as markup, and control characters are made visible.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        gives_way = column == "TITLE"
        table.add_column(column, overflow="ellipsis", no_wrap=not (gives_way and wrap), ratio=1 if gives_way else None)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row))
    natural = console.measure(table, options=console.options.update(width=10_000)).maximum
    table.expand = natural > console.width  # only then is there something to give away
    console.print(table if table.row_count else Text(empty))


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


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value
