"""What is shown for an address that leads nowhere."""

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import blank


def not_found() -> rx.Component:
    """The page."""
    return rx.el.main(
        blank(
            "compass",
            "Nothing is here",
            "The address leads nowhere. It may be mistyped, or what it named was never here.",
            nav_link("Go to the board", to="/", class_name="btn btn-primary"),
        ),
        id="main",
        style={"minHeight": "100dvh", "display": "grid", "placeItems": "center"},
    )
