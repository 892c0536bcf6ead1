"""Small parts used everywhere: states, blanks, notices, skeletons."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML
from reflex_components_core.react_router import link as nav_link

ICONS = {
    "queued": "clock-3",
    "claimed": "loader",
    "running": "loader-circle",
    "succeeded": "circle-check",
    "failed": "circle-x",
    "cancelled": "circle-slash",
    "timed_out": "timer-off",
    "pending": "circle-dashed",
    "skipped": "circle-minus",
}
"""One shape for each state, so that no state is told by its colour alone."""


def state_icon(status: rx.Var[str] | str, size: int = 15) -> rx.Component:
    """The shape of a state, in the colour that the nearest `data-state` gives."""
    cases = [
        (name, rx.icon(icon, size=size, class_name="spin" if name in ("running", "claimed") else "", aria_hidden=True))
        for name, icon in ICONS.items()
    ]
    return rx.fragment(rx.match(status, *cases, rx.icon("circle-dashed", size=size, aria_hidden=True)))


def state_badge(status: rx.Var[str] | str, word: rx.Var[str] | str) -> rx.Component:
    """A state as shape, word and colour."""
    return rx.el.span(state_icon(status, 13), word, class_name="badge", data_state=status)


def blank(icon: str, title: str | rx.Var[str], text: str | rx.Var[str], *actions: rx.Component) -> rx.Component:
    """There is nothing here, and what to do about it."""
    return rx.el.div(
        rx.el.div(rx.icon(icon, size=20, aria_hidden=True), class_name="blank-mark"),
        rx.el.h2(title, class_name="blank-title"),
        rx.el.p(text, class_name="blank-text"),
        rx.el.div(*actions, class_name="row", style={"marginTop": "8px"}) if actions else rx.fragment(),
        class_name="blank",
    )


def notice(tone: str, title: str | rx.Var[str], hint: str | rx.Var[str] = "") -> rx.Component:
    """Something to know before going on. `tone` is a state of the design system."""
    icon = {"failed": "circle-alert", "warn": "triangle-alert"}.get(tone, "info")
    return rx.el.div(
        rx.icon(icon, size=15, aria_hidden=True),
        rx.el.div(
            rx.el.div(title, class_name="notice-title"),
            rx.cond(hint, rx.el.div(hint, class_name="notice-hint")),
        ),
        class_name="notice",
        data_state=tone,
        role="alert" if tone == "failed" else "note",
    )


def skeleton(width: str = "100%", height: str = "12px") -> rx.Component:
    """A place where something will be."""
    return rx.el.div(class_name="skeleton", style={"width": width, "height": height}, aria_hidden=True)


def problem(title: rx.Var[str], text: rx.Var[str], icon: str = "unplug", *actions: rx.Component) -> rx.Component:
    """A page that cannot be shown, and why. When the control plane itself is what is wrong (such errors name it or its
    sign-in), setup shows the way out.
    """
    concerns_setup = title.contains("control plane") | title.contains("Sign-in at")
    to_setup = nav_link("Open setup", to="/setup", class_name="btn btn-primary")
    return rx.el.div(
        blank(icon, title, text, rx.cond(concerns_setup, to_setup), *actions), role="alert", style={"paddingTop": "8vh"}
    )


class PostForm(BaseHTML):
    """A form that the browser itself posts to the server. Reflex's own keeps every submit for its event handlers."""

    tag = "form"

    action: rx.Var[str]
    method: rx.Var[str]


class PlainLink(BaseHTML):
    """A link that the browser itself follows. Reflex's own stays inside the app, which knows nothing of `/api`."""

    tag = "a"

    href: rx.Var[str]
    rel: rx.Var[str]
    target: rx.Var[str]


plain_link = PlainLink.create
post_form = PostForm.create
