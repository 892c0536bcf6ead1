"""The runboard, `/` and `/sessions/<id>`: the sessions, the lanes of the selected one, a run beside them, live."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import reflex as rx

from opsroom.components.address import at, phase_at
from opsroom.components.basics import problem
from opsroom.components.board import Actions, LaneVars, lane
from opsroom.components.board_head import SessionActions, board_empty, board_head, board_loading, board_notices
from opsroom.components.browser import board_keys
from opsroom.components.fleet import fleet_strip
from opsroom.components.peek import PeekActions, PeekVars, peek
from opsroom.components.sessions import SidebarVars, create_dialog, sidebar
from opsroom.components.shell import page, user_menu
from opsroom.components.views import BoardHead, DoneCard, Freshness, LaneCard, QueueCard, RunView
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.room import broadcast
from opsroom.room.board_commands import BoardCommands
from opsroom.room.fleet import FleetState, fleet_subject
from opsroom.room.live import Live, Picture, Subject, watch
from opsroom.room.peek import PeekState
from opsroom.room.present import board_values, iso, pick
from opsroom.room.session_list import SessionList, session_list
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, refusal, signed_in, to_sign_in

LANES = ("A", "B", "C", "D")


class BoardState(BoardCommands, rx.State):
    """What the runboard shows, at `address`. `phase`: loading, ready, empty (no session yet) or problem."""

    address: rx.Field[str] = rx.field("")
    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    head: rx.Field[BoardHead] = rx.field(default_factory=BoardHead)
    lane_a: rx.Field[LaneCard] = rx.field(default_factory=lambda: LaneCard(letter="A"))
    active_a: rx.Field[list[RunView]] = rx.field(default_factory=list)
    queue_a: rx.Field[list[QueueCard]] = rx.field(default_factory=list)
    finished_a: rx.Field[list[DoneCard]] = rx.field(default_factory=list)
    lane_b: rx.Field[LaneCard] = rx.field(default_factory=lambda: LaneCard(letter="B"))
    active_b: rx.Field[list[RunView]] = rx.field(default_factory=list)
    queue_b: rx.Field[list[QueueCard]] = rx.field(default_factory=list)
    finished_b: rx.Field[list[DoneCard]] = rx.field(default_factory=list)
    lane_c: rx.Field[LaneCard] = rx.field(default_factory=lambda: LaneCard(letter="C"))
    active_c: rx.Field[list[RunView]] = rx.field(default_factory=list)
    queue_c: rx.Field[list[QueueCard]] = rx.field(default_factory=list)
    finished_c: rx.Field[list[DoneCard]] = rx.field(default_factory=list)
    lane_d: rx.Field[LaneCard] = rx.field(default_factory=lambda: LaneCard(letter="D"))
    active_d: rx.Field[list[RunView]] = rx.field(default_factory=list)
    queue_d: rx.Field[list[QueueCard]] = rx.field(default_factory=list)
    finished_d: rx.Field[list[DoneCard]] = rx.field(default_factory=list)
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)
    creating: rx.Field[bool] = rx.field(False)
    create_error: rx.Field[str] = rx.field("")
    _create_key: str = ""

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Show the sessions and the selected board, live. The tab joins first and gets the picture second. What a
        person opens beside it meanwhile stays open.
        """
        address = self.router.url.path
        if address != self.address:
            self.address, self.phase = address, "loading"
        self.freshness = Freshness()
        beside = await self.get_state(PeekState)
        opened = beside.arrive(self.router.url.query_parameters.get("run", ""))
        try:
            sign_in = await arrive(self)
            yield
            tab = broadcast.tab_of(self)
            sessions = await watch(tab, sign_in, session_list())
            wanted = self._wanted(await sessions.snapshot())
            if wanted != self.selected or not wanted:
                self.phase, self.selected = "loading" if wanted else "empty", wanted
            yield
            live: list[Live] = [sessions, await watch(tab, sign_in, fleet_subject())]
            if wanted:
                board = await watch(tab, sign_in, _board(wanted))
                live.append(board)
                self._take(await board.snapshot())
                self.phase = "ready"
                yield
            for view in live:
                await view.show(tab)
            if opened:
                yield PeekState.go_on(opened)
        except NotAuthenticated:
            yield to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                yield BoardState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while, for as long as the page is open: nobody has to press a button."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return BoardState.load

    def _wanted(self, sessions: dict[str, Any]) -> str:
        path = self.router.url.path.strip("/").split("/")
        if len(path) == 2 and path[0] == "sessions":
            return path[1]
        return pick(sessions)

    def _take(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    @rx.event
    def open_create(self) -> None:
        """Ask for a new session's title and intent."""
        self.creating, self.create_error, self._create_key = True, "", str(uuid.uuid4())

    @rx.event
    def close_create(self) -> None:
        """Not after all."""
        self.creating = False

    @rx.event
    async def create(self, form: dict[str, Any]) -> Any:
        """Create a session and go to it."""
        title = str(form.get("title") or "").strip()
        if not title:
            self.create_error = "Give the session a title."
            return None
        try:
            session = await signed_in(self).control_plane.create_session(
                title, str(form.get("intent") or "").strip(), idempotency_key=self._create_key or None
            )
        except NotAuthenticated as error:
            return refusal(error)
        except OpsRoomError as error:
            self.create_error = f"{error.message} {error.hint or ''}".strip()
            return None
        self.creating = False
        return rx.redirect(f"/sessions/{session.id}")

    @classmethod
    def subject(cls, session_id: str) -> Subject:
        """The board of a session."""
        return _board(session_id)


def _board(session_id: str) -> Subject:
    async def read(sign_in: SignIn, lanes: frozenset[str] | None = None) -> Picture:
        board = await sign_in.control_plane.read_board(session_id, lanes)
        busy = any(lane.active for lane in board.lanes)
        return Picture(values={**board_values(board), "phase": "ready"}, as_of=iso(board.read_at), busy=busy)

    return Subject(f"session:{session_id}", read, BoardState, read_lanes=read)


def _sidebar() -> rx.Component:
    sessions = SessionList
    shown = SidebarVars(
        listed=sessions.listed,
        none=BoardState.phase == "empty",
        groups={"Needs you": sessions.needs_you, "Working": sessions.working, "Done": sessions.done},
        show_archived=sessions.show_archived,
        archived=sessions.archived,
        selected=BoardState.selected,
        query=sessions.query,
    )
    return sidebar(shown, Viewer.may_operate, BoardState.open_create, sessions.search, sessions.toggle_archived)


def _lane(letter: str) -> LaneVars:
    return LaneVars(*(getattr(BoardState, f"{what}_{letter}") for what in ("lane", "active", "queue", "finished")))


def _ready() -> rx.Component:
    head, may = BoardState.head, Viewer.may_operate
    launch = rx.Var.create(f"/sessions/{head.id}/launch")
    on_session = SessionActions(
        archive=BoardState.archive,
        reopen=BoardState.reopen,
        pause=BoardState.pause,
        resume=BoardState.resume,
        see_all=BoardState.see_all,
    )
    on_runs = Actions(
        cancel=BoardState.cancel,
        force=BoardState.force,
        retry=BoardState.retry,
        place=BoardState.place,
        open=PeekState.open,
        pause_lane=BoardState.pause_lane,
        size_lane=BoardState.size_lane,
    )
    return rx.fragment(
        board_head(head, launch, may, on_session),
        board_notices(head, SessionList.needs_you, may, on_session),
        rx.el.div(
            *(
                lane(
                    _lane(letter.lower()),
                    letter,
                    launch_href=launch,
                    allowed=may & ~head.archived,
                    peek=PeekState.opened,
                    act=on_runs,
                )
                for letter in LANES
            ),
            class_name="lanes",
        ),
    )


def _peek_phase() -> rx.Var[str]:
    return rx.cond(at(BoardState.address), PeekState.phase, "closed")


def _peek() -> rx.Component:
    shown = PeekVars(
        phase=_peek_phase(),
        problem=(PeekState.problem_title, PeekState.problem_text),
        run=PeekState.run,
        steps=PeekState.steps,
        steps_note=PeekState.steps_note,
        artifacts=PeekState.artifacts,
        shown_artifact=PeekState.shown_artifact,
    )
    act = PeekActions(
        close=PeekState.close,
        cancel=BoardState.cancel,
        force=BoardState.force,
        retry=BoardState.retry,
        see=BoardState.see,
        show_artifact=PeekState.show_artifact,
    )
    return peek(shown, Viewer.may_operate, act)


def board() -> rx.Component:
    """The page."""
    retry = rx.el.button("Try again", type="button", class_name="btn", on_click=BoardState.load)
    phase = phase_at(BoardState.address, BoardState.phase)
    return page(
        rx.el.div(
            _sidebar(),
            rx.el.main(
                rx.el.div(
                    fleet_strip(FleetState.fleet),
                    board_keys(
                        peek=rx.cond(at(BoardState.address), PeekState.opened, ""),
                        as_of=BoardState.freshness.as_of,
                        on_open=PeekState.open,
                        on_close=PeekState.close,
                    ),
                    class_name="fleet-row",
                ),
                rx.match(
                    phase,
                    ("ready", _ready()),
                    ("empty", board_empty(Viewer.may_operate, BoardState.open_create)),
                    ("problem", problem(BoardState.problem_title, BoardState.problem_text, "unplug", retry)),
                    board_loading(LANES),
                ),
                class_name="main",
                id="main",
            ),
            _peek(),
            create_dialog(BoardState.creating, BoardState.create_error, BoardState.close_create, BoardState.create),
            class_name="body",
            data_peek=(_peek_phase() != "closed").to_string(),
        ),
        active="board",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        freshness=rx.cond(phase == "ready", BoardState.freshness, SessionList.list_freshness),
        menu=True,
    )
