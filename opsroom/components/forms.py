"""Form parts: a control with its label, the lane choice, one template of the picker."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.views import TemplateView


def labelled(
    label: rx.Var[str] | str,
    control: rx.Component,
    *,
    name: rx.Var[str] | str,
    hint: rx.Var[str] | str = "",
    error: rx.Var[str] | str = "",
    required: rx.Var[bool] | bool = True,
    class_name: rx.Var[str] | str = "field",
) -> rx.Component:
    """A control with its label above, and below it its hint or what is wrong with it."""
    return rx.el.div(
        rx.el.label(
            label,
            rx.cond(required, rx.fragment(), rx.el.span("optional", class_name="required")),
            html_for=name,
            class_name="field-label",
        ),
        control,
        rx.cond(
            error,
            rx.el.div(
                rx.icon("circle-alert", size=13, aria_hidden=True),
                rx.el.span(error),
                class_name="field-error",
                id=f"{name}-error",
                role="alert",
            ),
            rx.cond(hint, rx.el.div(hint, class_name="field-hint", id=f"{name}-hint")),
        ),
        class_name=class_name,
    )


def lane_choice(
    chosen: rx.Var[str], lanes: Sequence[str], served: rx.Var[Sequence[str]], error: rx.Var[str]
) -> rx.Component:
    """Which lanes, as four big buttons; those that were served are closed."""
    return rx.el.fieldset(
        rx.el.legend("Lanes", class_name="field-label", style={"marginBottom": "6px"}),
        *(
            rx.el.label(
                rx.el.input(
                    type="checkbox",
                    name=f"lane.{lane}",
                    default_checked=chosen == lane,
                    disabled=served.contains(lane),
                    aria_label=f"Lane {lane}",
                ),
                lane,
                rx.cond(served.contains(lane), rx.icon("check", size=15, aria_hidden=True)),
            )
            for lane in lanes
        ),
        rx.cond(
            error,
            rx.el.div(
                rx.icon("circle-alert", size=13, aria_hidden=True),
                error,
                class_name="field-error",
                role="alert",
            ),
            rx.el.div(
                "One run in each lane that is chosen. Lanes go in parallel, runs in a lane one after the other.",
                class_name="field-hint",
            ),
        ),
        class_name="lane-choice",
    )


def template_choice(item: rx.Var[TemplateView], chosen: rx.Var[str], href: Any) -> rx.Component:
    """One template of the picker."""
    return nav_link(
        rx.el.span(
            rx.el.span(item.title, class_name="cut"),
            rx.cond(
                item.enabled,
                rx.cond(item.risk_word, rx.el.span(item.risk_word, class_name="tag", data_state=item.risk)),
                rx.el.span("Disabled", class_name="tag"),
            ),
            class_name="choice-title",
        ),
        rx.el.span(item.description, class_name="choice-text"),
        rx.el.span(item.slug, " ", item.version, class_name="faint mono", style={"fontSize": "var(--t-10)"}),
        to=href(item.slug),
        class_name="choice",
        aria_current=rx.cond(item.slug == chosen, "true", "false"),
    )
