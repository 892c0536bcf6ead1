"""A run beside the board: which one a tab has open there, live, without leaving the board."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import reflex as rx

from opsroom.components.views import ArtifactView, Freshness, RunView, StepView
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import OpsRoomError
from opsroom.room import broadcast
from opsroom.room.live import Picture, Subject, unwatch, watch
from opsroom.room.present import iso, run_view
from opsroom.room.present_run import artifact_view, step_view, steps_note
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, refusal, signed_in


class PeekState(rx.State):
    """What is beside the board. `phase`: closed, loading, ready or problem."""

    opened: rx.Field[str] = rx.field("")
    phase: rx.Field[str] = rx.field("closed")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    run: rx.Field[RunView] = rx.field(default_factory=RunView)
    session: rx.Field[str] = rx.field("")
    steps_note: rx.Field[str] = rx.field("")
    steps: rx.Field[list[StepView]] = rx.field(default_factory=list)
    artifacts: rx.Field[list[ArtifactView]] = rx.field(default_factory=list)
    shown_artifact: rx.Field[str] = rx.field("")
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)
    _tab: str = ""

    def arrive(self, run_id: str) -> str:
        """The board is loaded, and its address names this run or none. Gives the run to `open` once the board is there:
        what the person has opened since they came goes before what the address names. The browser closes what is open
        when they leave, and what another page of the tab has left behind is not theirs.
        """
        tab = broadcast.tab_of(self)
        if self._tab != tab or (run_id and not self.opened):
            if self.opened != run_id:
                self.opened, self.phase = run_id, "loading" if run_id else "closed"
            self._tab = tab
        return self.opened

    @rx.event
    def go_on(self, run_id: str) -> Any:
        """Open a run, unless the person has opened another one or closed it meanwhile."""
        return PeekState.open(run_id) if self.opened == run_id else None

    @rx.event
    async def open(self, run_id: str) -> AsyncGenerator[Any, None]:
        """Open a run, in place of the one that is open. The tab joins first and gets the picture second."""
        tab = self._tab = broadcast.tab_of(self)
        try:
            sign_in = signed_in(self)
            if self.opened and self.opened != run_id:
                await unwatch(tab, sign_in, run_subject(self.opened))
            if self.opened != run_id or self.phase != "ready":
                self.phase, self.opened, self.shown_artifact = "loading", run_id, ""
                yield
            live = await watch(tab, sign_in, run_subject(run_id))
            for name, value in (await live.snapshot()).items():
                setattr(self, name, value)
            yield
            await live.show(tab)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                yield PeekState.open_again(run_id)

    @rx.event(background=True)
    async def open_again(self, run_id: str) -> Any:
        """Try once more after a while, if the run is still the open one."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        async with self:
            if self.opened == run_id and self.phase == "problem":
                return PeekState.open(run_id)

    @rx.event
    async def close(self) -> Any:
        """Put it away."""
        opened, self.opened, self.phase = self.opened, "", "closed"
        try:
            if opened:
                await unwatch(broadcast.tab_of(self), signed_in(self), run_subject(opened))
        except OpsRoomError as error:
            return refusal(error)

    @rx.event
    async def show_artifact(self, artifact_id: str) -> None:
        """Show an artifact, or put it away again. Its view asks for its bytes by itself, as the person who looks."""
        self.shown_artifact = "" if self.shown_artifact == artifact_id else artifact_id


def run_subject(run_id: str) -> Subject:
    """A run as it is shown beside the board."""

    async def read(sign_in: SignIn) -> Picture:
        detail = await sign_in.control_plane.read_run(run_id)
        values = {
            "opened": run_id,
            "phase": "ready",
            "run": run_view(detail.run),
            "session": detail.run.session_id,
            "steps_note": steps_note(detail),
            "steps": [step_view(step) for step in detail.steps],
            "artifacts": [artifact_view(item) for item in detail.artifacts],
        }
        return Picture(values, as_of=iso(detail.read_at), busy=detail.run.is_live)

    return Subject(f"run:{run_id}", read, PeekState)
