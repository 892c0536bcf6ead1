"""The session list, grouped by what needs a person."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice, skeleton, state_icon
from opsroom.components.browser import ago, modal
from opsroom.components.views import SessionItem


@rx.memo
def session_row(item: rx.Var[SessionItem], selected: rx.Var[bool]) -> rx.Component:
    """One session."""
    return nav_link(
        rx.cond(item.state == "waiting", rx.icon("stamp", size=14, aria_hidden=True), state_icon(item.state, 14)),
        rx.el.span(item.title, class_name="session-title cut", title=item.title),
        rx.el.span(
            rx.cond(
                item.waiting > 0,
                rx.el.span(item.waiting, class_name="tag num", data_state="waiting", title="Waiting for an approval"),
            ),
            rx.cond(
                item.active > 0, rx.el.span(item.active, class_name="tag num", data_state="running", title="Running")
            ),
            rx.cond(
                item.queued > 0, rx.el.span(item.queued, class_name="tag num", data_state="queued", title="Queued")
            ),
            rx.cond(
                item.unseen > 0,
                rx.el.span(item.unseen, class_name="tag num", data_state="failed", title="Failures not looked at"),
            ),
            class_name="session-counts",
        ),
        rx.el.span(
            ago(at=item.last_activity_at), rx.cond(item.paused, rx.el.span("paused")), class_name="session-meta"
        ),
        to=item.href,
        class_name="session",
        data_state=item.state,
        aria_current=rx.cond(selected, "page", "false"),
    )


def session_group(
    title: str, items: rx.Var[Sequence[SessionItem]], selected: rx.Var[str], query: rx.Var[str]
) -> rx.Component:
    """One group of the list; not there when it is empty."""
    return rx.cond(
        items.length() > 0,
        rx.el.div(
            rx.el.h3(
                rx.el.span(title),
                rx.el.span(items.length(), class_name="num"),
                class_name="eyebrow",
                id=f"group-{title}",
            ),
            rx.foreach(
                items,
                lambda item: rx.cond(
                    item.search.contains(query.lower()),
                    rx.fragment(session_row(item=item, selected=item.id == selected), key=item.id),
                ),
            ),
            class_name="session-group",
            role="group",
            aria_label=title,
        ),
    )


def session_skeletons() -> rx.Component:
    """The list before it is known."""
    return rx.el.div(
        *(
            rx.el.div(
                skeleton(width, "13px"),
                skeleton("34%", "10px"),
                class_name="stack",
                style={"gap": "8px", "padding": "8px"},
            )
            for width in ("72%", "58%", "80%", "64%")
        ),
        aria_hidden=True,
    )


def create_dialog(opened: rx.Var[bool], error: rx.Var[str], on_close: Any, on_submit: Any) -> rx.Component:
    """Ask for a new session's title and intent."""
    return modal(
        rx.el.form(
            rx.el.h2("New session", class_name="modal-head"),
            rx.el.div(
                rx.el.label(
                    rx.el.span("Title", class_name="field-label"),
                    rx.el.input(
                        name="title",
                        required=True,
                        max_length=200,
                        auto_focus=True,
                        auto_complete="off",
                        placeholder="Upgrade staging to 19",
                        class_name="input",
                    ),
                    class_name="field",
                ),
                rx.el.label(
                    rx.el.span("Intent", rx.el.span("optional", class_name="required"), class_name="field-label"),
                    rx.el.textarea(
                        name="intent",
                        max_length=4000,
                        placeholder="What should be true when this is done?",
                        class_name="input",
                    ),
                    class_name="field",
                ),
                rx.cond(error, notice("failed", error)),
                class_name="modal-body",
            ),
            rx.el.div(
                rx.el.button("Close", type="button", class_name="btn", on_click=on_close),
                rx.el.button("Create session", type="submit", class_name="btn btn-primary"),
                class_name="modal-foot",
            ),
            on_submit=on_submit,
            reset_on_submit=False,
        ),
        open=opened,
        label="New session",
        on_close=on_close,
    )


@dataclass(frozen=True)
class SidebarVars:
    """What the list of sessions draws. `none`: there is no open session at all."""

    listed: rx.Var[bool]
    none: rx.Var[bool]
    groups: Mapping[str, rx.Var[Sequence[SessionItem]]]
    show_archived: rx.Var[bool]
    archived: rx.Var[Sequence[SessionItem]]
    selected: rx.Var[str]
    query: rx.Var[str]


def sidebar(
    shown: SidebarVars, allowed: rx.Var[bool], on_create: Any, on_search: Any, on_archived: Any
) -> rx.Component:
    """The list of sessions. On a small screen it lies over the board, and has done its work once something in it was
    chosen.
    """
    put_away = rx.call_script("document.getElementById('sidebar').hidePopover()")

    def hint(text: str) -> rx.Component:
        return rx.el.p(text, class_name="faint", style={"padding": "0 8px"})

    def group(title: str, items: rx.Var[Sequence[SessionItem]]) -> rx.Component:
        return session_group(title, items, shown.selected, shown.query)

    archived = rx.cond(shown.archived.length() > 0, group("Archived", shown.archived), hint("Nothing is archived."))
    return rx.el.aside(
        sidebar_head([on_create, put_away], on_search, allowed),
        rx.el.nav(
            rx.cond(
                shown.listed,
                rx.fragment(
                    rx.cond(shown.none & ~shown.show_archived, hint("No session yet.")),
                    *(group(title, items) for title, items in shown.groups.items()),
                    rx.cond(shown.show_archived, archived),
                    rx.cond(shown.query, rx.el.p("No session matches.", class_name="faint no-match", role="status")),
                ),
                session_skeletons(),
            ),
            class_name="sidebar-scroll",
            aria_label="Sessions",
            on_click=put_away,
        ),
        rx.el.button(
            rx.icon("archive", size=14, aria_hidden=True),
            rx.cond(shown.show_archived, "Hide archived", "Show archived"),
            type="button",
            class_name="btn btn-ghost btn-small",
            aria_pressed=shown.show_archived.to_string(),
            on_click=on_archived,
        ),
        id="sidebar",
        class_name="sidebar",
        custom_attrs={"popover": "auto"},
    )


def sidebar_head(on_create: Any, on_search: Any, allowed: rx.Var[bool]) -> rx.Component:
    """The list's title, the way to a new session, and the search."""
    return rx.fragment(
        rx.el.div(
            rx.el.h2("Sessions", class_name="eyebrow"),
            rx.el.button(
                rx.icon("plus", size=14, aria_hidden=True),
                "New",
                type="button",
                class_name="btn btn-small",
                on_click=on_create,
                data_key="new-session",
                disabled=~allowed,
                title=rx.cond(allowed, "New session", "Viewers cannot create sessions."),
            ),
            class_name="sidebar-head",
        ),
        rx.el.div(
            rx.icon("search", size=14, aria_hidden=True),
            rx.el.input(
                type="search",
                placeholder="Search sessions",
                class_name="input",
                aria_label="Search sessions",
                on_change=on_search,
                style={"height": "30px"},
            ),
            class_name="input-icon",
        ),
    )
