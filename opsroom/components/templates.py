"""Templates as they are listed and shown: a row, the params, the history."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.browser import ago
from opsroom.components.library_views import ParamRow, TemplateRow, VersionRow


def risk_tag(risk: rx.Var[str], word: rx.Var[str]) -> rx.Component:
    """How much harm it can do; nothing for a harmless one."""
    return rx.fragment(rx.cond(word, rx.el.span(word, class_name="tag", data_state=risk)))


def template_row_view(row: rx.Var[TemplateRow]) -> rx.Component:
    """One template of the list; the whole row is the way to it."""
    return rx.el.tr(
        rx.el.td(
            rx.el.div(
                nav_link(row.title, to=row.href, class_name="row-link"),
                risk_tag(row.risk, row.risk_word),
                class_name="row",
            ),
            rx.el.div(row.description, class_name="cell-text"),
            rx.el.div(row.slug, class_name="mono faint cell-note"),
        ),
        rx.el.td(rx.el.span(row.version, class_name="mono"), data_label="Version"),
        rx.el.td(
            rx.el.span(row.runs, class_name="num"),
            rx.cond(row.failed, rx.el.div(row.failed, class_name="cell-note", data_state="failed")),
            data_label="Runs, 30 days",
        ),
        rx.el.td(
            rx.cond(row.last_used_at, ago(at=row.last_used_at), rx.el.span("Never", class_name="faint")),
            data_label="Last used",
        ),
        rx.el.td(
            rx.cond(
                row.enabled,
                rx.el.span("Enabled", class_name="muted"),
                rx.el.span("Disabled", class_name="tag", data_state="warn"),
            ),
            data_label="State",
        ),
        class_name="lib-row",
    )


def _param(row: rx.Var[ParamRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(
            rx.el.span(row.name, class_name="mono"),
            rx.cond(row.required, rx.el.span("required", class_name="tag", style={"marginLeft": "6px"})),
            rx.cond(row.title, rx.el.div(row.title, class_name="cell-note muted")),
        ),
        rx.el.td(rx.el.span(row.type, class_name="mono"), data_label="Type"),
        rx.el.td(
            rx.cond(row.default, rx.el.code(row.default, class_name="mono"), rx.el.span("none", class_name="faint")),
            data_label="Default",
        ),
        rx.el.td(row.about, class_name="muted", data_label="About"),
    )


def params_table(rows: rx.Var[Sequence[ParamRow]]) -> rx.Component:
    """What a template can be told."""
    columns = ("Param", "Type", "Default", "About")
    return rx.fragment(
        rx.cond(
            rows.length() > 0,
            rx.el.table(
                rx.el.thead(rx.el.tr(*(rx.el.th(column, scope="col") for column in columns))),
                rx.el.tbody(rx.foreach(rows, _param)),
                class_name="lib-table",
            ),
            rx.el.p("It takes no params.", class_name="box-body faint"),
        )
    )


def _version(row: rx.Var[VersionRow], slug: rx.Var[str], shown: rx.Var[int], newest: rx.Var[int]) -> rx.Component:
    return rx.el.li(
        nav_link(
            rx.el.span(
                rx.el.span(row.label, class_name="version-label"),
                rx.cond(row.version == newest, rx.el.span("newest", class_name="tag", data_state="succeeded")),
                rx.el.span(ago(at=row.at), class_name="faint version-at"),
                class_name="row",
            ),
            rx.el.span(row.by, class_name="muted cut"),
            rx.el.span(row.short, class_name="mono faint", title=row.digest),
            to=rx.Var.create(f"/templates/{slug}?version={row.version}"),
            class_name="version",
            aria_current=rx.cond(row.version == shown, "true", "false"),
        )
    )


def history(
    rows: rx.Var[Sequence[VersionRow]], slug: rx.Var[str], shown: rx.Var[int], newest: rx.Var[int]
) -> rx.Component:
    """All versions, newest first; the one that is shown is marked."""
    return rx.el.ol(
        rx.foreach(rows, lambda row: _version(row, slug, shown, newest)), class_name="versions", aria_label="Versions"
    )
