"""Signing in: a plain form, posted to the server, which keeps what Supabase answers."""

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice, post_form
from opsroom.components.shell import brand_mark, theme_toggle
from opsroom.domain.errors import OpsRoomError
from opsroom.room.server import back
from opsroom.room.sign_ins import sign_ins

REASONS = {
    "refused": ("failed", "E-mail or password is wrong.", "Check both and try again."),
    "not_a_member": ("failed", "You are not a member of this control room.", "Ask an admin to let you in."),
    "too_many": ("failed", "Too many attempts.", "Wait a minute and try again."),
    "unreachable": ("failed", "The control plane does not answer.", "Check that it runs, then try again."),
    "not_configured": (
        "failed",
        "No control plane is configured.",
        "Run `opsroom up`, or set SUPABASE_URL and its key.",
    ),
    "signed_out": ("warn", "Your sign-in has ended.", "Sign in again to go on where you were."),
    "bye": ("info", "You are signed out.", ""),
}


class SignInState(rx.State):
    """What the form needs to know. It holds no secret: the local operator's password stays on the server."""

    next: rx.Field[str] = rx.field("/")
    reason: rx.Field[str] = rx.field("")
    local_email: rx.Field[str] = rx.field("")
    project: rx.Field[str] = rx.field("")

    @rx.event
    async def load(self) -> None:
        """Read where to go on, and whether the embedded stack offers its own operator."""
        query = self.router.url.query_parameters
        self.next = back(query.get("next"))
        self.reason = query.get("reason") or ""
        self.local_email = self.project = ""
        try:
            connection = sign_ins().connection
        except OpsRoomError:
            self.reason = "not_configured"
            return
        self.project = connection.url.partition("://")[2]
        if connection.local_operator:
            self.local_email = connection.local_operator.email


def _reason() -> rx.Component:
    troubled = (SignInState.reason == "unreachable") | (SignInState.reason == "not_configured")
    to_setup = nav_link("Open setup", to="/setup", class_name="btn btn-block")
    return rx.fragment(
        rx.match(SignInState.reason, *((key, notice(*text)) for key, text in REASONS.items()), rx.fragment()),
        rx.cond(troubled, to_setup),
    )


def _local() -> rx.Component:
    return rx.fragment(
        post_form(
            rx.el.input(type="hidden", name="local", value="1", read_only=True),
            rx.el.input(type="hidden", name="next", value=SignInState.next, read_only=True),
            rx.el.button(
                rx.icon("monitor-check", size=17, aria_hidden=True),
                "Continue as local operator",
                type="submit",
                class_name="btn btn-primary btn-large btn-block",
            ),
            rx.el.p(
                rx.icon("info", size=13, aria_hidden=True),
                rx.el.span("Local only: this machine's own stack, ", SignInState.local_email),
                class_name="row faint",
                style={"marginTop": "10px", "fontSize": "var(--t-12)", "justifyContent": "center"},
            ),
            action="/auth/sign-in",
            method="post",
        ),
        rx.el.div("or with an account", class_name="or"),
    )


def _account() -> rx.Component:
    return post_form(
        rx.el.input(type="hidden", name="next", value=SignInState.next, read_only=True),
        rx.el.label(
            rx.el.span("E-mail", class_name="field-label"),
            rx.el.input(
                type="email", name="email", required=True, auto_complete="username", class_name="input", max_length=320
            ),
            class_name="field",
        ),
        rx.el.label(
            rx.el.span("Password", class_name="field-label"),
            rx.el.input(
                type="password", name="password", required=True, auto_complete="current-password", class_name="input"
            ),
            class_name="field",
        ),
        rx.el.button(
            "Sign in",
            type="submit",
            class_name=rx.cond(
                SignInState.local_email, "btn btn-large btn-block", "btn btn-primary btn-large btn-block"
            ),
        ),
        action="/auth/sign-in",
        method="post",
        class_name="stack",
        style={"gap": "16px"},
    )


def sign_in() -> rx.Component:
    """The page."""
    lanes = (("-8vh", "--running"), ("42vh", "--succeeded"), ("18vh", "--claimed"), ("64vh", "--running"))
    return rx.el.main(
        rx.el.div(
            *(rx.el.i(style={"--from": top, "--tone": f"var({tone})"}) for top, tone in lanes),
            class_name="sign-in-lanes",
            aria_hidden=True,
        ),
        rx.el.div(theme_toggle(), style={"position": "fixed", "top": "12px", "right": "12px"}),
        rx.el.section(
            rx.el.div(
                brand_mark(),
                rx.el.h1("Ops Control Room"),
                rx.el.p(
                    rx.cond(
                        SignInState.project,
                        f"Control plane at {SignInState.project}",
                        "Parallel runbooks, watched live",
                    ),
                    class_name="muted cut",
                ),
                class_name="stack",
                style={"gap": "6px"},
            ),
            _reason(),
            rx.cond(SignInState.local_email, _local()),
            _account(),
            class_name="panel sign-in-panel",
            aria_label="Sign in",
        ),
        class_name="sign-in",
        id="main",
    )
