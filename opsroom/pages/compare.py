"""Two runs side by side, `/compare?left=…&right=…`. With one of them, or none, it asks for the other."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import blank, notice, problem
from opsroom.components.compare import candidates, chooser, pair_table, side_card, summary, text_pairs
from opsroom.components.compare_views import PairView, ReplayView, SectionView, SideView, TextView
from opsroom.components.library import page_head, table_loading
from opsroom.components.replay import verdict
from opsroom.components.run import box
from opsroom.components.shell import page, user_menu
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.comparison import side_by_side
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.control_plane.search import RunFilter
from opsroom.domain.errors import InvalidArgument, NotAuthenticated, OpsRoomError, RunNotFound
from opsroom.room.present_compare import compare_values, side
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, refusal, signed_in, to_sign_in

MOST_OFFERED = 12


class CompareState(rx.State):
    """What the page shows: two runs, or one and those to compare it with."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    asked_left: rx.Field[str] = rx.field("")
    asked_right: rx.Field[str] = rx.field("")
    left: rx.Field[SideView] = rx.field(default_factory=SideView)
    right: rx.Field[SideView] = rx.field(default_factory=SideView)
    replay: rx.Field[ReplayView] = rx.field(default_factory=ReplayView)
    sections: rx.Field[list[SectionView]] = rx.field(default_factory=list)
    given: rx.Field[list[TextView]] = rx.field(default_factory=list)
    steps: rx.Field[list[PairView]] = rx.field(default_factory=list)
    outputs: rx.Field[list[TextView]] = rx.field(default_factory=list)
    proofs: rx.Field[list[PairView]] = rx.field(default_factory=list)
    artifacts: rx.Field[list[PairView]] = rx.field(default_factory=list)
    artifact_texts: rx.Field[list[TextView]] = rx.field(default_factory=list)
    output_note: rx.Field[str] = rx.field("")
    offered: rx.Field[list[SideView]] = rx.field(default_factory=list)

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Read both runs, or what there is to choose from."""
        query = self.router.url.query_parameters
        asked = [str(query.get(name) or "").strip() for name in ("left", "right")]
        if asked != [self.asked_left, self.asked_right] or self.phase == "problem":
            self.phase = "loading"
            yield
        self.asked_left, self.asked_right = asked
        try:
            room = (await arrive(self)).control_plane
            if all(asked):
                found = await side_by_side(room, *[await _found(room, text) for text in asked])
                # To compare texts takes a while, in which the others' pages go on.
                for name, value in (await asyncio.to_thread(compare_values, found)).items():
                    setattr(self, name, value)
                self.phase = "ready"
            else:
                await self._offer(room)
                self.phase = "choose"
        except NotAuthenticated:
            yield to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                yield CompareState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return CompareState.load

    @rx.event
    def choose(self, form: dict[str, Any]) -> Any:
        """Compare the runs that were named."""
        try:
            signed_in(self)
        except OpsRoomError as error:
            return refusal(error)
        left, right = (quote(str(form.get(name) or "").strip(), safe="") for name in ("left", "right"))
        return rx.redirect(f"/compare?left={left}&right={right}")

    async def _offer(self, room: ControlPlane) -> None:
        """The latest runs of the template of the one that was named, or of all."""
        one = self.asked_left or self.asked_right
        self.left, template = SideView(), None
        if one:
            run = (await room.read_run(await _found(room, one))).run
            self.left, template = side(run), run.template_slug
            self.asked_left, self.asked_right = run.id, ""
        runs = await room.runs(RunFilter(template=template, limit=MOST_OFFERED + 1))
        self.offered = [side(run) for run in runs if run.id != self.left.id][:MOST_OFFERED] if one else []


async def _found(room: ControlPlane, text: str) -> str:
    """The run that an id, or the first digits of one, name."""
    found = await room.runs(RunFilter(id_prefix=text, limit=3))
    if not found:
        raise RunNotFound(f"There is no run {text[:40]!r}.", hint="Its page shows its id.")
    only, *others = found
    if others:
        raise InvalidArgument(f"{text[:40]!r} is the beginning of several runs' ids.", hint="Give more digits.")
    return only.id


def _ready() -> rx.Component:
    state = CompareState
    live = state.left.live | state.right.live
    return rx.fragment(
        rx.el.div(
            side_card(state.left, "Left"), side_card(state.right, "Right"), class_name="compare-sides", id="sides"
        ),
        rx.cond(state.replay.of_href, verdict(state.replay, with_link=False)),
        rx.cond(live, notice("info", "A run is still going on.", "This is how far it was when the page was opened.")),
        summary(state.sections),
        rx.el.div(box("Given", text_pairs(state.given)), id="given"),
        rx.el.div(box("Steps", pair_table(state.steps, "Step")), id="steps"),
        rx.el.div(
            box(
                "Output",
                rx.cond(
                    state.outputs.length() > 0,
                    text_pairs(state.outputs),
                    rx.cond(
                        state.output_note,
                        rx.fragment(),
                        rx.el.p("Neither run printed anything.", class_name="box-body faint"),
                    ),
                ),
                rx.cond(state.output_note, rx.el.p(state.output_note, class_name="box-body muted")),
            ),
            id="output",
        ),
        rx.cond(state.proofs.length() > 0, rx.el.div(box("Proofs", pair_table(state.proofs, "Proof")), id="proofs")),
        rx.cond(
            state.artifacts.length() > 0,
            rx.el.div(
                box("Artifacts", pair_table(state.artifacts, "Artifact"), text_pairs(state.artifact_texts)),
                id="artifacts",
            ),
        ),
    )


def _choose() -> rx.Component:
    state = CompareState
    return rx.fragment(
        rx.cond(state.left.id, rx.el.div(side_card(state.left, "Left"), class_name="compare-sides")),
        chooser(state.asked_left, state.asked_right, state.choose),
        rx.cond(
            state.offered.length() > 0,
            box("Or one of the latest runs of this template", candidates(state.offered, state.left.id)),
            rx.el.div(
                blank(
                    "git-compare",
                    rx.cond(state.left.id, "There is no other run of this template", "Choose two runs"),
                    "Give the ids of two runs. Any two can be compared, also of different templates.",
                    nav_link("Runs", to="/runs", class_name="btn"),
                ),
                class_name="panel",
            ),
        ),
    )


def compare() -> rx.Component:
    """The page."""
    state = CompareState
    swap = rx.cond(
        state.phase == "ready",
        rx.fragment(
            nav_link(
                rx.icon("arrow-left-right", size=14, aria_hidden=True),
                "Swap sides",
                to=f"/compare?left={state.right.id}&right={state.left.id}",
                class_name="btn",
            ),
            nav_link(
                rx.icon("replace", size=14, aria_hidden=True),
                "Another run",
                to=f"/compare?left={state.left.id}",
                class_name="btn",
                title="Compare the left run with another one",
            ),
        ),
    )
    back = nav_link("Compare other runs", to="/compare", class_name="btn")
    return page(
        rx.el.main(
            page_head("Compare runs", "What two runs were given, did, said and left. Durations do not count.", swap),
            rx.match(
                state.phase,
                ("ready", _ready()),
                ("choose", _choose()),
                ("problem", problem(state.problem_title, state.problem_text, "git-compare", back)),
                table_loading(),
            ),
            class_name="main compare",
            id="main",
        ),
        active="runs",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        crumbs=(
            nav_link("Runs", to="/runs"),
            rx.icon("chevron-right", size=14, aria_hidden=True),
            rx.el.span("Compare", class_name="cut"),
        ),
    )
