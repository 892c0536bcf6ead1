"""What the pages of templates, bundles, members and setup have in common: head, search, tables, commands to copy."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import skeleton


def page_head(title: rx.Var[str] | str, text: rx.Var[str] | str, *actions: rx.Component) -> rx.Component:
    """The title of a page with what it is about, and what can be done at its right."""
    return rx.el.header(
        rx.el.div(rx.el.h1(title), rx.el.p(text, class_name="muted"), class_name="stack grow"),
        rx.el.div(*actions, class_name="head-actions"),
        class_name="lib-head",
    )


def search_field(label: str, on_change: Any) -> rx.Component:
    """A search that narrows as one types."""
    return rx.el.div(
        rx.icon("search", size=14, aria_hidden=True),
        rx.el.input(type="search", placeholder=label, aria_label=label, class_name="input", on_change=on_change),
        class_name="input-icon head-search",
    )


def table_loading() -> rx.Component:
    """A list before it is known."""
    return rx.el.div(
        skeleton("180px", "26px"),
        rx.el.div(
            *(skeleton("100%", "44px") for _ in range(6)),
            class_name="panel stack",
            style={"gap": "10px", "padding": "14px", "marginTop": "18px"},
        ),
        aria_hidden=True,
    )


def segment_links(items: Sequence[tuple[str, str, Any]], chosen: rx.Var[str], label: str) -> rx.Component:
    """A few views of one thing side by side; each item is its key, its word and what a press does."""
    return rx.el.div(
        *(
            rx.el.button(
                word, type="button", class_name="segment", aria_pressed=(chosen == key).to_string(), on_click=press
            )
            for key, word, press in items
        ),
        class_name="segments",
        role="group",
        aria_label=label,
    )


def command(text: rx.Var[str] | str) -> rx.Component:
    """A command line with a button that copies it."""
    return rx.el.div(
        rx.el.code(text),
        rx.el.button(
            rx.icon("copy", size=14, aria_hidden=True),
            type="button",
            class_name="btn btn-ghost btn-small btn-icon",
            aria_label="Copy the command",
            title="Copy",
            on_click=[rx.set_clipboard(text), rx.toast.success("Copied", duration=1500)],
        ),
        class_name="copy-command",
    )


def back_link(word: str, path: str) -> rx.Component:
    """The way out of a page that cannot be shown."""
    return nav_link(word, to=path, class_name="btn")
