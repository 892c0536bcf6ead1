"""How a run stands, on its page and beside the board: state, clocks, what is to be known about it."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice, state_badge
from opsroom.components.browser import ago, elapsed, heartbeat
from opsroom.components.cards import dead_tag, force_button
from opsroom.components.views import PhaseView, RunView


def run_marks(run: rx.Var[RunView]) -> rx.Component:
    """Its state, which attempt it is, and whether all of them are used up."""
    return rx.fragment(
        state_badge(run.status, run.word),
        rx.cond(run.attempt > 1, rx.el.span(f"attempt {run.attempt}", class_name="tag")),
        dead_tag(run.dead),
    )


def run_clock(run: rx.Var[RunView], class_name: str) -> rx.Component:
    """The worker's heartbeat while it goes on, and how long it has taken."""
    return rx.fragment(
        rx.cond(run.live & (run.claimed_at != ""), heartbeat(at=run.heartbeat_at, lease=run.lease_seconds)),
        rx.cond(
            run.claimed_at,
            elapsed(
                since=rx.cond(run.started_at, run.started_at, run.claimed_at),
                until=run.finished_at,
                class_name=class_name,
            ),
        ),
    )


def run_notices(run: rx.Var[RunView], on_force: Any, allowed: rx.Var[bool]) -> rx.Component:
    """What is to be known now: a worker that does not answer, an approval that is waited for, how it ended."""
    told = run.message & (run.status != "succeeded")
    return rx.fragment(
        force_button(run, on_force, allowed),
        rx.cond(
            run.gated,
            rx.el.div(
                notice("warn", "This run waits for an approval."),
                nav_link("Go to the approvals", to="/approvals", class_name="btn btn-small"),
                class_name="run-message run-gate",
            ),
        ),
        rx.cond(
            told,
            rx.el.div(
                rx.cond(run.live, notice("info", run.message), notice("failed", run.message)), class_name="run-message"
            ),
        ),
    )


def run_head(
    run: rx.Var[RunView], actions: Sequence[rx.Component], phases: rx.Var[Sequence[PhaseView]], who: rx.Var[str]
) -> rx.Component:
    """What runs, how it stands, what can be done about it, and the states it went through."""
    top = rx.el.div(
        rx.el.div(
            rx.el.div(
                run_marks(run),
                rx.cond(run.reason, rx.el.span(run.reason, class_name="muted")),
                class_name="row",
                style={"marginBottom": "6px"},
            ),
            rx.el.h1(run.title),
            rx.el.div(
                rx.el.span(f"Lane {run.lane}", style={"fontWeight": 600, "color": "var(--text)"}),
                rx.el.span(f"{run.template} {run.version}"),
                rx.cond(run.worker, rx.el.span("on ", run.worker)),
                rx.el.span(rx.cond(who, f"{who}, ", ""), "queued ", ago(at=run.queued_at)),
                class_name="run-head-meta",
            ),
            class_name="grow",
        ),
        rx.el.div(
            rx.el.div(run_clock(run, "clock"), class_name="row", style={"gap": "14px"}),
            rx.el.div(*actions, class_name="run-actions"),
            class_name="run-head-side",
        ),
        class_name="run-head-top",
    )
    return rx.el.header(
        top,
        timeline(phases, run),
        class_name="run-head panel",
        data_state=rx.cond(run.cancelling, "cancelling", run.status),
    )


def timeline(phases: rx.Var[Sequence[PhaseView]], run: rx.Var[RunView]) -> rx.Component:
    """The states the run went through, each as long as it took."""

    def phase(item: rx.Var[PhaseView]) -> rx.Component:
        return rx.el.li(
            rx.el.div(class_name="phase-bar"),
            rx.el.div(
                rx.el.span(item.name),
                rx.cond(
                    item.took,
                    rx.el.span(item.took, class_name="num faint"),
                    elapsed(since=item.since, class_name="num"),
                ),
                class_name="phase-name",
            ),
            class_name="phase",
            data_state=item.state,
            data_open=(item.took == "").to_string(),
            style={"--share": item.share},
        )

    return rx.el.ol(
        rx.foreach(phases, phase),
        rx.cond(run.live, rx.fragment(), rx.el.li(state_badge(run.status, run.word), class_name="phase-end")),
        class_name="timeline",
        aria_label="States",
    )
