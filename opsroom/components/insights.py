"""The page of insights: figures, charts with their tables, templates, reasons."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import skeleton

RANGES = (("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"))
OUTCOMES = (
    ("succeeded", "Succeeded", "succeeded"),
    ("failed", "Failed", "failed"),
    ("timed_out", "Timed out", "timed_out"),
    ("cancelled", "Cancelled", "cancelled"),
)


@dataclass(frozen=True)
class Tile:
    """One figure, and what it is made of. `state` colours it, where it means something."""

    label: str = ""
    value: str = ""
    note: str = ""
    state: str = "pending"


@dataclass(frozen=True)
class TemplateRow:
    """How the runs of one template went."""

    slug: str = ""
    title: str = ""
    href: str = ""
    ended: str = ""
    rate: str = ""
    share: float = 0.0
    took: str = ""
    took_most: str = ""
    waited: str = ""


@dataclass(frozen=True)
class ReasonRow:
    """How often something was the reason. `share` is of the most frequent one, 0 to 1."""

    word: str = ""
    n: str = ""
    share: float = 0.0
    state: str = "failed"


class Chart(rx.Component):
    """A chart over time, `kind` bars or lines, of the keys in `series`; `unit` runs, seconds or share."""

    library = "$/public/room/charts.js"
    tag = "Chart"
    title: rx.Var[str]
    kind: rx.Var[str]
    unit: rx.Var[str]
    series: rx.Var[Sequence[Mapping[str, Any]]]
    points: rx.Var[Sequence[Mapping[str, Any]]]
    grain: rx.Var[int]
    summary: rx.Var[str]


def _series(*lines: tuple[str, str, str] | tuple[str, str, str, bool]) -> list[dict[str, Any]]:
    return [{"key": line[0], "label": line[1], "state": line[2], "dashed": len(line) > 3} for line in lines]


def charts(points: rx.Var[Any], grain: rx.Var[int], summaries: rx.Var[dict[str, str]]) -> rx.Component:
    """The four charts."""

    def chart(name: str, title: str, kind: str, unit: str, series: list[dict[str, Any]]) -> rx.Component:
        return Chart.create(
            title=title, kind=kind, unit=unit, series=series, points=points, grain=grain, summary=summaries[name]
        )

    return rx.el.div(
        chart("ended", "Runs that ended", "bars", "runs", _series(*OUTCOMES)),
        chart("rate", "Success rate", "lines", "share", _series(("rate", "Succeeded", "succeeded"))),
        chart(
            "waited",
            "Wait in the queue",
            "lines",
            "seconds",
            _series(("waited_p50", "Half within", "running"), ("waited_p95", "95 % within", "claimed", True)),
        ),
        chart(
            "took",
            "Duration",
            "lines",
            "seconds",
            _series(("took_p50", "Half within", "running"), ("took_p95", "95 % within", "claimed", True)),
        ),
        class_name="charts",
    )


def tiles(items: rx.Var[Sequence[Tile]]) -> rx.Component:
    """The figures of the whole time."""
    return rx.el.dl(
        rx.foreach(
            items,
            lambda item: rx.el.div(
                rx.el.dt(item.label, class_name="tile-label"),
                rx.el.dd(item.value, class_name="tile-value num"),
                rx.el.dd(item.note, class_name="tile-note faint"),
                class_name="panel tile",
                data_state=item.state,
            ),
        ),
        class_name="tiles",
    )


def _bar(share: rx.Var[float], state: rx.Var[str] | str) -> rx.Component:
    return rx.el.span(
        rx.el.i(style={"width": rx.Var.create(f"{share * 100}%")}),
        class_name="meter",
        data_state=state,
        aria_hidden=True,
    )


def _template(row: rx.Var[TemplateRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.th(nav_link(row.title, to=row.href, class_name="runs-link cut", title=row.slug), scope="row"),
        rx.el.td(row.ended, class_name="num"),
        rx.el.td(_bar(row.share, "succeeded"), rx.el.span(row.rate, class_name="num"), class_name="rate"),
        rx.el.td(row.took, class_name="num"),
        rx.el.td(row.took_most, class_name="num"),
        rx.el.td(row.waited, class_name="num hide-small"),
    )


def template_table(rows: rx.Var[Sequence[TemplateRow]]) -> rx.Component:
    """How each template did."""
    heads = (("Template", ""), ("Runs", ""), ("Succeeded", ""), ("Half within", ""), ("95 % within", ""))
    return rx.el.section(
        rx.el.header(rx.el.h2("Templates"), rx.el.span("durations", class_name="faint"), class_name="box-head"),
        rx.el.div(
            rx.el.table(
                rx.el.thead(
                    rx.el.tr(
                        *(rx.el.th(name, scope="col") for name, _ in heads),
                        rx.el.th("95 % waited within", scope="col", class_name="hide-small"),
                    )
                ),
                rx.el.tbody(rx.foreach(rows, _template)),
                class_name="figures",
            ),
            class_name="figures-frame",
        ),
        class_name="panel",
        aria_label="Templates",
    )


def reason_list(rows: rx.Var[Sequence[ReasonRow]]) -> rx.Component:
    """Why runs did not succeed."""
    return rx.el.section(
        rx.el.header(rx.el.h2("Why runs did not succeed"), class_name="box-head"),
        rx.cond(
            rows.length() > 0,
            rx.el.ul(
                rx.foreach(
                    rows,
                    lambda row: rx.el.li(
                        rx.el.span(row.word, class_name="cut"),
                        _bar(row.share, row.state),
                        rx.el.span(row.n, class_name="num"),
                    ),
                ),
                class_name="reasons",
            ),
            rx.el.p("All of them succeeded.", class_name="box-body faint"),
        ),
        class_name="panel",
        aria_label="Reasons",
    )


def insights_loading() -> rx.Component:
    """The frame before its figures are there."""
    tile = rx.el.div(skeleton("50%", "12px"), skeleton("36%", "24px"), class_name="panel tile")
    chart = rx.el.div(skeleton("30%", "14px"), skeleton("100%", "150px"), class_name="panel chart-wait")
    return rx.el.div(
        rx.el.div(*[tile] * 5, class_name="tiles"),
        rx.el.div(*[chart] * 4, class_name="charts"),
        role="status",
        aria_busy=True,
        aria_label="Loading insights",
    )
