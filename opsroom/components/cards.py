"""The cards of runs on the board: the one that has a lane, and those that are over."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from typing import Any

import reflex as rx

from opsroom.components.basics import state_icon
from opsroom.components.browser import (
    ReasonHandler,
    RunHandler,
    ago,
    card_link,
    confirm_button,
    elapsed,
    heartbeat,
    later,
)
from opsroom.components.views import DoneCard, RunView

FORCE_AFTER_SECONDS = 15
"""A worker gives processes 10 s between TERM and KILL unless its template says more; after this it seems not to
answer.
"""


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


def force_button(run: rx.Var[RunView], on_force: Any, allowed: rx.Var[bool]) -> rx.Component:
    """End a run here and now; there once its cancellation was asked for and its worker has not answered for a while."""
    button = confirm_button(
        "End it by force",
        class_name="btn btn-small",
        label=f"End {run.title} by force",
        title="End this run by force?",
        body=f"“{run.title}” is cancelled at once. Its worker is refused from then on and kills what it runs; until it "
        "notices, processes may go on and meet those of a later run.",
        confirm_label="End it now",
        ask_reason=True,
        danger=True,
        disabled=~allowed,
        hint="Viewers cannot cancel runs. Ask an admin for the role operator.",
        on_confirm=lambda reason: on_force(run.id, reason),
    )
    return rx.cond(
        run.cancelling,
        later(
            rx.el.div(rx.el.span("The worker has not ended it yet."), button, class_name="run-force above"),
            at=run.cancel_requested_at,
            seconds=FORCE_AFTER_SECONDS,
        ),
    )


def dead_tag(dead: rx.Var[bool]) -> rx.Component:
    """All its retries did not save it, and nobody has begun another attempt."""
    return rx.fragment(
        rx.cond(dead, rx.el.span("dead letter", class_name="tag", data_state="failed", title="Out of retries"))
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
def active_run(
    run: rx.Var[RunView],
    allowed: rx.Var[bool],
    selected: rx.Var[bool],
    *,
    on_cancel: ReasonHandler,
    on_force: ReasonHandler,
    on_open: RunHandler,
) -> rx.Component:
    """A run that has the lane."""
    tone = rx.cond(run.cancelling, "cancelling", rx.cond(run.gated, "warn", run.status))
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
        rx.el.h3(card_link(run.title, run=run.id, selected=selected, on_open=on_open), class_name="run-title"),
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
        force_button(run, on_force, allowed),
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
        data_selected=rx.cond(selected, "true", "false"),
        aria_label=f"{run.title}, {run.word}",
    )


@rx.memo
def finished_run(
    run: rx.Var[DoneCard], allowed: rx.Var[bool], selected: rx.Var[bool], on_retry: RunHandler, on_open: RunHandler
) -> rx.Component:
    """A run that is over."""
    marks = rx.fragment(
        dead_tag(run.dead),
        rx.cond(run.attempt > 1, rx.el.span(f"attempt {run.attempt}", class_name="tag num")),
        rx.cond(run.retried, rx.el.span("retried", class_name="faint")),
        rx.cond(run.seen, rx.icon("eye", size=12, class_name="seen", title="You have looked at this")),
    )
    return rx.el.div(
        card_link(
            state_icon(run.status),
            rx.el.span(run.title, class_name="run-row-title cut", title=run.title),
            rx.el.span(run.took, class_name="run-row-time num"),
            rx.el.span(
                rx.el.span(run.word, class_name="run-row-reason"),
                rx.cond(run.reason, rx.el.span(run.reason, class_name="cut", title=run.reason)),
                marks,
                rx.el.span(ago(at=run.finished_at), style={"marginLeft": "auto", "whiteSpace": "nowrap"}),
                class_name="run-row-meta",
            ),
            rx.cond(run.unseen, rx.el.span("Not looked at yet", class_name="visually-hidden")),
            run=run.id,
            selected=selected,
            on_open=on_open,
            class_name="run-row",
        ),
        rx.cond(
            run.may_retry,
            rx.el.span(
                rx.el.button(
                    rx.icon("rotate-cw", size=13, aria_hidden=True),
                    type="button",
                    class_name="btn btn-ghost btn-small btn-icon",
                    aria_label=f"Retry {run.title}",
                    title=rx.cond(
                        allowed,
                        "Retry: the next attempt, with the same params",
                        "Your role may look, not act. Ask an admin for the role operator.",
                    ),
                    data_key="retry",
                    disabled=~allowed,
                    on_click=on_retry(run.id),
                ),
                class_name="row-actions",
            ),
        ),
        class_name="done-row",
        data_state=run.status,
        data_run=run.id,
        data_unseen=rx.cond(run.unseen, "true", "false"),
        data_selected=rx.cond(selected, "true", "false"),
    )
