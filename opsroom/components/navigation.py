"""The way to every page: a row in the top bar, and a bar at the foot of a small screen."""

from dataclasses import dataclass

import reflex as rx
from reflex_components_core.react_router import link as nav_link


@dataclass(frozen=True)
class Place:
    """A page that one can go to from anywhere. `key` is what `page(active=…)` says; `always`: it stands in the row on
    small screens too, and not behind "More".
    """

    key: str
    title: str
    icon: str
    path: str
    always: bool = False


ROW = (
    Place("board", "Board", "columns-4", "/", always=True),
    Place("runs", "Runs", "list", "/runs", always=True),
    Place("approvals", "Approvals", "stamp", "/approvals", always=True),
    Place("workers", "Workers", "server", "/workers", always=True),
    Place("templates", "Templates", "book-open", "/templates"),
    Place("insights", "Insights", "chart-no-axes-column", "/insights"),
)
MORE = (
    Place("command", "Command", "terminal", "/command"),
    Place("spec-kit", "Spec Kit", "scroll-text", "/spec-kit"),
    Place("members", "Members", "users", "/members"),
    Place("setup", "Setup", "wrench", "/setup"),
)


def _entry(place: Place, active: str, class_name: str) -> rx.Component:
    return nav_link(
        rx.icon(place.icon, size=15, aria_hidden=True),
        rx.el.span(place.title),
        to=place.path,
        class_name=class_name,
        aria_current="page" if place.key == active else "false",
    )


def navigation(active: str) -> rx.Component:
    """All places, the one where one is marked."""
    folded = [place for place in ROW if not place.always]
    return rx.el.nav(
        *(_entry(place, active, "nav-link" if place.always else "nav-link nav-wide") for place in ROW),
        rx.el.button(
            rx.icon("ellipsis", size=15, aria_hidden=True),
            rx.el.span("More"),
            type="button",
            class_name="nav-link nav-more",
            data_here=str(active in {place.key for place in MORE}).lower(),
            custom_attrs={"popoverTarget": "nav-menu"},
        ),
        rx.el.div(
            *(_entry(place, active, "menu-item nav-narrow") for place in folded),
            *(_entry(place, active, "menu-item") for place in MORE),
            id="nav-menu",
            class_name="menu",
            on_click=rx.call_script("document.getElementById('nav-menu').hidePopover()"),
            custom_attrs={"popover": "auto"},
        ),
        class_name="nav",
        aria_label="Pages",
    )
