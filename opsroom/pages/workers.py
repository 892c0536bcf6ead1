"""Workers, `/workers`: the fleet, what each of them does, who is gone; admins take one out of service and back."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import reflex as rx

from opsroom.components.basics import blank, problem
from opsroom.components.shell import page, user_menu
from opsroom.components.views import Freshness
from opsroom.components.workers import (
    FleetHead,
    WorkerView,
    fleet_head,
    gone_row,
    worker_list,
    worker_row,
    workers_loading,
)
from opsroom.domain.errors import OpsRoomError
from opsroom.room.live import Picture, Subject, renewed
from opsroom.room.live_page import open_live
from opsroom.room.present import iso
from opsroom.room.present_workers import workers_values
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, refusal, signed_in

PACE_SECONDS = 1.0


class WorkersState(rx.State):
    """What the page shows. `here` are those that live or hold runs, `gone` the others of the last day."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    head: rx.Field[FleetHead] = rx.field(default_factory=FleetHead)
    here: rx.Field[list[WorkerView]] = rx.field(default_factory=list)
    gone: rx.Field[list[WorkerView]] = rx.field(default_factory=list)
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Show the fleet and keep it live."""
        async for step in open_live(self, _fleet(), WorkersState.load_again):
            yield step

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while, for as long as the page is open: nobody has to press a button."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return WorkersState.load

    @rx.event
    async def drain(self, worker_id: str) -> Any:
        """Give a worker no more runs."""
        try:
            sign_in = signed_in(self)
            worker = await sign_in.control_plane.drain_worker(worker_id)
            await renewed(sign_in, _fleet())  # workers ring no bell
            return rx.toast.success(f"{worker.name} gets no more runs")
        except OpsRoomError as error:
            return refusal(error)

    @rx.event
    async def resume(self, worker_id: str) -> Any:
        """Give it runs again."""
        try:
            sign_in = signed_in(self)
            worker = await sign_in.control_plane.resume_worker(worker_id)
            await renewed(sign_in, _fleet())  # workers ring no bell
            return rx.toast.success(f"{worker.name} gets runs again")
        except OpsRoomError as error:
            return refusal(error)


def _fleet() -> Subject:
    async def read(sign_in: SignIn) -> Picture:
        found = await sign_in.control_plane.read_workers()
        # Heartbeats ring no bell, so the page reads as often as a board with live runs.
        return Picture({**workers_values(found), "phase": "ready"}, as_of=iso(found.read_at), busy=True)

    return Subject("sessions", read, WorkersState, pace=PACE_SECONDS)


def _ready() -> rx.Component:
    state = WorkersState
    is_admin = Viewer.role == "admin"
    nobody = blank(
        "server-off",
        "No worker is online",
        "Runs wait until one is. `opsroom up` starts one here; docs/worker.md says how to run them elsewhere.",
    )
    return rx.fragment(
        fleet_head(state.head),
        rx.cond(
            state.here.length() > 0,
            worker_list(
                "Fleet",
                state.here.length(),
                rx.foreach(state.here, lambda worker: worker_row(worker, is_admin, state.drain, state.resume)),
            ),
            rx.el.div(nobody, class_name="panel"),
        ),
        rx.cond(
            state.gone.length() > 0,
            worker_list("Gone, in the last day", state.gone.length(), rx.foreach(state.gone, gone_row)),
        ),
    )


def workers() -> rx.Component:
    """The page."""
    state = WorkersState
    again = rx.el.button("Try again", type="button", class_name="btn", on_click=state.load)
    return page(
        rx.el.main(
            rx.el.header(rx.el.h1("Workers"), class_name="page-head"),
            rx.match(
                state.phase,
                ("ready", _ready()),
                ("problem", problem(state.problem_title, state.problem_text, "unplug", again)),
                workers_loading(),
            ),
            class_name="main main-wide",
            id="main",
            data_page="workers",
        ),
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        freshness=state.freshness,
        active="workers",
    )
