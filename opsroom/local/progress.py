"""Shows what `opsroom up` is doing and how long it takes: for people, for logs, and for scripts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Report(Protocol):
    """Where the progress goes."""

    def step(self, title: str) -> AbstractAsyncContextManager[None]: ...

    def note(self, message: str) -> None: ...

    def ready(self, facts: dict[str, str], seconds: float) -> None: ...


class ScreenReport:
    """A spinner per running step on a terminal; one line per finished step everywhere."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._progress = Progress(
            TextColumn("  "),
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        if self._console.is_terminal:
            with self._progress:
                yield
        else:
            yield

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[None]:
        started = time.monotonic()
        task = self._progress.add_task(title, total=None)
        if not self._console.is_terminal:
            self._console.print(f"  … {title}")
        try:
            yield
        finally:
            self._progress.remove_task(task)
        self._console.print(f"  [green]✓[/green] {title} [dim]{time.monotonic() - started:.1f} s[/dim]")

    def note(self, message: str) -> None:
        self._console.print(message, markup=False, soft_wrap=True)

    def ready(self, facts: dict[str, str], seconds: float) -> None:
        self._console.print()
        self._console.print(f"  [bold]Ops Control Room[/bold] is ready after {seconds:.1f} s", soft_wrap=True)
        self._console.print(f"  [bold]{facts.get('ui_url') or facts['api_url']}[/bold]", soft_wrap=True)
        self._console.print("  [dim]Ctrl-C stops it; its state stays.[/dim]")


class JsonReport:
    """One JSON object per line on standard output."""

    @contextmanager
    def shown(self) -> Iterator[None]:
        yield

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[None]:
        started = time.monotonic()
        self._print({"event": "step_started", "step": title})
        yield
        self._print({"event": "step_finished", "step": title, "seconds": round(time.monotonic() - started, 2)})

    def note(self, message: str) -> None:
        self._print({"event": "note", "message": message})

    def ready(self, facts: dict[str, str], seconds: float) -> None:
        self._print({"event": "ready", "seconds": round(seconds, 2), **facts})

    def _print(self, value: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()
