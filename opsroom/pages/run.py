"""A run, `/runs/<id>`: its states, steps, log, artifacts, and what can be done about it, live."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice, problem
from opsroom.components.board import cancel_button
from opsroom.components.browser import log_view
from opsroom.components.run import (
    artifact_row,
    attempt_link,
    box,
    facts_list,
    run_head,
    run_loading,
    step_row,
    timeline,
)
from opsroom.components.shell import page, user_menu
from opsroom.components.views import ArtifactView, AttemptView, Freshness, PhaseView, RunView, StepView
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.room import broadcast
from opsroom.room.live import Picture, Subject, watch
from opsroom.room.present import iso
from opsroom.room.present_run import run_values
from opsroom.room.preview import preview
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, NEEDS_OPERATOR, Viewer, arrive, refusal, signed_in, to_sign_in


class RunState(rx.State):
    """What a run's page shows."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    shown: rx.Field[str] = rx.field("")
    run: rx.Field[RunView] = rx.field(default_factory=RunView)
    session: rx.Field[str] = rx.field("")
    phases: rx.Field[list[PhaseView]] = rx.field(default_factory=list)
    steps_note: rx.Field[str] = rx.field("")
    steps: rx.Field[list[StepView]] = rx.field(default_factory=list)
    artifacts: rx.Field[list[ArtifactView]] = rx.field(default_factory=list)
    attempts: rx.Field[list[AttemptView]] = rx.field(default_factory=list)
    params: rx.Field[str] = rx.field("")
    facts: rx.Field[list[tuple[str, str]]] = rx.field(default_factory=list)
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)
    opened: rx.Field[str] = rx.field("")
    opened_name: rx.Field[str] = rx.field("")
    opened_html: rx.Field[str] = rx.field("")

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Show the run and keep it live. The tab joins first and gets the picture second."""
        try:
            wanted = self.router.url.path.strip("/").split("/")[-1]
            if wanted != self.shown:
                self.phase, self.opened = "loading", ""
            sign_in = await arrive(self)
            yield
            tab = broadcast.tab_of(self)
            live = await watch(tab, sign_in, _run(wanted))
            for name, value in (await live.snapshot()).items():
                setattr(self, name, value)
            yield
            await live.show(tab)
        except NotAuthenticated:
            yield to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                yield RunState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while, for as long as the page is open: nobody has to press a button."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return RunState.load

    @rx.event
    async def cancel(self, run_id: str, reason: str) -> Any:
        """Ask for the run's end."""
        try:
            await signed_in(self).control_plane.cancel_run(run_id, reason.strip() or None)
        except OpsRoomError as error:
            return refusal(error)

    @rx.event
    async def retry(self) -> Any:
        """Queue the next attempt, and go there."""
        try:
            successor = await signed_in(self).control_plane.retry_run(self.shown)
            return rx.redirect(f"/runs/{successor.id}")
        except OpsRoomError as error:
            return refusal(error)

    @rx.event
    async def show_artifact(self, artifact_id: str) -> Any:
        """Show a small artifact below the log, or close it again."""
        if self.opened == artifact_id:
            self.opened = self.opened_html = ""
            return None
        try:
            room = signed_in(self).control_plane
            detail = await room.read_run(self.shown)
            found = next((item for item in detail.artifacts if item.id == artifact_id), None)
            if found is not None:
                self.opened_html = await preview(room, found)
                self.opened, self.opened_name = artifact_id, found.name
        except OpsRoomError as error:
            return refusal(error)


def _run(run_id: str) -> Subject:
    async def read(sign_in: SignIn) -> Picture:
        detail = await sign_in.control_plane.read_run(run_id)
        values = {**run_values(detail), "shown": run_id, "phase": "ready"}
        return Picture(values, as_of=iso(detail.read_at), busy=detail.run.is_live)

    return Subject(f"run:{run_id}", read, RunState)


def _actions() -> list[rx.Component]:
    run, may = RunState.run, Viewer.may_operate
    again = rx.cond(
        may,
        nav_link(
            rx.icon("play", size=14, aria_hidden=True),
            "Run again",
            to=f"/sessions/{RunState.session}/launch?rerun={run.id}",
            class_name="btn",
            title="A new run with these params, which can be changed first",
        ),
        rx.el.button("Run again", type="button", disabled=True, class_name="btn", title=NEEDS_OPERATOR),
    )
    retry = rx.el.button(
        rx.icon("rotate-cw", size=14, aria_hidden=True),
        "Retry",
        type="button",
        class_name="btn",
        disabled=~may,
        title=rx.cond(may, "The next attempt of this run, with the same params", NEEDS_OPERATOR),
        on_click=RunState.retry,
    )
    return [
        rx.cond(run.live, cancel_button(run, RunState.cancel, may, small=False)),
        rx.cond(~run.live & (run.status != "succeeded"), retry),
        again,
    ]


def _ready() -> rx.Component:
    run = RunState.run
    none_yet = rx.cond(run.live, "None yet. They appear as steps end.", "This run left none.")
    return rx.fragment(
        run_head(run, _actions()),
        rx.cond(
            run.message,
            rx.el.div(notice("failed", run.message), class_name="run-message", hidden=run.status == "succeeded"),
        ),
        timeline(RunState.phases, run),
        rx.el.div(
            rx.el.div(
                box(
                    "Steps",
                    rx.el.ol(rx.foreach(RunState.steps, step_row)),
                    aside=rx.el.span(RunState.steps_note, class_name="faint num"),
                ),
                box(
                    "Artifacts",
                    rx.cond(
                        RunState.artifacts.length() > 0,
                        rx.el.ul(
                            rx.foreach(
                                RunState.artifacts,
                                lambda item: artifact_row(item, RunState.opened, RunState.show_artifact),
                            )
                        ),
                        rx.el.p(none_yet, class_name="box-body faint"),
                    ),
                ),
                rx.cond(
                    RunState.attempts.length() > 0,
                    box(
                        "Attempts",
                        rx.el.div(
                            rx.foreach(RunState.attempts, attempt_link),
                            class_name="row box-body",
                            style={"flexWrap": "wrap"},
                        ),
                    ),
                ),
                rx.cond(
                    RunState.params,
                    box(
                        "Parameters",
                        rx.el.pre(
                            RunState.params,
                            class_name="mono box-body",
                            style={"whiteSpace": "pre-wrap", "overflowWrap": "anywhere"},
                        ),
                    ),
                ),
                box("Facts", facts_list(RunState.facts)),
                class_name="run-side",
            ),
            rx.el.div(
                log_view(src=f"/api/runs/{RunState.shown}/log", live=run.live, key=RunState.shown),
                rx.cond(
                    RunState.opened,
                    rx.el.section(
                        rx.el.header(
                            rx.el.h2(RunState.opened_name),
                            rx.el.button(
                                rx.icon("x", size=15, aria_hidden=True),
                                type="button",
                                class_name="btn btn-ghost btn-small btn-icon",
                                aria_label="Close",
                                on_click=RunState.show_artifact(RunState.opened),
                            ),
                            class_name="box-head",
                        ),
                        rx.html(RunState.opened_html, class_name="preview"),
                        class_name="panel",
                        aria_label="Artifact",
                    ),
                ),
                class_name="run-main",
            ),
            class_name="run-grid",
        ),
    )


def run() -> rx.Component:
    """The page."""
    to_board = nav_link("Go to the board", to="/", class_name="btn")
    return page(
        rx.el.main(
            rx.match(
                RunState.phase,
                ("ready", _ready()),
                ("problem", problem(RunState.problem_title, RunState.problem_text, "unplug", to_board)),
                run_loading(),
            ),
            class_name="main main-wide",
            id="main",
        ),
        active="runs",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        freshness=RunState.freshness,
        crumbs=(
            nav_link("Board", to=f"/sessions/{RunState.session}"),
            rx.icon("chevron-right", size=14, aria_hidden=True),
            rx.el.span(RunState.run.title, class_name="cut"),
        ),
    )
