"""The board: a session's four lanes, each with the run that has it, the runs that wait, and the runs that are over."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import skeleton, state_icon
from opsroom.components.browser import ago, confirm_button, elapsed, heartbeat
from opsroom.components.views import LaneCard, RunView


def _cancelled(run_id: rx.Var[str], reason: rx.Var[str]) -> list[rx.Var[Any]]:
    return [run_id, reason]


CancelHandler = rx.EventHandler[_cancelled]


def cancel_button(run: rx.Var[RunView], on_cancel: Any, allowed: rx.Var[bool], *, small: bool = True) -> rx.Component:
    """Cancel a run, after asking. Without the right to, it is there and says why not."""
    queued = run.status == "queued"
    return confirm_button(
        rx.icon("square", size=11, fill="currentColor", aria_hidden=True),
        rx.fragment() if small else rx.el.span("Cancel"),
        class_name="btn btn-ghost btn-small btn-icon" if small else "btn",
        label=f"Cancel {run.title}",
        title="Cancel this run?",
        body=rx.cond(
            queued,
            f"“{run.title}” has not started. It will be taken off the queue.",
            f"“{run.title}” is at work. Its processes get the signal to end, and are killed if they do not.",
        ),
        confirm_label="Cancel the run",
        ask_reason=True,
        danger=True,
        disabled=~allowed | run.cancelling,
        hint=rx.cond(
            run.cancelling, "It is being cancelled.", "Viewers cannot cancel runs. Ask an admin for the role operator."
        ),
        on_confirm=lambda reason: on_cancel(run.id, reason),
    )


def steps_bar(run: rx.Var[RunView]) -> rx.Component:
    """One bar for each step: done, at work, ahead."""
    return rx.el.div(
        rx.foreach(run.steps, lambda step: rx.el.i(data_on=step)),
        class_name="steps-bar",
        role="img",
        aria_label=f"Step {run.steps_label}",
    )


@rx.memo
def active_run(run: rx.Var[RunView], allowed: rx.Var[bool], on_cancel: CancelHandler) -> rx.Component:
    """The run that has the lane."""
    tone = rx.cond(run.cancelling, "cancelling", run.status)
    return rx.el.article(
        rx.el.div(
            rx.el.span(state_icon(run.status, 13), run.word, class_name="badge", data_state=tone),
            rx.cond(run.attempt > 1, rx.el.span(f"attempt {run.attempt}", class_name="tag")),
            rx.el.span(
                cancel_button(run, on_cancel, allowed),
                class_name="above",
                style={"marginLeft": "auto", "display": "flex"},
            ),
            class_name="run-card-top",
        ),
        rx.el.h3(nav_link(run.title, to=run.href), class_name="run-title"),
        rx.el.div(rx.el.span(run.template, class_name="cut"), rx.el.span(run.version), class_name="run-sub"),
        rx.el.div(
            elapsed(since=rx.cond(run.started_at, run.started_at, run.claimed_at), class_name="clock"),
            rx.el.span(run.steps_label, class_name="run-step-count num", title="Step"),
            class_name="run-card-clock",
        ),
        rx.cond(run.steps_label, steps_bar(run)),
        rx.cond(
            run.steps_label,
            rx.el.div(
                rx.el.span(rx.cond(run.step_title, run.step_title, "Between steps"), class_name="cut"),
                class_name="step-now",
            ),
        ),
        rx.cond(run.last_line, rx.el.div(run.last_line, class_name="run-line cut", title=run.last_line)),
        rx.el.div(
            heartbeat(at=run.heartbeat_at, lease=run.lease_seconds),
            rx.cond(
                run.worker,
                rx.el.span(
                    rx.icon("server", size=12, aria_hidden=True),
                    rx.el.span(run.worker, class_name="cut"),
                    class_name="row faint",
                    style={"gap": "5px"},
                    title="Worker",
                ),
            ),
            class_name="run-foot",
        ),
        class_name="run-card panel",
        data_state=tone,
        data_run=run.id,
        aria_label=f"{run.title}, {run.word}",
    )


@rx.memo
def queued_run(run: rx.Var[RunView], allowed: rx.Var[bool], on_cancel: CancelHandler) -> rx.Component:
    """A run that waits for the lane."""
    return rx.el.div(
        nav_link(
            rx.el.span(run.place, class_name="queue-place"),
            rx.el.span(run.title, class_name="run-row-title cut"),
            rx.el.span(),
            rx.el.span(
                rx.el.span(run.template, class_name="cut"),
                rx.cond(
                    run.not_before, ago(at=run.not_before, prefix="since "), ago(at=run.queued_at, prefix="waits ")
                ),
                rx.cond(
                    run.priority != 0,
                    rx.el.span(
                        rx.cond(run.priority > 0, f"+{run.priority}", run.priority),
                        class_name="tag num",
                        title=f"Priority {run.priority}",
                    ),
                ),
                class_name="run-row-meta",
            ),
            to=run.href,
            class_name="run-row",
            style={"paddingRight": "34px"},
        ),
        rx.el.span(
            cancel_button(run, on_cancel, allowed), style={"position": "absolute", "right": "4px", "top": "9px"}
        ),
        class_name="queue-row",
        data_state="queued",
        data_run=run.id,
    )


@rx.memo
def finished_run(run: rx.Var[RunView]) -> rx.Component:
    """A run that is over."""
    return nav_link(
        state_icon(run.status),
        rx.el.span(run.title, class_name="run-row-title cut"),
        rx.el.span(run.took, class_name="run-row-time num"),
        rx.el.span(
            rx.el.span(run.word, class_name="run-row-reason"),
            rx.cond(run.reason, rx.el.span(run.reason, class_name="cut")),
            rx.el.span(ago(at=run.finished_at), style={"marginLeft": "auto", "whiteSpace": "nowrap"}),
            class_name="run-row-meta",
        ),
        to=run.href,
        class_name="run-row",
        data_state=run.status,
        data_run=run.id,
    )


def lane(
    card: rx.Var[LaneCard], letter: str, launch_href: rx.Var[str], allowed: rx.Var[bool], on_cancel: Any
) -> rx.Component:
    """One lane."""
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

    def with_cancel(card_of: Any) -> Any:
        return lambda run: rx.fragment(card_of(run=run, allowed=allowed, on_cancel=on_cancel), key=run.id)

    return rx.el.section(
        rx.el.header(
            rx.el.span(letter, class_name="lane-letter", aria_hidden=True),
            rx.el.div(
                rx.el.h2(
                    rx.el.span(f"Lane {letter}: ", class_name="visually-hidden"), card.word, class_name="lane-state"
                ),
                rx.el.div(card.detail, class_name="lane-sub num"),
                class_name="grow",
            ),
            rx.el.span(
                rx.foreach(card.slots, lambda on: rx.el.i(class_name="slot", data_on=on.to_string())),
                class_name="slots",
                title=f"{card.active.length()} of {card.slots.length()} slots taken",
            ),
            launch,
            class_name="lane-head",
        ),
        rx.cond(
            card.active.length() > 0,
            rx.foreach(
                card.active,
                lambda run: rx.fragment(active_run(run=run, allowed=allowed, on_cancel=on_cancel), key=run.id),
            ),
            rx.el.div(
                card.idle,
                rx.cond(
                    allowed & (card.queued == 0),
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
        rx.cond(
            card.queue.length() > 0,
            rx.el.div(
                rx.el.div(
                    rx.el.span("Next", class_name="eyebrow"),
                    rx.el.span(card.queued, class_name="faint num"),
                    class_name="lane-section",
                ),
                rx.foreach(
                    card.queue,
                    lambda run: rx.fragment(queued_run(run=run, allowed=allowed, on_cancel=on_cancel), key=run.id),
                ),
                rx.cond(
                    card.unshown > 0,
                    rx.el.div(f"and {card.unshown} more", class_name="faint", style={"padding": "4px 8px"}),
                ),
            ),
        ),
        rx.cond(
            card.finished.length() > 0,
            rx.el.div(
                rx.el.div(rx.el.span("Finished", class_name="eyebrow"), class_name="lane-section"),
                rx.foreach(card.finished, lambda run: rx.fragment(finished_run(run=run), key=run.id)),
            ),
        ),
        class_name="lane",
        data_busy=card.busy.to_string(),
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
