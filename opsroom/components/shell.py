"""The frame of every page: brand, where one is, whether what one sees is true, who one is."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import reflex as rx
from reflex_components_core.core.banner import has_connection_errors
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import post_form
from opsroom.components.browser import command_button, feed_pill
from opsroom.components.navigation import navigation
from opsroom.components.notices import notify_switch
from opsroom.components.views import Freshness


def brand_mark() -> rx.Component:
    """Four lanes, one of them at work."""
    bars = ((3, 9, "0.45"), (9, 15, "1"), (15, 6, "0.45"), (21, 12, "0.7"))
    return rx.el.svg(
        *(
            rx.el.svg.rect(x=str(x - 2), y="3", width="4", height=str(h), rx="1.6", fill="currentColor", opacity=o)
            for x, h, o in bars
        ),
        view_box="0 0 24 24",
        class_name="brand-mark",
        style={"color": "var(--accent)"},
        aria_hidden=True,
    )


def theme_toggle() -> rx.Component:
    """Dark or light; until it is used the system decides."""
    return rx.el.button(
        rx.color_mode_cond(rx.icon("sun", size=16, aria_hidden=True), rx.icon("moon", size=16, aria_hidden=True)),
        type="button",
        class_name="btn btn-ghost btn-icon",
        aria_label="Switch between dark and light",
        title="Dark / light",
        on_click=rx.toggle_color_mode,
    )


def user_menu(name: rx.Var[str], initials: rx.Var[str], email: rx.Var[str], role: rx.Var[str]) -> rx.Component:
    """Who is signed in, and the way out."""
    return rx.fragment(
        rx.el.button(
            rx.el.span(initials, class_name="avatar", aria_hidden=True),
            rx.el.span("Account", class_name="visually-hidden"),
            type="button",
            class_name="user",
            custom_attrs={"popoverTarget": "user-menu"},
        ),
        rx.el.div(
            rx.el.div(
                rx.el.div(name, style={"fontWeight": 600}),
                rx.el.div(email, class_name="faint cut"),
                rx.el.span(role, class_name="tag", style={"marginTop": "8px", "textTransform": "capitalize"}),
                class_name="menu-head",
            ),
            notify_switch(),
            post_form(
                rx.el.button(
                    rx.icon("log-out", size=15, aria_hidden=True), "Sign out", type="submit", class_name="menu-item"
                ),
                action="/auth/sign-out",
                method="post",
            ),
            id="user-menu",
            class_name="menu",
            custom_attrs={"popover": "auto"},
        ),
    )


def indicator(freshness: rx.Var[Freshness]) -> rx.Component:
    """Live, catching up, polling, or stale since when."""
    return feed_pill(mode=freshness.mode, as_of=freshness.as_of, reason=freshness.reason, offline=has_connection_errors)


def page(
    *content: rx.Component,
    account: rx.Component,
    freshness: rx.Var[Freshness] | None = None,
    crumbs: tuple[rx.Component, ...] = (),
    menu: bool = False,
    active: str = "",
) -> rx.Component:
    """A page in its frame. `menu` says that the content has a `#sidebar`, which small screens open by a button;
    `active` is the key of the page's place in the navigation.
    """
    return rx.el.div(
        rx.el.a("Skip to the content", href="#main", class_name="skip-link"),
        rx.el.header(
            rx.el.button(
                rx.icon("panel-left", size=17, aria_hidden=True),
                type="button",
                class_name="btn btn-ghost btn-icon menu-button",
                aria_label="Sessions",
                custom_attrs={"popoverTarget": "sidebar"},
            )
            if menu
            else rx.fragment(),
            nav_link(
                brand_mark(),
                rx.el.span("Ops Control Room", class_name="brand-name"),
                to="/",
                class_name="brand",
                aria_label="Ops Control Room",
            ),
            navigation(active),
            rx.el.div(
                command_button(),
                indicator(freshness) if freshness is not None else rx.fragment(),
                theme_toggle(),
                account,
                class_name="topbar-right",
            ),
            class_name="topbar",
        ),
        rx.el.nav(*crumbs, class_name="crumbs", aria_label="Where you are") if crumbs else rx.fragment(),
        rx.el.div(*content, class_name="shell-content"),
        class_name="shell",
    )


def starting() -> rx.Component:
    """What is in the page before its script runs: the frame, so that nothing jumps when it does."""
    return rx.el.div(
        rx.el.header(
            rx.el.span(brand_mark(), rx.el.span("Ops Control Room", class_name="brand-name"), class_name="brand"),
            class_name="topbar",
        ),
        class_name="shell",
    )
