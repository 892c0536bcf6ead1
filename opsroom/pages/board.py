"""The runboard, `/` and `/sessions/<id>`: the sessions, and the four lanes of the selected one, live."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import reflex as rx

from opsroom.components.basics import blank, notice, problem
from opsroom.components.board import lane
from opsroom.components.board_head import board_head, board_loading
from opsroom.components.sessions import create_dialog, session_group, session_skeletons, sidebar_head
from opsroom.components.shell import page, user_menu
from opsroom.components.views import BoardHead, Freshness, LaneCard, SessionItem
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.room import broadcast
from opsroom.room.live import Live, Picture, Subject, watch
from opsroom.room.present import board_values, grouped, iso, pick
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, refusal, signed_in, to_sign_in

LANES = ("A", "B", "C", "D")


class BoardState(rx.State):
    """What the runboard shows. `phase`: loading, ready, empty (no session yet) or problem."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    selected: rx.Field[str] = rx.field("")
    needs_you: rx.Field[list[SessionItem]] = rx.field(default_factory=list)
    working: rx.Field[list[SessionItem]] = rx.field(default_factory=list)
    quiet: rx.Field[list[SessionItem]] = rx.field(default_factory=list)
    listed: rx.Field[bool] = rx.field(False)
    list_freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)
    query: rx.Field[str] = rx.field("")
    show_archived: rx.Field[bool] = rx.field(False)
    archived: rx.Field[list[SessionItem]] = rx.field(default_factory=list)
    head: rx.Field[BoardHead] = rx.field(default_factory=BoardHead)
    lane_a: rx.Field[LaneCard] = rx.field(default_factory=lambda: LaneCard(letter="A"))
    lane_b: rx.Field[LaneCard] = rx.field(default_factory=lambda: LaneCard(letter="B"))
    lane_c: rx.Field[LaneCard] = rx.field(default_factory=lambda: LaneCard(letter="C"))
    lane_d: rx.Field[LaneCard] = rx.field(default_factory=lambda: LaneCard(letter="D"))
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)
    creating: rx.Field[bool] = rx.field(False)
    create_error: rx.Field[str] = rx.field("")
    _create_key: str = ""

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Show the sessions and the selected board, live. The tab joins first and gets the picture second."""
        try:
            sign_in = await arrive(self)
            tab = broadcast.tab_of(self)
            sessions = await watch(tab, sign_in, _sessions())
            self._take(await sessions.snapshot())
            self.listed = True
            wanted = self._wanted()
            if wanted != self.selected or not wanted:
                self.phase, self.selected = "loading" if wanted else "empty", wanted
            yield
            live: list[Live] = [sessions]
            if wanted:
                board = await watch(tab, sign_in, _board(wanted))
                live.append(board)
                self._take(await board.snapshot())
                self.phase = "ready"
                yield
            for view in live:
                await view.show(tab)
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

    def _wanted(self) -> str:
        path = self.router.url.path.strip("/").split("/")
        if len(path) == 2 and path[0] == "sessions":
            return path[1]
        return pick({"needs_you": self.needs_you, "working": self.working, "quiet": self.quiet})

    def _take(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    @rx.event
    def search(self, text: str) -> None:
        """Narrow the session list."""
        self.query = text

    @rx.event
    async def toggle_archived(self) -> Any:
        """Show the archived sessions, or not any more."""
        try:
            control_plane = signed_in(self).control_plane
            self.show_archived = not self.show_archived
            if self.show_archived:
                groups = grouped(await control_plane.list_sessions(archived=True))
                self.archived = [*groups["needs_you"], *groups["working"], *groups["quiet"]]
        except OpsRoomError as error:
            return refusal(error)

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

    @rx.event
    async def archive(self, _reason: str) -> Any:
        """Close the selected session for new runs."""
        return await self._command(lambda room, session: room.archive_session(session), "Session archived")

    @rx.event
    async def reopen(self) -> Any:
        """Open the selected session again."""
        return await self._command(lambda room, session: room.reopen_session(session), "Session reopened")

    async def _command(self, send: Any, done: str) -> Any:
        try:
            control_plane: ControlPlane = signed_in(self).control_plane
            await send(control_plane, self.selected)
            return rx.toast.success(done)
        except OpsRoomError as error:
            return refusal(error)

    @rx.event
    async def cancel(self, run_id: str, reason: str) -> Any:
        """Ask for a run's end."""
        try:
            await signed_in(self).control_plane.cancel_run(run_id, reason.strip() or None)
        except OpsRoomError as error:
            return refusal(error)


def _sessions() -> Subject:
    async def read(sign_in: SignIn) -> Picture:
        sessions = await sign_in.control_plane.list_sessions()
        return Picture(values=grouped(sessions), as_of=iso(dt.datetime.now(dt.UTC)))

    return Subject("sessions", read, BoardState, "list_freshness")


def _board(session_id: str) -> Subject:
    async def read(sign_in: SignIn) -> Picture:
        board = await sign_in.control_plane.read_board(session_id)
        busy = any(lane.active for lane in board.lanes)
        return Picture(values={**board_values(board), "phase": "ready"}, as_of=iso(board.read_at), busy=busy)

    return Subject(f"session:{session_id}", read, BoardState)


def _sidebar() -> rx.Component:
    # On a small screen the list lies over the board, and has done its work once something in it was chosen.
    put_away = rx.call_script("document.getElementById('sidebar').hidePopover()")
    return rx.el.aside(
        sidebar_head([BoardState.open_create, put_away], BoardState.search, Viewer.may_operate),
        rx.el.nav(
            rx.cond(
                BoardState.listed,
                rx.fragment(
                    rx.cond(
                        (BoardState.phase == "empty") & ~BoardState.show_archived,
                        rx.el.p("No session yet.", class_name="faint", style={"padding": "0 8px"}),
                    ),
                    session_group("Needs you", BoardState.needs_you, BoardState.selected, BoardState.query),
                    session_group("Working", BoardState.working, BoardState.selected, BoardState.query),
                    session_group("Quiet", BoardState.quiet, BoardState.selected, BoardState.query),
                    rx.cond(
                        BoardState.show_archived,
                        rx.cond(
                            BoardState.archived.length() > 0,
                            session_group("Archived", BoardState.archived, BoardState.selected, BoardState.query),
                            rx.el.p("Nothing is archived.", class_name="faint", style={"padding": "0 8px"}),
                        ),
                    ),
                ),
                session_skeletons(),
            ),
            class_name="sidebar-scroll",
            aria_label="Sessions",
            on_click=put_away,
        ),
        rx.el.button(
            rx.icon("archive", size=14, aria_hidden=True),
            rx.cond(BoardState.show_archived, "Hide archived", "Show archived"),
            type="button",
            class_name="btn btn-ghost btn-small",
            aria_pressed=BoardState.show_archived.to_string(),
            on_click=BoardState.toggle_archived,
        ),
        id="sidebar",
        class_name="sidebar",
        custom_attrs={"popover": "auto"},
    )


def _ready() -> rx.Component:
    cards = (BoardState.lane_a, BoardState.lane_b, BoardState.lane_c, BoardState.lane_d)
    allowed = Viewer.may_operate & ~BoardState.head.archived
    launch = rx.Var.create(f"/sessions/{BoardState.head.id}/launch")
    return rx.fragment(
        board_head(BoardState.head, launch, Viewer.may_operate, BoardState.archive, BoardState.reopen),
        rx.cond(
            ~Viewer.may_operate,
            rx.el.div(
                notice("info", "You look on as a viewer.", "Launching and cancelling need the role operator."),
                style={"marginBottom": "12px"},
            ),
        ),
        rx.el.div(
            *(
                lane(card, letter, launch, allowed, BoardState.cancel)
                for letter, card in zip(LANES, cards, strict=True)
            ),
            class_name="lanes",
        ),
    )


def _empty() -> rx.Component:
    new = rx.el.button(
        rx.icon("plus", size=15, aria_hidden=True),
        "New session",
        type="button",
        class_name="btn btn-primary",
        on_click=BoardState.open_create,
        disabled=~Viewer.may_operate,
    )
    return rx.el.div(
        blank(
            "layout-dashboard",
            "No session yet",
            "A session is one piece of work: it has an intent, and four lanes whose runs go in parallel.",
            new,
        ),
        style={"paddingTop": "12vh"},
    )


def board() -> rx.Component:
    """The page."""
    retry = rx.el.button("Try again", type="button", class_name="btn", on_click=BoardState.load)
    return page(
        rx.el.div(
            _sidebar(),
            rx.el.main(
                rx.match(
                    BoardState.phase,
                    ("ready", _ready()),
                    ("empty", _empty()),
                    ("problem", problem(BoardState.problem_title, BoardState.problem_text, "unplug", retry)),
                    board_loading(LANES),
                ),
                class_name="main",
                id="main",
            ),
            create_dialog(BoardState.creating, BoardState.create_error, BoardState.close_create, BoardState.create),
            class_name="body",
        ),
        active="board",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        freshness=rx.cond(BoardState.phase == "ready", BoardState.freshness, BoardState.list_freshness),
        menu=True,
    )
