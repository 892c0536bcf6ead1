"""From insights as they are read to what their page draws."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from opsroom.components.insights import ReasonRow, TemplateRow, Tile
from opsroom.control_plane.reports import Figures, Insights
from opsroom.domain.lifecycle import Reason
from opsroom.room.present import REASON_WORDS

RANGES: Final[Mapping[str, dt.timedelta]] = {
    "24h": dt.timedelta(hours=24),
    "7d": dt.timedelta(days=7),
    "30d": dt.timedelta(days=30),
}
NOTHING: Final = "\u2013"
_STATES: Final[Mapping[Reason, str]] = {
    "cancelled_by_person": "cancelled",
    "queue_timeout": "timed_out",
    "run_timeout": "timed_out",
    "step_timeout": "timed_out",
}
# A run counts five minutes late where nobody has counted it yet; this many grains are never more than a page can draw.
_MOST_POINTS: Final = 400


def seconds(value: float | None) -> str:
    """A length of time that is known within 10 %: no more digits than are true."""
    if value is None:
        return NOTHING
    for limit, unit, size in ((0.95, "ms", 0.001), (90, "s", 1), (5400, "min", 60), (172_800, "h", 3600)):
        if value < limit:
            number = value / size
            return f"{number:.1f} {unit}" if number < 10 and unit != "ms" else f"{number:.0f} {unit}"
    return f"{value / 86_400:.1f} d"


def percent(share: float | None) -> str:
    """A share, never rounded up to all or down to nothing."""
    if share is None:
        return NOTHING
    if share in (0.0, 1.0):
        return f"{share * 100:.0f} %"
    return f"{min(max(share * 100, 0.1), 99.9):.1f} %"


def count(n: int) -> str:
    """A number with thin spaces between its thousands."""
    return f"{n:,}".replace(",", "\u2009")


def insights_values(
    found: Insights, since: dt.datetime, titles: Mapping[str, str], query: Mapping[str, str]
) -> dict[str, Any]:
    """The vars of the page."""
    total = found.totals
    most = max((item.n for item in found.reasons), default=1)
    return {
        "empty": total.ended == 0,
        "complete": found.complete,
        "grain": found.grain_seconds,
        "tiles": _tiles(total),
        "points": _points(found, since),
        "summaries": _summaries(total),
        "by_template": [_template(item, titles, query) for item in found.templates],
        "reasons": [
            ReasonRow(
                word=REASON_WORDS.get(item.reason, item.reason).capitalize(),
                n=count(item.n),
                share=round(item.n / most, 3),
                state=_STATES.get(item.reason, "failed"),
            )
            for item in found.reasons
        ],
    }


def _tiles(total: Figures) -> list[Tile]:
    bad = total.failed + total.timed_out
    lost = f"of {count(total.lost)} whose worker vanished" if total.lost else "No worker vanished"
    return [
        Tile("Runs that ended", count(total.ended), f"{count(total.cancelled)} of them cancelled"),
        Tile(
            "Success rate",
            percent(total.success_rate),
            f"{count(bad)} failed or timed out",
            "failed" if bad else "succeeded",
        ),
        Tile("Wait in the queue", seconds(total.waited_p50), f"95 % within {seconds(total.waited_p95)}"),
        Tile("Duration", seconds(total.took_p50), f"95 % within {seconds(total.took_p95)}"),
        Tile("Recovered", count(total.recovered), lost, "failed" if total.lost > total.recovered else "succeeded"),
    ]


def _summaries(total: Figures) -> dict[str, str]:
    parts = (
        ("succeeded", total.succeeded),
        ("failed", total.failed),
        ("timed out", total.timed_out),
        ("cancelled", total.cancelled),
    )
    return {
        "ended": f"{count(total.ended)} in all: " + ", ".join(f"{count(n)} {word}" for word, n in parts) + ".",
        "rate": f"{percent(total.success_rate)} over the whole time.",
        "waited": f"Half within {seconds(total.waited_p50)}, 95 % within {seconds(total.waited_p95)}.",
        "took": f"Half within {seconds(total.took_p50)}, 95 % within {seconds(total.took_p95)}.",
    }


def _points(found: Insights, since: dt.datetime) -> list[dict[str, Any]]:
    """One point for each grain, those without a run as well: a chart of time must not leave time out."""
    grain = dt.timedelta(seconds=found.grain_seconds)
    known = {item.at: item for item in found.points}
    epoch = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    at, points = epoch + (since - epoch) // grain * grain, list[dict[str, Any]]()
    while at < found.to and len(points) < _MOST_POINTS:
        figures = known.get(at, Figures())
        points.append(
            {
                "at": at.isoformat(),
                "succeeded": figures.succeeded,
                "failed": figures.failed,
                "timed_out": figures.timed_out,
                "cancelled": figures.cancelled,
                "rate": figures.success_rate,
                "waited_p50": figures.waited_p50,
                "waited_p95": figures.waited_p95,
                "took_p50": figures.took_p50,
                "took_p95": figures.took_p95,
            }
        )
        at += grain
    return points


def _template(item: Figures, titles: Mapping[str, str], query: Mapping[str, str]) -> TemplateRow:
    slug = item.template_slug or ""
    narrowed = {"template": slug, "session": query.get("session", ""), "since": query.get("range") or "24h"}
    return TemplateRow(
        slug=slug,
        title=titles.get(slug, slug),
        href="/runs?" + urlencode({key: value for key, value in narrowed.items() if value}),
        ended=count(item.ended),
        rate=percent(item.success_rate),
        share=round(item.success_rate or 0.0, 4),
        took=seconds(item.took_p50),
        took_most=seconds(item.took_p95),
        waited=seconds(item.waited_p95),
    )
