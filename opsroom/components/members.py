"""The people of the room: a table with their roles, the form that lets somebody in, what the roles mean."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from typing import Any, Final

import reflex as rx

from opsroom.components.browser import confirm_button
from opsroom.components.forms import labelled
from opsroom.components.library_views import MemberRow

ROLES: Final = {
    "viewer": "Looks at everything.",
    "operator": "Also launches, cancels and retries runs, and works with sessions.",
    "approver": "Also approves what waits at a gate.",
    "admin": "Also saves templates, drains workers and manages members.",
}


def _options() -> list[rx.Component]:
    return [rx.el.option(role.capitalize(), value=role) for role in ROLES]


def _member(row: rx.Var[MemberRow], pending: rx.Var[str], set_role: Any, disable: Any) -> rx.Component:
    fixed = row.you | row.last
    why = rx.cond(row.you, "Nobody takes their own role.", rx.cond(row.last, "The room needs an admin.", ""))
    role = rx.el.select(
        *_options(),
        value=row.role,
        disabled=fixed | row.disabled | (pending == row.email),
        title=why,
        on_change=lambda value: set_role(row.email, value),
        class_name="input role-select",
        aria_label=f"Role of {row.email}",
    )
    take = confirm_button(
        "Disable",
        class_name="btn btn-small",
        label=f"Disable {row.email}",
        title=f"Disable {row.email}?",
        body="They can not look or act any more. What they did stays, and so does their account in Supabase Auth.",
        confirm_label="Disable",
        disabled=fixed,
        hint=why,
        on_confirm=lambda reason: disable(row.email, reason),
    )
    let_in = rx.el.button(
        "Enable",
        type="button",
        class_name="btn btn-small",
        aria_label=f"Enable {row.email}",
        on_click=set_role(row.email, row.role),
    )
    return rx.el.tr(
        rx.el.td(
            rx.el.div(
                rx.el.span(row.initials, class_name="avatar", aria_hidden=True),
                rx.el.div(
                    rx.el.div(
                        rx.el.strong(row.name),
                        rx.cond(row.you, rx.el.span("you", class_name="tag")),
                        rx.cond(row.disabled, rx.el.span("Disabled", class_name="tag", data_state="warn")),
                        class_name="row",
                    ),
                    rx.el.div(row.email, class_name="faint"),
                    class_name="stack",
                ),
                class_name="row",
                style={"gap": "10px"},
            )
        ),
        rx.el.td(role, data_label="Role"),
        rx.el.td(rx.cond(row.disabled, let_in, take), data_label="Membership"),
    )


def members_table(
    rows: rx.Var[Sequence[MemberRow]], query: rx.Var[str], pending: rx.Var[str], set_role: Any, disable: Any
) -> rx.Component:
    """All people; a role is changed where it stands."""
    columns = ("Person", "Role", "Membership")
    return rx.el.div(
        rx.el.table(
            rx.el.thead(rx.el.tr(*(rx.el.th(column, scope="col") for column in columns))),
            rx.el.tbody(
                rx.foreach(
                    rows,
                    lambda row: rx.cond(row.search.contains(query.lower()), _member(row, pending, set_role, disable)),
                )
            ),
            class_name="lib-table members-table",
        ),
        class_name="panel table-panel",
    )


def invite_form(error: rx.Var[str], on_submit: Any) -> rx.Component:
    """Let somebody in who has an account, and how they get one."""
    email = rx.el.input(
        type="email", name="email", id="invite-email", class_name="input", max_length=320, auto_complete="off"
    )
    role = rx.el.select(*_options(), name="role", id="invite-role", class_name="input", default_value="operator")
    return rx.el.form(
        rx.el.header(rx.el.h2("Let somebody in"), class_name="box-head"),
        rx.el.div(
            labelled("E-mail", email, name="invite-email", error=error),
            labelled("Role", role, name="invite-role"),
            rx.el.button("Let in", type="submit", class_name="btn btn-primary"),
            rx.el.p(
                "Accounts come from Supabase Auth: invite the person in the project's dashboard (Authentication), "
                "or let them sign up. Then give their address a role here. Or: ",
                rx.el.code("opsroom member set ada@example.org --role operator", class_name="mono"),
                class_name="field-hint",
            ),
            class_name="box-body stack",
            style={"gap": "14px"},
        ),
        on_submit=on_submit,
        reset_on_submit=False,
        no_validate=True,
        class_name="panel",
        aria_label="Let somebody in",
    )


def roles_explained() -> rx.Component:
    """What each role may do; each holds all that the ones before it do."""
    parts = [part for role, text in ROLES.items() for part in (rx.el.dt(role.capitalize()), rx.el.dd(text))]
    return rx.el.section(
        rx.el.header(rx.el.h2("Roles"), class_name="box-head"),
        rx.el.dl(*parts, class_name="facts box-body"),
        class_name="panel",
        aria_label="Roles",
    )
