"""Two runs side by side: who they are, what differs, and each difference."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import state_badge, state_icon
from opsroom.components.browser import ago
from opsroom.components.compare_views import CellView, PairView, SectionView, SideView, TextView
from opsroom.components.diff import diff_view


def side_card(side: rx.Var[SideView], which: str) -> rx.Component:
    """One of the two runs."""
    return rx.el.section(
        rx.el.div(
            rx.el.span(which, class_name="compare-which"),
            state_badge(side.status, side.word),
            rx.cond(side.reason, rx.el.span(side.reason, class_name="muted cut")),
            class_name="row",
        ),
        rx.el.h2(nav_link(side.title, to=side.href, class_name="compare-title")),
        rx.el.div(
            rx.el.span(side.template),
            rx.el.span("Lane ", side.lane),
            rx.cond(side.took, rx.el.span(side.took, class_name="num")),
            rx.el.span(rx.cond(side.by, f"{side.by}, ", ""), ago(at=side.at)),
            rx.el.span(side.short, class_name="mono faint", title=side.id),
            class_name="run-head-meta",
        ),
        class_name="panel compare-side",
        data_state=side.status,
        aria_label=f"{which} run",
    )


def chooser(left: rx.Var[str], right: rx.Var[str], on_submit: Any) -> rx.Component:
    """Which two runs to compare."""

    def field(name: str, label: str, value: rx.Var[str]) -> rx.Component:
        return rx.el.label(
            rx.el.span(label),
            rx.el.input(
                name=name,
                default_value=value,
                key=value,
                placeholder="Run id, or its first 6 digits",
                class_name="input mono",
                auto_complete="off",
                spell_check=False,
                required=True,
            ),
            class_name="compare-field",
        )

    return rx.el.form(
        field("left", "Left run", left),
        field("right", "Right run", right),
        rx.el.button("Compare", type="submit", class_name="btn btn-primary"),
        on_submit=on_submit,
        class_name="compare-form panel",
        aria_label="Runs to compare",
    )


def candidates(runs: rx.Var[Sequence[SideView]], left: rx.Var[str]) -> rx.Component:
    """Runs to compare with, the latest first."""

    def one(side: rx.Var[SideView]) -> rx.Component:
        return rx.el.li(
            nav_link(
                state_icon(side.status, 15),
                rx.el.span(
                    rx.el.span(side.title, class_name="cut"),
                    rx.el.span(
                        rx.el.span(side.word, class_name="attempt-word"),
                        rx.el.span(side.template),
                        rx.cond(side.took, rx.el.span(side.took, class_name="num")),
                        rx.el.span(side.short, class_name="mono"),
                        class_name="attempt-sub",
                    ),
                    class_name="attempt-text",
                ),
                ago(at=side.at, class_name="num faint"),
                to=f"/compare?left={left}&right={side.id}",
                class_name="attempt",
                data_state=side.status,
            )
        )

    return rx.el.ul(rx.foreach(runs, one))


def summary(sections: rx.Var[Sequence[SectionView]]) -> rx.Component:
    """What differs, part by part."""

    def one(section: rx.Var[SectionView]) -> rx.Component:
        return rx.el.li(
            rx.el.a(
                rx.el.span(section.name, class_name="compare-part"),
                rx.el.span(section.word, class_name="compare-word"),
                href=section.href,
            ),
            data_differs=section.differs.to_string(),
        )

    return rx.el.ul(rx.foreach(sections, one), class_name="panel compare-summary", aria_label="What differs")


def _cell(cell: rx.Var[CellView]) -> rx.Component:
    return rx.el.td(
        rx.el.span(
            rx.cond(cell.state, state_icon(cell.state, 13)),
            rx.el.span(cell.text, class_name="compare-value"),
            class_name="compare-cell",
            data_state=cell.state,
        ),
        rx.cond(cell.sub, rx.el.span(cell.sub, class_name="compare-sub num")),
    )


def pair_table(rows: rx.Var[Sequence[PairView]], what: str) -> rx.Component:
    """Rows of both runs; those that differ are marked."""

    def one(row: rx.Var[PairView]) -> rx.Component:
        return rx.el.tr(
            rx.el.th(
                rx.el.span(row.name, class_name="compare-name"),
                rx.cond(row.sub, rx.el.span(row.sub, class_name="compare-sub")),
                rx.cond(row.word, rx.el.span(row.word, class_name="compare-mark")),
                scope="row",
            ),
            _cell(row.left),
            _cell(row.right),
            data_differs=(row.word != "").to_string(),
        )

    return rx.el.table(
        rx.el.thead(
            rx.el.tr(rx.el.th(what, scope="col"), rx.el.th("Left", scope="col"), rx.el.th("Right", scope="col"))
        ),
        rx.el.tbody(rx.foreach(rows, one)),
        class_name="compare-table",
    )


def text_pair(item: rx.Var[TextView]) -> rx.Component:
    """Two texts: a line that says that they are the same, or one that opens what changed."""
    name = rx.el.span(item.name, class_name="compare-name")
    opened = rx.el.details(
        rx.el.summary(
            name,
            rx.el.span(item.word, class_name="compare-mark"),
            rx.el.span(item.counts, class_name="num faint compare-counts"),
        ),
        diff_view(item.diff, rx.Var.create(False), item.name),
        open=item.open,
        class_name="compare-text",
    )
    same = rx.el.div(name, rx.el.span("the same", class_name="faint"), class_name="compare-same")
    return rx.fragment(rx.cond(item.word, opened, same))


def text_pairs(items: rx.Var[Sequence[TextView]]) -> rx.Component:
    """Several of them."""
    return rx.el.div(rx.foreach(items, text_pair), class_name="compare-texts")
