"""A run, `/runs/<id>`: its states, steps, log, artifacts and story, and what can be done about it, live."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.address import phase_at
from opsroom.components.basics import notice, problem
from opsroom.components.browser import seen_mark
from opsroom.components.cards import cancel_button
from opsroom.components.compare_views import ReplayRow, ReplayView
from opsroom.components.replay import replay_list, verdict
from opsroom.components.run import again_button, artifact_row, box, facts_list, run_loading
from opsroom.components.run_browser import artifact_viewer, log_view, steps_view
from opsroom.components.run_head import run_head, run_notices
from opsroom.components.run_story import attempt_chain, deed_list, evidence, proof_list
from opsroom.components.run_views import AttemptView, DeedView, GraphView, ProofView, RunActs
from opsroom.components.shell import page, user_menu
from opsroom.components.views import ArtifactView, Freshness, PhaseView, RunView, StepView
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Run
from opsroom.domain.errors import OpsRoomError
from opsroom.room.live import Picture, Subject
from opsroom.room.live_page import open_live
from opsroom.room.present import iso
from opsroom.room.present_run import run_values
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, NEEDS_OPERATOR, Viewer, refusal, signed_in


class RunState(rx.State):
    """What a run's page shows. `asked` is the command that is under way and has no answer yet."""

    address: rx.Field[str] = rx.field("")
    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    shown: rx.Field[str] = rx.field("")
    run: rx.Field[RunView] = rx.field(default_factory=RunView)
    session: rx.Field[str] = rx.field("")
    launched_by: rx.Field[str] = rx.field("")
    phases: rx.Field[list[PhaseView]] = rx.field(default_factory=list)
    steps_note: rx.Field[str] = rx.field("")
    steps: rx.Field[list[StepView]] = rx.field(default_factory=list)
    graph: rx.Field[GraphView] = rx.field(default_factory=GraphView)
    artifacts: rx.Field[list[ArtifactView]] = rx.field(default_factory=list)
    attempts: rx.Field[list[AttemptView]] = rx.field(default_factory=list)
    deeds: rx.Field[list[DeedView]] = rx.field(default_factory=list)
    proofs: rx.Field[list[ProofView]] = rx.field(default_factory=list)
    acts: rx.Field[RunActs] = rx.field(default_factory=RunActs)
    replay: rx.Field[ReplayView] = rx.field(default_factory=ReplayView)
    replays: rx.Field[list[ReplayRow]] = rx.field(default_factory=list)
    params: rx.Field[str] = rx.field("")
    facts: rx.Field[list[tuple[str, str]]] = rx.field(default_factory=list)
    held: rx.Field[str] = rx.field("")
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)
    opened: rx.Field[str] = rx.field("")
    asked: rx.Field[str] = rx.field("")

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Show the run and keep it live. The tab joins first and gets the picture second."""
        wanted = self.router.url.path.strip("/").split("/")[-1]
        self.address = self.router.url.path
        if wanted != self.shown:
            self.phase, self.asked = "loading", ""
            self.opened = str(self.router.url.query_parameters.get("artifact") or "")
        async for step in open_live(self, _run(wanted), RunState.load_again):
            yield step

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while, for as long as the page is open: nobody has to press a button."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return RunState.load

    @rx.event
    async def cancel(self, run_id: str, reason: str) -> Any:
        """Ask for the run's end."""
        return await self._ask(lambda room: room.cancel_run(run_id, reason.strip() or None))

    @rx.event
    async def see(self, run_id: str) -> None:
        """The person has looked at the result: it needs them no more. Refused silently: nothing was asked for."""
        with contextlib.suppress(OpsRoomError):
            await signed_in(self).control_plane.mark_seen([run_id])

    @rx.event
    async def force(self, run_id: str, reason: str) -> Any:
        """End the run without its worker."""
        return await self._ask(lambda room: room.cancel_run(run_id, reason.strip() or None, force=True))

    @rx.event
    async def retry(self, resume: bool) -> AsyncGenerator[Any, None]:
        """Queue the next attempt, from the start or after the steps that succeeded, and go there."""
        async for step in self._go_to(
            "resume" if resume else "retry", lambda room: room.retry_run(self.shown, resume=resume)
        ):
            yield step

    @rx.event
    async def replay_it(self) -> AsyncGenerator[Any, None]:
        """Run the same again, to be compared with this one, and go there."""
        async for step in self._go_to("replay", lambda room: room.replay_run(self.shown)):
            yield step

    @rx.event
    def show_artifact(self, artifact_id: str) -> None:
        """Show an artifact below the log, or close it again. Its view asks for the bytes by itself."""
        self.opened = "" if self.opened == artifact_id else artifact_id

    @rx.event
    def close_artifact(self) -> None:
        """Close the artifact that is shown."""
        self.opened = ""

    async def _go_to(self, name: str, command: Callable[[ControlPlane], Awaitable[Run]]) -> AsyncGenerator[Any, None]:
        self.asked = name
        yield
        try:
            made = await command(signed_in(self).control_plane)
            yield rx.redirect(f"/runs/{made.id}")
        except OpsRoomError as error:
            yield refusal(error)
        finally:
            self.asked = ""

    async def _ask(self, command: Callable[[ControlPlane], Awaitable[object]]) -> Any:
        try:
            await command(signed_in(self).control_plane)
        except OpsRoomError as error:
            return refusal(error)


def _run(run_id: str) -> Subject:
    async def read(sign_in: SignIn) -> Picture:
        detail = await sign_in.control_plane.read_run(run_id)
        values = {**run_values(detail), "shown": run_id, "phase": "ready"}
        return Picture(values, as_of=iso(detail.read_at), busy=detail.run.is_live)

    return Subject(f"run:{run_id}", read, RunState)


def _again(label: str, icon: str, title: Any, name: str) -> rx.Component:
    may = Viewer.may_operate
    press = RunState.replay_it if name == "replay" else RunState.retry(name == "resume")
    hint = rx.cond(may, title, NEEDS_OPERATOR)
    return again_button(label, icon, title=hint, asked=RunState.asked, name=name, may=may, press=press)


def _actions() -> list[rx.Component]:
    run, acts, may = RunState.run, RunState.acts, Viewer.may_operate
    rerun = rx.cond(
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
    later_attempt = nav_link(
        "Next attempt", rx.icon("arrow-right", size=14, aria_hidden=True), to=acts.next, class_name="btn btn-primary"
    )
    return [
        rx.cond(run.live, cancel_button(run, RunState.cancel, may, small=False)),
        rx.cond(
            acts.resume,
            _again("Resume", "redo-dot", f"A next attempt that goes on at “{acts.resume}”", "resume"),
        ),
        rx.cond(
            ~run.live & (run.status != "succeeded") & (acts.next == ""),
            _again("Retry", "rotate-cw", "The next attempt of this run, with the same params", "retry"),
        ),
        rx.cond(
            acts.replay,
            _again("Replay", "repeat", "The same template version and params again, compared with this run", "replay"),
        ),
        rerun,
        nav_link(
            rx.icon("git-compare", size=14, aria_hidden=True),
            "Compare",
            to=acts.compare,
            class_name="btn",
            title="Side by side with another run",
        ),
        rx.cond(acts.next, later_attempt),
    ]


def _side() -> rx.Component:
    run = RunState.run
    none_yet = rx.cond(run.live, "None yet. They appear as steps end.", "This run left none.")
    return rx.el.div(
        box(
            "Artifacts",
            rx.cond(
                RunState.artifacts.length() > 0,
                rx.el.ul(
                    rx.foreach(
                        RunState.artifacts, lambda item: artifact_row(item, RunState.opened, RunState.show_artifact)
                    )
                ),
                rx.el.p(none_yet, class_name="box-body faint"),
            ),
        ),
        rx.cond(RunState.proofs.length() > 0, box("Proofs", proof_list(RunState.proofs))),
        rx.cond(RunState.acts.bundle, box("Evidence", evidence(RunState.acts))),
        rx.cond(RunState.attempts.length() > 0, box("Attempts", attempt_chain(RunState.attempts))),
        rx.cond(RunState.replays.length() > 0, box("Replays", replay_list(RunState.replays))),
        box("Who did what", deed_list(RunState.deeds)),
        rx.cond(
            RunState.params,
            box("Parameters", rx.el.pre(RunState.params, class_name="mono box-body params", tab_index=0)),
        ),
        box("Facts", facts_list(RunState.facts)),
        class_name="run-side",
    )


def _ready() -> rx.Component:
    run = RunState.run
    return rx.fragment(
        seen_mark(run=run.id, due=~run.live & ~run.seen, on_seen=RunState.see),
        run_head(run, _actions(), RunState.phases, RunState.launched_by),
        run_notices(run, RunState.force, Viewer.may_operate),
        rx.cond(RunState.held, rx.el.div(notice("info", RunState.held), class_name="run-message")),
        rx.cond(RunState.replay.of_href, verdict(RunState.replay)),
        steps_view(
            steps=RunState.steps, graph=RunState.graph, note=RunState.steps_note, live=run.live, key=RunState.shown
        ),
        rx.el.div(
            rx.el.div(
                log_view(src=f"/api/runs/{RunState.shown}/log", live=run.live, linked=True, key=RunState.shown),
                rx.cond(
                    RunState.opened,
                    artifact_viewer(
                        src=f"/api/runs/{RunState.shown}/artifacts/{RunState.opened}",
                        in_place=True,
                        on_close=RunState.close_artifact,
                        key=RunState.opened,
                    ),
                ),
                class_name="run-main",
            ),
            _side(),
            class_name="run-grid",
        ),
    )


def run() -> rx.Component:
    """The page."""
    to_board = nav_link("Go to the board", to="/", class_name="btn")
    phase = phase_at(RunState.address, RunState.phase)
    return page(
        rx.el.main(
            rx.match(
                phase,
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
            nav_link("Board", to=rx.cond(RunState.session, f"/sessions/{RunState.session}", "/")),
            rx.icon("chevron-right", size=14, aria_hidden=True),
            rx.el.span(
                rx.match(phase, ("problem", "No such run"), ("ready", RunState.run.title), ""), class_name="cut"
            ),
        ),
    )
