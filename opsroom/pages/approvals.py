"""The approvals inbox, `/approvals`: what waits for a person, and what was decided lately, live."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator
from typing import Any, Literal, cast

import reflex as rx

from opsroom.components.basics import blank, problem
from opsroom.components.gates import GateView, closed_gate, gate_card, gates_loading, looks_on
from opsroom.components.shell import page, user_menu
from opsroom.components.views import Freshness
from opsroom.domain.errors import OpsRoomError
from opsroom.room.live import Picture, Subject
from opsroom.room.live_page import open_live
from opsroom.room.present import iso
from opsroom.room.present_gates import gate_view
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, refusal, signed_in


class ApprovalsState(rx.State):
    """What the inbox shows. `pending` are the gates that one has decided and that the database has not answered for."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    waiting: rx.Field[list[GateView]] = rx.field(default_factory=list)
    closed: rx.Field[list[GateView]] = rx.field(default_factory=list)
    pending: rx.Field[list[str]] = rx.field(default_factory=list)
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Show the inbox, live. The tab joins first and gets the picture second."""
        async for step in open_live(self, _inbox(), ApprovalsState.load_again):
            yield step

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while: nobody has to press a button."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return ApprovalsState.load

    @rx.event
    async def decide(
        self, run_id: str, step_id: str, digest: str, decision: str, comment: str
    ) -> AsyncGenerator[Any, None]:
        """Approve or deny what the person looked at, which `digest` pins; the database says whether they may."""
        key = f"{run_id}:{step_id}"
        try:
            room = signed_in(self).control_plane
            self.pending = [*self.pending, key]
            yield
            wanted = cast(Literal["approved", "denied"], decision)
            gate = await room.decide_gate(run_id, step_id, wanted, digest, comment.strip())
            yield rx.toast.success(
                "Noted; others have to approve too." if gate.status == "waiting" else f"It is {gate.status}."
            )
        except OpsRoomError as error:
            yield refusal(error)
        finally:
            self.pending = [other for other in self.pending if other != key]


def _inbox() -> Subject:
    async def read(sign_in: SignIn) -> Picture:
        room = sign_in.control_plane
        waiting, closed = await asyncio.gather(room.list_gates(), room.list_gates(waiting=False))
        values = {"waiting": [gate_view(item) for item in waiting], "closed": [gate_view(item) for item in closed[:30]]}
        return Picture({**values, "phase": "ready"}, as_of=iso(dt.datetime.now(dt.UTC)))

    return Subject("sessions", read, ApprovalsState)


def _ready() -> rx.Component:
    state = ApprovalsState
    return rx.fragment(
        rx.cond(
            (Viewer.role == "viewer") | (Viewer.role == "operator"),
            rx.el.div(looks_on(Viewer.role), style={"marginBottom": "var(--s-3)"}),
        ),
        rx.cond(
            state.waiting.length() > 0,
            rx.el.div(
                rx.foreach(state.waiting, lambda gate: gate_card(gate, state.pending, state.decide)), class_name="gates"
            ),
            rx.el.div(
                blank(
                    "stamp",
                    "Nothing waits for an approval",
                    "Runs of risk block, runs whose template asks for it, and gates in the middle of a run come here.",
                ),
                class_name="panel",
            ),
        ),
        rx.cond(
            state.closed.length() > 0,
            rx.el.section(
                rx.el.h2("Decided lately", class_name="eyebrow"),
                rx.el.ul(rx.foreach(state.closed, closed_gate), class_name="panel gates-closed"),
                style={"marginTop": "var(--s-6)"},
            ),
        ),
    )


def approvals() -> rx.Component:
    """The page."""
    state = ApprovalsState
    retry = rx.el.button("Try again", type="button", class_name="btn", on_click=state.load)
    return page(
        rx.el.main(
            rx.el.header(
                rx.el.h1("Approvals"),
                rx.cond(
                    state.phase == "ready",
                    rx.el.span(state.waiting.length(), " waiting", class_name="faint num"),
                ),
                class_name="page-head",
            ),
            rx.match(
                state.phase,
                ("ready", _ready()),
                ("problem", problem(state.problem_title, state.problem_text, "unplug", retry)),
                gates_loading(),
            ),
            class_name="main main-narrow",
            id="main",
        ),
        active="approvals",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        freshness=state.freshness,
    )
