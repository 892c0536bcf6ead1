"""The session list, grouped by what needs a person."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
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
        state_icon(item.state, 14),
        rx.el.span(item.title, class_name="session-title cut"),
        rx.el.span(
            rx.cond(
                item.active > 0, rx.el.span(item.active, class_name="tag num", data_state="running", title="Running")
            ),
            rx.cond(
                item.queued > 0, rx.el.span(item.queued, class_name="tag num", data_state="queued", title="Queued")
            ),
            rx.cond(
                item.failed > 0, rx.el.span(item.failed, class_name="tag num", data_state="failed", title="Failed")
            ),
            class_name="session-counts",
        ),
        rx.el.span(ago(at=item.last_activity_at), class_name="session-meta"),
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
