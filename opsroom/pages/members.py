"""Members, `/members`: who may use the room and as what. For admins; all others are told whom to ask."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import reflex as rx

from opsroom.components.basics import blank, problem
from opsroom.components.library import page_head, search_field, table_loading
from opsroom.components.library_views import MemberRow
from opsroom.components.members import invite_form, members_table, roles_explained
from opsroom.components.shell import page, user_menu
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import MemberNotFound, NotAuthenticated, OpsRoomError
from opsroom.domain.lifecycle import ROLES, Role
from opsroom.room.present_library import member_rows
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, refusal, signed_in, to_sign_in


class MembersState(rx.State):
    """What the page shows; for who is no admin, only `admins`."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    rows: rx.Field[list[MemberRow]] = rx.field(default_factory=list)
    admins: rx.Field[str] = rx.field("")
    query: rx.Field[str] = rx.field("")
    pending: rx.Field[str] = rx.field("")
    error: rx.Field[str] = rx.field("")

    @rx.event
    async def load(self) -> Any:
        """Read who is here."""
        try:
            sign_in = await arrive(self)
            await self._read()
            self.phase = "ready" if (await sign_in.member()).role == "admin" else "forbidden"
        except NotAuthenticated:
            return to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                return MembersState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return MembersState.load

    async def _read(self) -> None:
        sign_in = signed_in(self)
        you = await sign_in.member()
        members = await sign_in.control_plane.members()
        self.rows = member_rows(members, you.user_id) if you.role == "admin" else []
        self.admins = ", ".join(m.email for m in members if m.role == "admin" and m.disabled_at is None)

    @rx.event
    def search(self, text: str) -> None:
        """Narrow the list."""
        self.query = text

    @rx.event
    async def set_role(self, email: str, role: str) -> Any:
        """Give a person a role, or let them in again with it."""
        if role not in ROLES:
            return
        self.pending = email
        yield
        async for step in self._set(email, cast(Role, role)):
            yield step

    @rx.event
    async def disable(self, email: str, _: str) -> Any:
        """Take a person's membership away; their account and what they did stay."""
        self.pending = email
        yield
        async for step in self._set(email, None):
            yield step

    async def _set(self, email: str, role: Role | None) -> AsyncGenerator[Any, None]:
        try:
            await signed_in(self).control_plane.set_member(email, role)
            yield rx.toast.success(f"{email} is {role}" if role else f"{email} may not use the room any more")
        except OpsRoomError as error:
            yield refusal(error)
        try:
            await self._read()
        except OpsRoomError as error:
            yield refusal(error)
        self.pending = ""

    @rx.event
    async def invite(self, form: dict[str, Any]) -> Any:
        """Let somebody in who has an account."""
        email, role = str(form.get("email") or "").strip(), str(form.get("role") or "")
        try:
            if role not in ROLES:
                return
            await signed_in(self).control_plane.set_member(email, cast(Role, role))
            self.error = ""
            await self._read()
            yield rx.set_value("invite-email", "")
            yield rx.toast.success(f"{email} is {role}")
        except MemberNotFound as error:
            self.error = f"{error.message[:1].upper()}{error.message[1:]}. Create the account first, as it says below."
        except NotAuthenticated as error:
            yield refusal(error)
        except OpsRoomError as error:
            self.error = f"{error.message[:1].upper()}{error.message[1:]}. {error.hint or ''}"


def members() -> rx.Component:
    """The page."""
    ready = rx.fragment(
        page_head(
            "Members", "Who may use this room, and as what.", search_field("Search members", MembersState.search)
        ),
        rx.el.div(
            members_table(
                MembersState.rows, MembersState.query, MembersState.pending, MembersState.set_role, MembersState.disable
            ),
            rx.el.div(
                invite_form(MembersState.error, MembersState.invite), roles_explained(), class_name="stack lib-stack"
            ),
            class_name="spec-grid",
        ),
    )
    forbidden = rx.el.div(
        blank(
            "lock",
            "Only admins manage members",
            rx.cond(MembersState.admins, f"Ask one of them: {MembersState.admins}.", "Ask an admin."),
        ),
        class_name="panel",
        style={"marginTop": "6vh"},
    )
    return page(
        rx.el.main(
            rx.match(
                MembersState.phase,
                ("ready", ready),
                ("forbidden", forbidden),
                ("problem", problem(MembersState.problem_title, MembersState.problem_text)),
                table_loading(),
            ),
            class_name="main main-narrow",
            id="main",
        ),
        active="members",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
    )
