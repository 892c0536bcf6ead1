"""One artifact, `/runs/<id>/artifacts/<artifact id>`: shown as its kind asks. It never changes, so it is read once."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import problem
from opsroom.components.run import run_loading
from opsroom.components.run_browser import artifact_viewer
from opsroom.components.shell import page, user_menu
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, to_sign_in


class ArtifactState(rx.State):
    """Which artifact of which run is shown."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    run_id: rx.Field[str] = rx.field("")
    run_title: rx.Field[str] = rx.field("")
    session: rx.Field[str] = rx.field("")
    artifact_id: rx.Field[str] = rx.field("")
    name: rx.Field[str] = rx.field("")

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Find the artifact; its view asks for the bytes by itself, as the person who looks."""
        _, run_id, _, artifact_id = self.router.url.path.strip("/").split("/")[:4]
        if artifact_id != self.artifact_id:
            self.phase = "loading"
        try:
            sign_in = await arrive(self)
            yield
            detail = await sign_in.control_plane.read_run(run_id)
            found = next((item for item in detail.artifacts if item.id == artifact_id), None)
            self.run_id, self.run_title, self.session = run_id, detail.run.title, detail.run.session_id
            if found is None:
                self.phase, self.problem_title = "problem", "This run has no such artifact."
                self.problem_text = "Its page lists what it left."
            else:
                self.artifact_id, self.name, self.phase = artifact_id, found.name, "ready"
        except NotAuthenticated:
            yield to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                yield ArtifactState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while, for as long as the page is open."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return ArtifactState.load


def artifact() -> rx.Component:
    """The page."""
    to_run = rx.cond(
        ArtifactState.run_id,
        nav_link("Go to the run", to=f"/runs/{ArtifactState.run_id}", class_name="btn"),
        nav_link("Go to the board", to="/", class_name="btn"),
    )
    return page(
        rx.el.main(
            rx.el.h1(ArtifactState.name, class_name="visually-hidden"),
            rx.match(
                ArtifactState.phase,
                (
                    "ready",
                    artifact_viewer(
                        src=f"/api/runs/{ArtifactState.run_id}/artifacts/{ArtifactState.artifact_id}",
                        key=ArtifactState.artifact_id,
                    ),
                ),
                ("problem", problem(ArtifactState.problem_title, ArtifactState.problem_text, "file-x", to_run)),
                run_loading(),
            ),
            class_name="main main-wide",
            id="main",
        ),
        active="runs",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        crumbs=(
            nav_link("Board", to=f"/sessions/{ArtifactState.session}"),
            rx.icon("chevron-right", size=14, aria_hidden=True),
            nav_link(ArtifactState.run_title, to=f"/runs/{ArtifactState.run_id}", class_name="cut"),
            rx.icon("chevron-right", size=14, aria_hidden=True),
            rx.el.span(ArtifactState.name, class_name="cut"),
        ),
    )
