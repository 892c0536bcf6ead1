"""The page of all runs: what it draws, its filters, its table."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import plain_link, skeleton, state_icon
from opsroom.components.browser import ago
from opsroom.components.runs_views import TIMES, Choice, Outcomes, RunRow, RunsQuery

TABLE = "$/public/room/runs.js"
STATUSES = (
    ("queued", "Queued"),
    ("claimed", "Starting"),
    ("running", "Running"),
    ("succeeded", "Succeeded"),
    ("failed", "Failed"),
    ("timed_out", "Timed out"),
    ("cancelled", "Cancelled"),
)


def _ids_and_reason(ids: rx.Var[list[str]], reason: rx.Var[str]) -> list[rx.Var[Any]]:
    return [ids, reason]


def _moment(at: rx.Var[str]) -> list[rx.Var[Any]]:
    return [at]


class RunsTable(rx.Component):
    """The rows, what is chosen of them, and what is done with those."""

    library = TABLE
    tag = "RunsTable"
    rows: rx.Var[Sequence[RunRow]]
    page: rx.Var[str]
    busy: rx.Var[bool]
    may_operate: rx.Var[bool]
    hint: rx.Var[str]
    on_cancel: rx.EventHandler[_ids_and_reason]
    on_retry: rx.EventHandler[_ids_and_reason]


class Day(rx.Component):
    """A day of the browser's calendar as a moment: its begin, or with `end` its end."""

    library = TABLE
    tag = "Day"
    label: rx.Var[str]
    value: rx.Var[str]
    end: rx.Var[bool]
    on_pick: rx.EventHandler[_moment]


runs_table = RunsTable.create


def choice_select(
    label: str, every: str, value: rx.Var[str], choices: rx.Var[Sequence[Choice]], on_change: Any
) -> rx.Component:
    """One of many, or all of them."""
    return rx.el.select(
        rx.el.option(every, value=""),
        rx.foreach(choices, lambda item: rx.el.option(item.label, value=item.value)),
        value=value,
        on_change=on_change,
        aria_label=label,
        class_name="input",
        data_set=(value != "").to_string(),
    )


def _state(query: rx.Var[RunsQuery], value: str, word: str, toggle: Any) -> rx.Component:
    return rx.el.button(
        state_icon(value, 13),
        word,
        type="button",
        class_name="runs-chip",
        data_state=value,
        aria_pressed=query.status.contains(value).to_string(),
        on_click=toggle(value),
    )


def runs_filters(
    query: rx.Var[RunsQuery],
    *,
    templates: rx.Var[Sequence[Choice]],
    sessions: rx.Var[Sequence[Choice]],
    people: rx.Var[Sequence[Choice]],
    pick: Any,
    toggle: Any,
    search: Any,
    clear: Any,
) -> rx.Component:
    """All filters. Each change is a new address; `pick` gets the name of a filter and its value."""
    return rx.el.section(
        rx.el.div(
            *(_state(query, value, word, toggle) for value, word in STATUSES),
            rx.el.button(
                rx.icon("archive-x", size=13, aria_hidden=True),
                "Given up",
                type="button",
                class_name="runs-chip",
                data_state="failed",
                aria_pressed=query.dead.to_string(),
                title="All their retries did not save them, and nothing retries them any more",
                on_click=pick("dead", rx.cond(query.dead, "", "1")),
            ),
            class_name="runs-chips",
            role="group",
            aria_label="States",
        ),
        rx.el.div(
            rx.el.form(
                rx.icon("search", size=14, aria_hidden=True),
                rx.el.input(
                    type="search",
                    name="q",
                    key=query.text,
                    default_value=query.text,
                    placeholder="Title or params, then Enter",
                    aria_label="Text in title or params",
                    max_length=200,
                    class_name="input",
                ),
                class_name="input-icon runs-text",
                role="search",
                on_submit=search,
            ),
            choice_select("Template", "Any template", query.template, templates, lambda value: pick("template", value)),
            choice_select("Session", "Any session", query.session, sessions, lambda value: pick("session", value)),
            choice_select(
                "Lane",
                "Any lane",
                query.lane,
                rx.Var.create([Choice(x, f"Lane {x}") for x in "ABCD"]),
                lambda v: pick("lane", v),
            ),
            choice_select("Launched by", "Anybody", query.person, people, lambda value: pick("person", value)),
            rx.el.select(
                rx.el.option("Any time", value=""),
                *(rx.el.option(label, value=value) for value, label in TIMES),
                rx.el.option("From … to …", value="custom"),
                value=query.span,
                on_change=lambda value: pick("span", value),
                aria_label="Queued when",
                class_name="input",
                data_set=(query.span != "").to_string(),
            ),
            rx.cond(
                query.span == "custom",
                rx.fragment(
                    Day.create(label="Queued from", value=query.since, end=False, on_pick=lambda at: pick("since", at)),
                    Day.create(label="Queued until", value=query.until, end=True, on_pick=lambda at: pick("until", at)),
                ),
            ),
            rx.cond(
                query.narrowed,
                rx.el.button(
                    rx.icon("x", size=13, aria_hidden=True),
                    "Clear",
                    type="button",
                    class_name="btn btn-ghost",
                    on_click=clear,
                ),
            ),
            class_name="runs-fields",
        ),
        aria_label="Filters",
        class_name="runs-filters",
    )


def export_menu(csv: rx.Var[str], json: rx.Var[str]) -> rx.Component:
    """The runs of the filter as a file."""
    entry = "Everything that matches, the newest 100,000 at most"
    return rx.fragment(
        rx.el.button(
            rx.icon("download", size=14, aria_hidden=True),
            "Export",
            type="button",
            class_name="btn",
            custom_attrs={"popoverTarget": "export-menu"},
        ),
        rx.el.div(
            rx.el.p(entry, class_name="menu-head faint"),
            plain_link("CSV, for a spreadsheet", href=csv, class_name="menu-item"),
            plain_link("JSON, for a program", href=json, class_name="menu-item"),
            id="export-menu",
            class_name="menu",
            custom_attrs={"popover": "auto"},
        ),
    )


def runs_foot(count: rx.Var[int], older: rx.Var[str], newest: rx.Var[str], searched_to: rx.Var[str]) -> rx.Component:
    """Where this page ends, and the way to the others."""
    return rx.el.nav(
        rx.el.div(
            rx.cond(
                searched_to,
                rx.el.span(
                    "One search looks at a bounded number of runs. This one went back to what was queued ",
                    ago(at=searched_to),
                    ".",
                    class_name="runs-searched",
                ),
                rx.el.span(
                    rx.el.span(count, class_name="num"),
                    rx.cond(count == 1, " run", " runs"),
                    rx.cond(older, " on this page", rx.cond(newest, " on this page, the last ones", "")),
                    class_name="faint",
                ),
            ),
            rx.el.span(
                rx.el.kbd("j", class_name="kbd"),
                rx.el.kbd("k", class_name="kbd"),
                " move ",
                rx.el.kbd("x", class_name="kbd"),
                " choose ",
                rx.el.kbd("↵", class_name="kbd"),
                " open",
                class_name="runs-keys faint",
            ),
            class_name="runs-foot-text",
        ),
        rx.cond(
            newest, nav_link(rx.icon("chevrons-left", size=14, aria_hidden=True), "Newest", to=newest, class_name="btn")
        ),
        rx.cond(
            older,
            nav_link(
                rx.cond(searched_to, "Search further back", "Older"),
                rx.icon("chevron-right", size=14, aria_hidden=True),
                to=older,
                class_name="btn",
            ),
        ),
        class_name="runs-foot",
        aria_label="Pages",
    )


def _refused(line: rx.Var[tuple[str, str, str]]) -> rx.Component:
    return rx.el.li(nav_link(line[1], to=line[0], class_name="link"), rx.el.span(line[2], class_name="faint"))


def outcome_notice(done: rx.Var[Outcomes], dismiss: Any) -> rx.Component:
    """What became of many runs."""
    return rx.el.div(
        rx.el.div(
            rx.el.strong(done.title, class_name="notice-title"),
            rx.cond(done.refused.length() > 0, rx.el.ul(rx.foreach(done.refused, _refused), class_name="runs-refused")),
            class_name="grow",
        ),
        rx.el.button(
            rx.icon("x", size=14, aria_hidden=True),
            type="button",
            class_name="btn btn-ghost btn-small btn-icon",
            aria_label="Dismiss",
            on_click=dismiss,
        ),
        class_name="notice runs-done",
        data_state=done.state,
        role="status",
    )


def runs_loading() -> rx.Component:
    """The table before its rows are there."""
    line = rx.el.div(
        skeleton("38%", "14px"),
        skeleton("76px", "20px"),
        skeleton("14%", "12px"),
        skeleton("18%", "12px"),
        class_name="runs-wait",
    )
    return rx.el.div(*[line] * 12, class_name="panel", role="status", aria_busy=True, aria_label="Loading runs")
