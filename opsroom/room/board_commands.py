"""What a person does on the board. Each command asks who they are, says what was refused, and leaves the picture to the
database: nothing here changes what the board shows.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import reflex as rx

from opsroom.control_plane.client import ControlPlane
from opsroom.domain.errors import OpsRoomError
from opsroom.domain.lifecycle import Lane
from opsroom.room import live
from opsroom.room.viewer import refusal, signed_in

Send = Callable[[ControlPlane], Awaitable[object]]


class BoardCommands(rx.State, mixin=True):
    """Commands on the selected session, its lanes and its runs."""

    selected: rx.Field[str] = rx.field("")

    @classmethod
    def subject(cls, session_id: str) -> live.Subject:
        """The board of a session."""
        raise NotImplementedError

    async def _do(self, send: Send, done: str = "") -> Any:
        try:
            await send(signed_in(cast(rx.State, self)).control_plane)
        except OpsRoomError as error:
            return refusal(error)
        return rx.toast.success(done) if done else None

    @rx.event
    async def cancel(self, run_id: str, reason: str) -> Any:
        """Ask for a run's end."""
        return await self._do(lambda room: room.cancel_run(run_id, reason.strip() or None))

    @rx.event
    async def force(self, run_id: str, reason: str) -> Any:
        """End a run here and now: its worker does not answer."""
        return await self._do(
            lambda room: room.cancel_run(run_id, reason.strip() or None, force=True), "Ended by force"
        )

    @rx.event
    async def retry(self, run_id: str) -> Any:
        """Queue the next attempt."""
        return await self._do(lambda room: room.retry_run(run_id), "Queued again")

    @rx.event
    async def place(self, run_id: str, lane: str, before: str) -> Any:
        """Place a queued run before another, or at a lane's end. The browser shows it as pending until it is told that
        the picture that follows from it has been sent, or that it was refused.
        """
        answered = rx.call_script(f"window.opsroomSettle?.({json.dumps(run_id)})")
        try:
            sign_in = signed_in(cast(rx.State, self))
            await sign_in.control_plane.place_run(run_id, cast(Lane, lane), before=before or None)
            await live.renewed(sign_in, self.subject(self.selected))
        except OpsRoomError as error:
            return [answered, refusal(error)]
        return answered

    @rx.event
    async def pause_lane(self, lane: str, paused: bool) -> Any:
        """Hold a lane's queue back, or let it go."""
        session = self.selected
        return await self._do(lambda room: room.set_lane(session, cast(Lane, lane), paused=paused))

    @rx.event
    async def size_lane(self, lane: str, capacity: int) -> Any:
        """Set how many runs of a lane go at once."""
        session = self.selected
        return await self._do(lambda room: room.set_lane(session, cast(Lane, lane), capacity=int(capacity)))

    @rx.event
    async def pause(self) -> Any:
        """Hold the whole session's queue back."""
        return await self._do(lambda room: room.set_session_paused(self.selected, True))

    @rx.event
    async def resume(self) -> Any:
        """Let the session's queue go."""
        return await self._do(lambda room: room.set_session_paused(self.selected, False))

    @rx.event
    async def archive(self, _reason: str) -> Any:
        """Close the session for new runs."""
        return await self._do(lambda room: room.archive_session(self.selected), "Session archived")

    @rx.event
    async def reopen(self) -> Any:
        """Open the session again."""
        return await self._do(lambda room: room.reopen_session(self.selected), "Session reopened")

    @rx.event
    async def see(self, run_id: str) -> Any:
        """Note that the person has looked at a run's result."""
        return await self._do(lambda room: room.mark_seen([run_id]))

    @rx.event
    async def see_all(self) -> Any:
        """Note that the person has looked at all failures of the session."""
        return await self._do(lambda room: room.mark_seen(session_id=self.selected))
