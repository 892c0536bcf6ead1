"""The parts of a run's page."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import plain_link, skeleton, state_icon
from opsroom.components.browser import elapsed
from opsroom.components.views import ArtifactView, StepView

ARTIFACT_ICONS = {
    "markdown": "file-text",
    "json": "braces",
    "link": "link",
    "diff": "file-diff",
    "image": "image",
    "archive": "file-archive",
    "html": "file-code",
}


def box(title: str, *content: rx.Component, aside: rx.Component | None = None) -> rx.Component:
    """A titled panel."""
    return rx.el.section(
        rx.el.header(rx.el.h2(title), aside or rx.fragment(), class_name="box-head"),
        *content,
        class_name="panel",
        aria_label=title,
    )


def again_button(
    label: str, icon: str, *, title: Any, asked: rx.Var[str], name: str, may: rx.Var[bool], press: Any
) -> rx.Component:
    """Begins a run from this one. `asked` is the command of these that is under way and has no answer yet."""
    return rx.el.button(
        rx.cond(
            asked == name,
            rx.icon("loader-circle", size=14, class_name="spin", aria_hidden=True),
            rx.icon(icon, size=14, aria_hidden=True),
        ),
        label,
        type="button",
        class_name="btn",
        disabled=~may | (asked != ""),
        title=title,
        on_click=press,
    )


def step_row(step: rx.Var[StepView]) -> rx.Component:
    """One step."""
    return rx.el.li(
        state_icon(step.status, 16),
        rx.el.span(step.title, class_name="step-title cut", title=step.title),
        rx.match(
            step.status,
            ("running", elapsed(since=step.since, class_name="step-time num")),
            ("pending", rx.el.span("ahead", class_name="step-time faint")),
            ("skipped", rx.el.span("skipped", class_name="step-time faint")),
            rx.el.span(step.took, class_name="step-time num"),
        ),
        rx.el.span(
            rx.el.span(step.kind),
            rx.cond(step.needs, rx.el.span("after ", step.needs, class_name="cut")),
            rx.cond(step.exit_code, rx.el.span("exit code ", step.exit_code)),
            class_name="step-sub",
        ),
        rx.cond(step.message, rx.el.span(step.message, class_name="step-message")),
        class_name="step",
        data_state=step.status,
        data_step=step.id,
    )


def artifact_row(item: rx.Var[ArtifactView], opened: rx.Var[str], on_preview: Any) -> rx.Component:
    """One artifact, to look at here or on its own page, and to take."""
    icons = [(kind, rx.icon(icon, size=17, aria_hidden=True)) for kind, icon in ARTIFACT_ICONS.items()]
    return rx.el.li(
        rx.fragment(rx.match(item.kind, *icons, rx.icon("file", size=17, aria_hidden=True))),
        nav_link(item.name, to=item.page, class_name="cut artifact-name", title=item.name),
        rx.el.span(
            rx.el.span(item.kind),
            rx.cond(item.size, rx.el.span(item.size, class_name="num")),
            rx.cond(item.carried, rx.el.span("carried over", title="Made by an earlier attempt")),
            rx.cond(item.expired, rx.el.span("expired", title=item.expired)),
            rx.cond(item.digest, rx.el.span(item.digest, class_name="mono cut", title="sha256")),
            class_name="artifact-meta",
        ),
        rx.el.span(
            rx.el.button(
                rx.icon("eye", size=14, aria_hidden=True),
                type="button",
                class_name="btn btn-ghost btn-small btn-icon",
                aria_label=f"Show {item.name}",
                title="Show here",
                aria_pressed=(opened == item.id).to_string(),
                on_click=on_preview(item.id),
            ),
            rx.cond(
                item.href,
                plain_link(
                    rx.cond(
                        item.link,
                        rx.icon("external-link", size=14, aria_hidden=True),
                        rx.icon("download", size=14, aria_hidden=True),
                    ),
                    href=item.href,
                    rel="noopener noreferrer",
                    target=rx.cond(item.link, "_blank", "_self"),
                    class_name="btn btn-ghost btn-small btn-icon",
                    aria_label=rx.cond(item.link, f"Open {item.name}", f"Download {item.name}"),
                    title=rx.cond(item.link, "Open", "Download"),
                ),
            ),
            class_name="artifact-actions",
        ),
        class_name="artifact",
    )


def facts_list(facts: rx.Var[Sequence[tuple[str, str]]]) -> rx.Component:
    """Names and values."""
    return rx.el.dl(
        rx.foreach(facts, lambda fact: rx.fragment(rx.el.dt(fact[0]), rx.el.dd(fact[1], class_name="num"))),
        class_name="facts box-body",
    )


def run_loading() -> rx.Component:
    """The page before the run is known."""

    def lines(*widths: str) -> rx.Component:
        return rx.el.div(
            *(skeleton(width, "13px") for width in widths),
            class_name="panel stack",
            style={"gap": "14px", "padding": "18px"},
        )

    return rx.el.div(
        lines("120px", "340px", "260px"),
        rx.el.div(style={"height": "12px"}),
        rx.el.div(
            rx.el.div(lines("60%", "80%", "50%", "70%"), class_name="run-side"),
            rx.el.div(lines("50%", "72%", "64%", "58%", "70%", "40%", "66%"), class_name="run-main"),
            class_name="run-grid",
        ),
        aria_hidden=True,
    )
