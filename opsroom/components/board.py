"""The board: a session's four lanes, each with the runs that have it, those that wait, and those that are over."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from dataclasses import dataclass
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import skeleton
from opsroom.components.browser import lane_menu, queue, still
from opsroom.components.cards import active_run, cancel_button, finished_run
from opsroom.components.views import DoneCard, LaneCard, QueueCard, RunView

__all__ = ["Actions", "LaneVars", "cancel_button", "lane", "lane_skeleton"]


@dataclass(frozen=True)
class Actions:
    """What can be done with a lane and its runs."""

    cancel: Any
    force: Any
    retry: Any
    place: Any
    open: Any
    pause_lane: Any
    size_lane: Any


def _head(
    card: rx.Var[LaneCard], letter: str, launch: rx.Component, allowed: rx.Var[bool], act: Actions
) -> rx.Component:
    return rx.el.header(
        rx.el.span(letter, class_name="lane-letter", aria_hidden=True),
        rx.el.div(
            rx.el.h2(
                rx.el.span(f"Lane {letter}: ", class_name="visually-hidden"),
                card.word,
                rx.cond(
                    card.paused,
                    rx.el.span(
                        rx.icon("pause", size=11, aria_hidden=True),
                        "Paused",
                        class_name="tag",
                        data_state="warn",
                        hidden=card.word == "Paused",
                    ),
                ),
                class_name="lane-state",
            ),
            rx.el.div(card.detail, class_name="lane-sub num"),
            class_name="grow",
        ),
        rx.el.span(
            rx.cond(
                card.slots.length() <= 6,
                rx.foreach(card.slots, lambda on: rx.el.i(class_name="slot", data_on=on.to_string())),
                rx.el.span(f"{card.taken}/{card.capacity}", class_name="num faint"),
            ),
            class_name="slots",
            title=f"{card.taken} of {card.slots.length()} slots taken",
        ),
        launch,
        lane_menu(
            lane=letter,
            paused=card.paused,
            capacity=card.capacity,
            allowed=allowed,
            on_pause=act.pause_lane,
            on_capacity=act.size_lane,
        ),
        class_name="lane-head",
    )


@dataclass(frozen=True)
class LaneVars:
    """A lane and its runs: those that have it, those that wait, those that are over."""

    card: rx.Var[LaneCard]
    active: rx.Var[list[RunView]]
    queue: rx.Var[list[QueueCard]]
    finished: rx.Var[list[DoneCard]]


def lane(
    shown: LaneVars,
    letter: str,
    *,
    launch_href: rx.Var[str],
    allowed: rx.Var[bool],
    peek: rx.Var[str],
    act: Actions,
) -> rx.Component:
    """One lane. `peek` is the run that is open beside the board."""
    head = shown.card
    launch = rx.cond(
        allowed,
        nav_link(
            rx.icon("plus", size=15, aria_hidden=True),
            to=f"{launch_href}?lane={letter}",
            class_name="btn btn-ghost btn-small btn-icon",
            aria_label=f"Launch into lane {letter}",
            title=f"Launch into lane {letter}",
        ),
    )

    def active(run: Any) -> rx.Component:
        selected = run.id == peek
        card = active_run(
            run=run, allowed=allowed, selected=selected, on_cancel=act.cancel, on_force=act.force, on_open=act.open
        )
        return still(card, key=run.id)

    def finished(run: Any) -> rx.Component:
        card = finished_run(run=run, allowed=allowed, selected=run.id == peek, on_retry=act.retry, on_open=act.open)
        return still(card, key=run.id)

    return rx.el.section(
        _head(head, letter, launch, allowed, act),
        rx.cond(
            head.busy,
            rx.foreach(shown.active, active),
            rx.el.div(
                head.idle,
                rx.cond(
                    allowed & (head.queued == 0),
                    nav_link(
                        rx.icon("play", size=12, aria_hidden=True),
                        f"Launch into {letter}",
                        to=f"{launch_href}?lane={letter}",
                        class_name="btn btn-small",
                    ),
                ),
                class_name="lane-idle",
            ),
        ),
        queue(
            runs=shown.queue,
            lane=letter,
            queued=head.queued,
            unshown=head.unshown,
            allowed=allowed,
            selected=peek,
            on_place=act.place,
            on_open=act.open,
            on_cancel=act.cancel,
        ),
        rx.cond(
            shown.finished.length() > 0,
            rx.el.div(
                rx.el.div(rx.el.span("Finished", class_name="eyebrow"), class_name="lane-section"),
                rx.foreach(shown.finished, finished),
            ),
        ),
        class_name="lane",
        data_busy=head.busy.to_string(),
        data_paused=head.paused.to_string(),
        data_many=(head.taken > 2).to_string(),
        data_lane=letter,
        aria_label=f"Lane {letter}",
    )


def lane_skeleton(letter: str) -> rx.Component:
    """A lane that is not known yet."""
    return rx.el.section(
        rx.el.header(
            rx.el.span(letter, class_name="lane-letter"),
            rx.el.div(skeleton("64px", "13px"), class_name="grow"),
            class_name="lane-head",
        ),
        rx.el.div(
            skeleton("78%", "14px"),
            skeleton("46%"),
            skeleton("58%", "24px"),
            skeleton("100%", "6px"),
            class_name="panel stack",
            style={"gap": "12px", "padding": "16px"},
        ),
        *(
            rx.el.div(
                skeleton(width), skeleton("40%", "10px"), class_name="stack", style={"gap": "7px", "padding": "8px"}
            )
            for width in ("82%", "66%")
        ),
        class_name="lane",
        aria_hidden=True,
    )
