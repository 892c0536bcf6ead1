"""Above the lanes: the session itself."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import skeleton
from opsroom.components.board import lane_skeleton
from opsroom.components.browser import confirm_button
from opsroom.components.views import BoardHead


def board_head(
    head: rx.Var[BoardHead], launch: rx.Var[str], may_operate: rx.Var[bool], on_archive: Any, on_reopen: Any
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
                rx.el.button("Reopen", type="button", class_name="btn", on_click=on_reopen),
                rx.fragment(
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
                        on_confirm=on_archive,
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
