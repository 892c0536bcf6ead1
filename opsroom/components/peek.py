"""A run beside the board: how it stands, its steps, its log, its artifacts, and the way to its page."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import blank, skeleton
from opsroom.components.browser import seen_mark
from opsroom.components.cards import cancel_button
from opsroom.components.run import artifact_row, step_row
from opsroom.components.run_browser import artifact_viewer, log_view
from opsroom.components.run_head import run_clock, run_marks, run_notices
from opsroom.components.views import ArtifactView, RunView, StepView


@dataclass(frozen=True)
class PeekActions:
    """What can be done with the run that is open."""

    close: Any
    cancel: Any
    force: Any
    retry: Any
    see: Any
    show_artifact: Any


@dataclass(frozen=True)
class PeekVars:
    """What the panel draws."""

    phase: rx.Var[str]
    problem: tuple[rx.Var[str], rx.Var[str]]
    run: rx.Var[RunView]
    steps: rx.Var[Sequence[StepView]]
    steps_note: rx.Var[str]
    artifacts: rx.Var[Sequence[ArtifactView]]
    shown_artifact: rx.Var[str]


def _section(title: str, aside: rx.Var[str] | str, *content: rx.Component) -> rx.Component:
    return rx.el.section(
        rx.el.header(
            rx.el.h3(title, class_name="eyebrow"), rx.el.span(aside, class_name="faint num"), class_name="lane-section"
        ),
        *content,
        class_name="peek-section",
        aria_label=title,
    )


def _ready(shown: PeekVars, allowed: rx.Var[bool], act: PeekActions) -> rx.Component:
    run, artifacts = shown.run, shown.artifacts
    retry = rx.el.button(
        rx.icon("rotate-cw", size=13, aria_hidden=True),
        "Retry",
        type="button",
        class_name="btn btn-small",
        disabled=~allowed,
        on_click=act.retry(run.id),
    )
    return rx.fragment(
        seen_mark(run=run.id, due=~run.live & ~run.seen, on_seen=act.see),
        rx.el.div(
            rx.el.div(
                run_marks(run),
                run_clock(run, "peek-clock num"),
                class_name="row peek-state",
            ),
            rx.el.div(
                rx.el.span(f"Lane {run.lane}"),
                rx.el.span(f"{run.template} {run.version}", class_name="cut"),
                rx.cond(run.worker, rx.el.span("on ", run.worker, class_name="cut")),
                class_name="run-sub",
            ),
            run_notices(run, act.force, allowed),
            rx.el.div(
                nav_link(
                    rx.icon("maximize-2", size=13, aria_hidden=True),
                    "Open the run's page",
                    to=run.href,
                    class_name="btn btn-small btn-primary",
                ),
                rx.cond(run.may_retry, retry),
                rx.cond(run.live, cancel_button(run, act.cancel, allowed, small=False)),
                class_name="row peek-actions",
            ),
            class_name="peek-top",
            data_state=run.status,
        ),
        _section("Steps", shown.steps_note, rx.el.ol(rx.foreach(shown.steps, step_row))),
        rx.cond(
            artifacts.length() > 0,
            _section(
                "Artifacts",
                artifacts.length().to_string(),
                rx.el.ul(
                    rx.foreach(artifacts, lambda item: artifact_row(item, shown.shown_artifact, act.show_artifact))
                ),
                rx.cond(
                    shown.shown_artifact,
                    artifact_viewer(
                        src=f"/api/runs/{run.id}/artifacts/{shown.shown_artifact}",
                        key=shown.shown_artifact,
                    ),
                ),
            ),
        ),
        rx.el.div(log_view(src=f"/api/runs/{run.id}/log", live=run.live, key=run.id), class_name="peek-log"),
    )


def _loading() -> rx.Component:
    return rx.el.div(
        *(skeleton(width, "13px") for width in ("30%", "62%", "48%", "90%", "72%", "80%")),
        class_name="stack peek-top",
        style={"gap": "14px"},
        aria_hidden=True,
    )


def peek(shown: PeekVars, allowed: rx.Var[bool], act: PeekActions) -> rx.Component:
    """The panel; not there while it is closed."""
    title = rx.match(shown.phase, ("ready", shown.run.title), ("problem", "No such run"), "Run")
    return rx.cond(
        shown.phase != "closed",
        rx.el.aside(
            rx.el.header(
                rx.el.h2(title, class_name="cut"),
                rx.el.button(
                    rx.icon("x", size=16, aria_hidden=True),
                    type="button",
                    class_name="btn btn-ghost btn-icon",
                    aria_label="Close the run",
                    title="Close (Esc)",
                    on_click=act.close,
                ),
                class_name="peek-head",
            ),
            rx.el.div(
                rx.match(
                    shown.phase,
                    ("ready", _ready(shown, allowed, act)),
                    ("problem", rx.el.div(blank("unplug", *shown.problem), role="alert")),
                    _loading(),
                ),
                class_name="peek-body",
            ),
            id="peek",
            class_name="peek",
            aria_label="Run",
        ),
    )
