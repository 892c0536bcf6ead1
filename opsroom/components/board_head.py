"""Above the lanes: the session itself."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import blank, skeleton
from opsroom.components.board import lane_skeleton
from opsroom.components.browser import ago, confirm_button
from opsroom.components.views import BoardHead, SessionItem


@dataclass(frozen=True)
class SessionActions:
    """What can be done with a session."""

    archive: Any
    reopen: Any
    pause: Any
    resume: Any
    see_all: Any


def _pause_button(head: rx.Var[BoardHead], may_operate: rx.Var[bool], act: SessionActions) -> rx.Component:
    def button(icon: str, label: str, on_click: Any) -> rx.Component:
        return rx.el.button(
            rx.icon(icon, size=15, aria_hidden=True),
            type="button",
            class_name="btn btn-ghost btn-icon",
            aria_label=label,
            title=rx.cond(may_operate, label, "Viewers cannot pause sessions."),
            disabled=~may_operate,
            on_click=on_click,
        )

    return rx.cond(
        head.paused_at,
        button("play", "Resume this session", act.resume),
        button("pause", "Pause this session: what runs goes on, nothing new starts", act.pause),
    )


def board_notices(
    head: rx.Var[BoardHead], needing: rx.Var[Sequence[SessionItem]], may_operate: rx.Var[bool], act: SessionActions
) -> rx.Component:
    """What there is to know about the whole session before its lanes are read."""
    failures = rx.foreach(
        needing,
        lambda item: rx.cond(
            (item.id == head.id) & (item.unseen > 0),
            rx.el.div(
                rx.icon("circle-alert", size=15, aria_hidden=True),
                rx.el.span(
                    rx.cond(
                        item.unseen == 1,
                        "1 failure that you have not looked at",
                        f"{item.unseen} failures that you have not looked at",
                    ),
                    class_name="grow",
                ),
                rx.el.button("Mark as seen", type="button", class_name="btn btn-small", on_click=act.see_all),
                class_name="board-note",
                data_state="failed",
                role="status",
            ),
        ),
    )
    return rx.el.div(
        rx.cond(
            head.paused_at,
            rx.el.div(
                rx.icon("pause", size=15, aria_hidden=True),
                rx.el.span(
                    "Paused ", ago(at=head.paused_at), ": what runs goes on, nothing new starts.", class_name="grow"
                ),
                rx.el.button(
                    "Resume", type="button", class_name="btn btn-small", on_click=act.resume, disabled=~may_operate
                ),
                class_name="board-note",
                data_state="warn",
                role="status",
            ),
        ),
        failures,
        rx.cond(
            ~may_operate,
            rx.el.div(
                rx.icon("eye", size=15, aria_hidden=True),
                rx.el.span("You look on as a viewer. Launching, moving and cancelling need the role operator."),
                class_name="board-note",
                data_state="info",
                role="note",
            ),
        ),
        class_name="board-notes",
    )


def board_head(
    head: rx.Var[BoardHead], launch: rx.Var[str], may_operate: rx.Var[bool], act: SessionActions
) -> rx.Component:
    """What the session is for, and what can be done with it."""
    return rx.el.header(
        rx.el.div(
            rx.el.h1(
                head.title, rx.cond(head.archived, rx.el.span("Archived", class_name="tag")), class_name="board-title"
            ),
            rx.cond(head.intent, rx.el.p(head.intent, class_name="board-intent")),
            class_name="grow",
        ),
        rx.el.div(
            rx.cond(
                head.archived,
                rx.el.button("Reopen", type="button", class_name="btn", on_click=act.reopen, disabled=~may_operate),
                rx.fragment(
                    _pause_button(head, may_operate, act),
                    confirm_button(
                        rx.icon("archive", size=15, aria_hidden=True),
                        class_name="btn btn-ghost btn-icon",
                        label="Archive this session",
                        title="Archive this session?",
                        body="It takes no new runs until it is reopened. Its runs and their evidence stay.",
                        confirm_label="Archive",
                        danger=False,
                        disabled=~may_operate,
                        hint="Viewers cannot archive sessions.",
                        on_confirm=act.archive,
                    ),
                    rx.cond(
                        may_operate,
                        nav_link(
                            rx.icon("play", size=14, aria_hidden=True),
                            "Launch",
                            to=launch,
                            class_name="btn btn-primary",
                        ),
                        rx.el.button(
                            rx.icon("play", size=14, aria_hidden=True),
                            "Launch",
                            type="button",
                            disabled=True,
                            class_name="btn btn-primary",
                            title="Viewers cannot launch runs. Ask an admin for the role operator.",
                        ),
                    ),
                ),
            ),
            class_name="board-actions",
        ),
        class_name="board-head",
    )


def board_loading(lanes: tuple[str, ...]) -> rx.Component:
    """A board that is not known yet."""
    return rx.fragment(
        rx.el.header(
            rx.el.div(skeleton("260px", "20px"), skeleton("420px"), class_name="stack", style={"gap": "10px"}),
            class_name="board-head",
            aria_hidden=True,
        ),
        rx.el.div(*map(lane_skeleton, lanes), class_name="lanes"),
        rx.el.p("Loading the board", class_name="visually-hidden", role="status"),
    )


def board_empty(may_operate: rx.Var[bool], on_new: Any) -> rx.Component:
    """No session is there yet."""
    new = rx.el.button(
        rx.icon("plus", size=15, aria_hidden=True),
        "New session",
        type="button",
        class_name="btn btn-primary",
        on_click=on_new,
        disabled=~may_operate,
    )
    return rx.el.div(
        blank(
            "layout-dashboard",
            "No session yet",
            "A session is one piece of work: it has an intent, and four lanes whose runs go in parallel.",
            new,
        ),
        style={"paddingTop": "12vh"},
    )
