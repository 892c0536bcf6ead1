"""Setup, `/setup`: what is missing before the room can be used, with the exact command; looks again by itself. For
everybody, signed in or not. `?next=` says where to go on once all is well.
"""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import contextlib
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.browser import ticker
from opsroom.components.library import command, page_head, table_loading
from opsroom.components.library_views import CheckRow
from opsroom.components.shell import page, user_menu
from opsroom.domain.errors import OpsRoomError
from opsroom.room import broadcast, live
from opsroom.room.server import back
from opsroom.room.setup import look
from opsroom.room.viewer import Viewer, arrive, signed_in


class SetupState(rx.State):
    """What was found. It tells nothing that a stranger may not know."""

    rows: rx.Field[list[CheckRow]] = rx.field(default_factory=list)
    ready: rx.Field[bool] = rx.field(False)
    known: rx.Field[bool] = rx.field(False)
    next: rx.Field[str] = rx.field("/")

    @rx.event
    async def load(self) -> Any:
        """Look at everything for the first time."""
        await live.leave(broadcast.tab_of(self))
        self.next, self.ready, self.known = back(self.router.url.query_parameters.get("next")), False, False
        return SetupState.look_again

    @rx.event
    async def look_again(self) -> Any:
        """Look again; once what failed is well, go on."""
        failed = self.known and not self.ready
        sign_in = None
        with contextlib.suppress(OpsRoomError):
            sign_in = signed_in(self)
        found = await look(sign_in)
        self.rows, self.ready, self.known = found.rows, found.ready, True
        if sign_in is not None and found.ready:
            with contextlib.suppress(OpsRoomError):
                await arrive(self)
        if failed and self.ready:
            yield rx.toast.success("The room is ready")
            yield rx.redirect(self.next)


def _check(row: rx.Var[CheckRow]) -> rx.Component:
    icon = rx.match(
        row.state,
        ("succeeded", rx.icon("circle-check", size=18, aria_hidden=True)),
        ("failed", rx.icon("circle-x", size=18, aria_hidden=True)),
        ("warn", rx.icon("triangle-alert", size=18, aria_hidden=True)),
        ("info", rx.icon("info", size=18, aria_hidden=True)),
        rx.icon("circle-dashed", size=18, aria_hidden=True),
    )
    words = {"succeeded": "in order", "failed": "not in order", "warn": "to look at", "pending": "not looked at yet"}
    return rx.el.li(
        icon,
        rx.el.div(
            rx.el.h2(
                row.name,
                rx.el.span(
                    rx.match(row.state, *((k, f": {w}") for k, w in words.items()), ""), class_name="visually-hidden"
                ),
            ),
            rx.el.p(row.found, class_name="setup-found"),
            rx.cond(row.advice, rx.el.p(row.advice, class_name="muted")),
            rx.foreach(row.commands, command),
            class_name="stack setup-body",
        ),
        class_name="setup-check",
        data_state=row.state,
    )


def setup() -> rx.Component:
    """The page."""
    go_on = rx.cond(
        SetupState.ready,
        nav_link("Go on", to=SetupState.next, class_name="btn btn-primary"),
        rx.el.span(
            rx.icon("refresh-cw", size=14, class_name="spin", aria_hidden=True),
            "Looks again by itself",
            class_name="row muted",
            role="status",
        ),
    )
    text = rx.cond(SetupState.ready, "The room can be used.", "What is missing, and the command for it.")
    return page(
        rx.el.main(
            rx.cond(
                SetupState.known,
                rx.fragment(
                    page_head("Setup", text, go_on),
                    rx.el.ol(rx.foreach(SetupState.rows, _check), class_name="panel setup-checks", aria_label="Checks"),
                ),
                table_loading(),
            ),
            ticker(seconds=2, on_tick=SetupState.look_again),
            class_name="main setup-main",
            id="main",
        ),
        active="setup",
        account=rx.cond(
            Viewer.name,
            user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
            nav_link("Sign in", to="/sign-in", class_name="btn btn-small"),
        ),
    )
