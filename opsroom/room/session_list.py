"""The session list beside the board, live: one reader for all tabs of a sign-in. It is a state of its own, so that a
change in it redraws the list and not the board.
"""

import datetime as dt
from typing import Any, Final

import reflex as rx

from opsroom.components.views import Freshness, SessionItem
from opsroom.domain.errors import OpsRoomError
from opsroom.room.live import Picture, Subject
from opsroom.room.present import grouped, iso
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import refusal, signed_in

PACE_SECONDS: Final = 0.6


class SessionList(rx.State):
    """What needs the person, what works, what is done; and the archived sessions, once they were asked for."""

    listed: rx.Field[bool] = rx.field(False)
    needs_you: rx.Field[list[SessionItem]] = rx.field(default_factory=list)
    working: rx.Field[list[SessionItem]] = rx.field(default_factory=list)
    done: rx.Field[list[SessionItem]] = rx.field(default_factory=list)
    list_freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)
    query: rx.Field[str] = rx.field("")
    show_archived: rx.Field[bool] = rx.field(False)
    archived: rx.Field[list[SessionItem]] = rx.field(default_factory=list)

    @rx.event
    def search(self, text: str) -> None:
        """Narrow the list."""
        self.query = text

    @rx.event
    async def toggle_archived(self) -> Any:
        """Show the archived sessions, or not any more."""
        try:
            control_plane = signed_in(self).control_plane
            self.show_archived = not self.show_archived
            if self.show_archived:
                groups = grouped(await control_plane.list_sessions(archived=True))
                self.archived = [item for group in groups.values() for item in group]
        except OpsRoomError as error:
            return refusal(error)


def session_list() -> Subject:
    """All sessions that are not archived."""

    async def read(sign_in: SignIn) -> Picture:
        sessions = await sign_in.control_plane.list_sessions()
        return Picture(values={**grouped(sessions), "listed": True}, as_of=iso(dt.datetime.now(dt.UTC)))

    return Subject("sessions", read, SessionList, "list_freshness", pace=PACE_SECONDS)
