"""Spec Kit bundles as they are listed and shown: rows, tabs of files, findings, source with its lines."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.browser import ago
from opsroom.components.forms import labelled
from opsroom.components.library_views import BundleRow, FileTab, FindingRow, SourceLine


def verdict_badge(state: rx.Var[str], word: rx.Var[str]) -> rx.Component:
    """What a validation says, as shape, word and colour."""
    return rx.el.span(
        rx.match(
            state,
            ("succeeded", rx.icon("circle-check", size=13, aria_hidden=True)),
            ("warn", rx.icon("triangle-alert", size=13, aria_hidden=True)),
            rx.icon("circle-x", size=13, aria_hidden=True),
        ),
        word,
        class_name="badge",
        data_state=state,
    )


def _bundle(row: rx.Var[BundleRow]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(
            nav_link(row.slug, to=row.href, class_name="row-link"),
            rx.el.div(
                rx.cond(row.source == "repository", "In the repository, ", "In the control plane, "),
                rx.el.span(row.where, class_name="mono"),
                class_name="cell-note faint",
            ),
        ),
        rx.el.td(
            rx.cond(row.verdict, verdict_badge(row.state, row.verdict), rx.el.span("When opened", class_name="faint")),
            data_label="Validation",
        ),
        rx.el.td(
            rx.cond(
                row.tasks,
                rx.el.span(rx.el.div(row.tasks), rx.el.div(row.requirements, class_name="cell-note muted")),
                rx.el.span(ago(at=row.at), rx.el.div("by ", row.by, class_name="cell-note muted")),
            ),
            data_label="Progress",
        ),
        class_name="lib-row",
    )


def bundles_table(rows: rx.Var[Sequence[BundleRow]]) -> rx.Component:
    """All bundles."""
    columns = ("Bundle", "Validation", "Progress")
    return rx.el.div(
        rx.el.table(
            rx.el.thead(rx.el.tr(*(rx.el.th(column, scope="col") for column in columns))),
            rx.el.tbody(rx.foreach(rows, _bundle)),
            class_name="lib-table bundles-table",
        ),
        class_name="panel table-panel",
    )


def generate_form(*, error: rx.Var[str], busy: rx.Var[bool], may: rx.Var[bool], on_submit: Any) -> rx.Component:
    """What a new bundle is made from."""
    name = rx.el.input(name="name", id="spec-name", class_name="input", max_length=120, auto_complete="off")
    slug = rx.el.input(
        name="slug",
        id="spec-slug",
        class_name="input code",
        max_length=64,
        placeholder="from the name",
        auto_complete="off",
    )
    about = rx.el.textarea(name="description", id="spec-description", class_name="input", max_length=4000)
    goals = rx.el.textarea(name="goals", id="spec-goals", class_name="input", rows="5")
    return rx.el.form(
        rx.el.header(rx.el.h2("Generate a bundle"), class_name="box-head"),
        rx.el.div(
            labelled("Name", name, name="spec-name"),
            labelled("Slug", slug, name="spec-slug", required=False, hint="Its folder under spec/."),
            labelled("Description", about, name="spec-description", hint="What it is, in one or two sentences."),
            labelled(
                "Goals",
                goals,
                name="spec-goals",
                hint="One a line. Each becomes a requirement, a part of the plan and two tasks.",
            ),
            rx.cond(
                error,
                rx.el.div(
                    rx.icon("circle-alert", size=14, aria_hidden=True),
                    rx.el.span(error),
                    class_name="field-error",
                    role="alert",
                ),
            ),
            rx.el.button(
                rx.cond(
                    busy,
                    rx.icon("loader-circle", size=15, class_name="spin", aria_hidden=True),
                    rx.icon("wand-sparkles", size=15, aria_hidden=True),
                ),
                "Generate",
                type="submit",
                class_name="btn btn-primary",
                disabled=busy | ~may,
                title=rx.cond(may, "", "Your role may look, not act. Ask an admin for the role operator."),
            ),
            rx.el.p(
                "The same input gives the same four files. They are kept in the control plane; nothing is written to "
                "the repository.",
                class_name="field-hint",
            ),
            class_name="box-body stack",
            style={"gap": "14px"},
        ),
        on_submit=on_submit,
        reset_on_submit=False,
        no_validate=True,
        class_name="panel",
        aria_label="Generate a bundle",
    )


def file_tabs(tabs: rx.Var[Sequence[FileTab]], shown: rx.Var[str]) -> rx.Component:
    """The four files; the one that is shown is marked."""
    return rx.el.nav(
        rx.foreach(
            tabs,
            lambda tab: nav_link(
                rx.el.span(tab.name, class_name="mono"),
                rx.cond(
                    tab.findings > 0,
                    rx.el.span(
                        tab.findings,
                        rx.el.span(" findings", class_name="visually-hidden"),
                        class_name="tag num",
                        data_state=tab.state,
                    ),
                ),
                to=tab.href,
                class_name="file-tab",
                aria_current=rx.cond(tab.name == shown, "page", "false"),
            ),
        ),
        class_name="file-tabs",
        aria_label="Files",
    )


def _line(line: rx.Var[SourceLine]) -> rx.Component:
    number = rx.el.span(line.number, class_name="diff-no", id=rx.Var.create(f"L{line.number}"))
    found = rx.el.div(rx.foreach(line.findings, rx.el.div), class_name="line-finding", data_state=line.state)
    return rx.fragment(
        rx.el.div(
            number, rx.el.span(line.text, class_name="source-text"), class_name="source-line", data_state=line.state
        ),
        rx.cond(line.state, found),
    )


def source_view(lines: rx.Var[Sequence[SourceLine]]) -> rx.Component:
    """A file as it is written, with findings below their lines."""
    return rx.el.div(
        rx.foreach(lines, _line), class_name="source-lines", role="region", aria_label="Source", tab_index=0
    )


def _finding(row: rx.Var[FindingRow]) -> rx.Component:
    return rx.el.li(
        nav_link(
            rx.el.span(
                rx.el.span(row.rule, class_name="mono finding-line"),
                rx.el.span(row.where, class_name="mono faint cut"),
                class_name="row",
            ),
            rx.el.span(row.message),
            rx.el.span(row.fix, class_name="muted"),
            to=row.href,
            class_name="spec-finding",
        ),
        data_state=row.state,
    )


def spec_findings(rows: rx.Var[Sequence[FindingRow]]) -> rx.Component:
    """All findings; a press goes to the line."""
    return rx.fragment(
        rx.cond(
            rows.length() > 0,
            rx.el.ul(rx.foreach(rows, _finding), class_name="spec-findings", aria_label="Findings"),
            rx.el.p("Nothing is wrong with it.", class_name="box-body faint"),
        )
    )
