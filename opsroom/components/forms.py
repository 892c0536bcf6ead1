"""Form parts: one field for each kind of param, the lane choice, the template picker."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.views import FieldView, TemplateView

PREFIX = "param."


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


def param_field(item: rx.Var[FieldView], error: rx.Var[str], on_edit: Any, on_leave: Any) -> rx.Component:
    """The control that fits the param's type. It keeps its own text; the server is told as one types and leaves it."""
    name = rx.Var.create(f"{PREFIX}{item.name}")
    common: dict[str, Any] = {
        "id": name,
        "name": name,
        "class_name": "input",
        "aria_invalid": rx.cond(error, "true", "false"),
        "aria_describedby": rx.cond(error, f"{name}-error", f"{name}-hint"),
        "aria_required": item.required.to_string(),
    }
    typing: dict[str, Any] = {
        "default_value": item.value,
        "placeholder": item.placeholder,
        "on_change": lambda value: on_edit(item.name, value).debounce(300),
        "on_blur": lambda value: on_leave(item.name, value),
        "auto_complete": "off",
        "spell_check": False,
    }
    text = rx.el.input(type="text", **common, **typing)
    control = rx.match(
        item.kind,
        (
            "enum",
            rx.el.select(
                rx.cond(item.required & (item.value != ""), rx.fragment(), rx.el.option("None", value="")),
                rx.foreach(item.options, lambda option: rx.el.option(option, value=option)),
                default_value=item.value,
                on_change=lambda value: on_leave(item.name, value),
                **common,
            ),
        ),
        (
            "boolean",
            rx.el.label(
                rx.el.input(type="checkbox", id=name, name=name, default_checked=item.value == "true"),
                rx.el.span("Yes", class_name="muted"),
                class_name="switch",
            ),
        ),
        ("multiline", rx.el.textarea(**common, **typing)),
        ("list", rx.el.textarea(**common, **typing, style={"fontFamily": "var(--mono)"})),
        ("json", rx.el.textarea(**common, **typing, style={"fontFamily": "var(--mono)"})),
        ("integer", rx.el.input(type="text", input_mode="numeric", **common, **typing)),
        ("number", rx.el.input(type="text", input_mode="decimal", **common, **typing)),
        ("datetime", rx.el.input(type="datetime-local", **common, **typing)),
        (
            "secret",
            rx.el.div(
                rx.icon("key-round", size=14, aria_hidden=True),
                rx.el.input(type="text", **common, **typing, style={"fontFamily": "var(--mono)"}),
                class_name="input-icon",
            ),
        ),
        text,
    )
    return labelled(
        item.label,
        rx.fragment(control),
        name=name,
        hint=item.hint,
        error=error,
        required=item.required | (item.kind == "boolean"),
        class_name=rx.cond(item.wide, "field wide", "field"),
    )


def lane_choice(chosen: rx.Var[str], lanes: Sequence[str]) -> rx.Component:
    """Which lane, as four big buttons."""
    return rx.el.fieldset(
        rx.el.legend("Lane", class_name="visually-hidden"),
        *(
            rx.el.label(
                rx.el.input(
                    type="radio", name="lane", value=lane, default_checked=chosen == lane, aria_label=f"Lane {lane}"
                ),
                lane,
            )
            for lane in lanes
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


def plan(template: rx.Var[TemplateView]) -> rx.Component:
    """The steps that will run, in order."""
    return rx.el.ol(
        rx.foreach(template.steps, lambda step: rx.el.li(rx.el.span(step, class_name="tag"))),
        class_name="plan",
        aria_label="Steps",
    )
