"""What needs the person, and what they are told of on every page: one live subject for each sign-in."""

import asyncio
import datetime as dt
from collections import deque

import reflex as rx

from opsroom.components.notices import Note
from opsroom.components.views import Freshness
from opsroom.control_plane.models import Member, Run, SessionSummary
from opsroom.domain.lifecycle import at_least
from opsroom.room.live import Picture, Subject
from opsroom.room.present import REASON_WORDS, STATUS_WORDS, iso, span
from opsroom.room.sign_ins import SignIn


class Attention(rx.State):
    """`needs`: gates that wait for the person and failures they have not seen; `notes`: what happened lately."""

    needs: rx.Field[int] = rx.field(0)
    notes: rx.Field[list[Note]] = rx.field(default_factory=list)
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)


def attention(member: Member) -> Subject:
    """What is told to a person, whatever page their tabs show."""
    gates = Gates()

    async def read(sign_in: SignIn) -> Picture:
        room = sign_in.control_plane
        sessions, ended = await asyncio.gather(room.list_sessions(), room.ended_runs(member.user_id))
        may_approve = at_least((await sign_in.member()).role, "approver")
        waiting = gates.look(sessions) if may_approve else []
        notes = sorted([*map(ended_note, ended), *waiting], key=lambda note: note.at, reverse=True)
        return Picture({"needs": needs(sessions, may_approve), "notes": notes}, as_of=iso(dt.datetime.now(dt.UTC)))

    return Subject("sessions", read, Attention, lasting=True)


def needs(sessions: tuple[SessionSummary, ...], may_approve: bool) -> int:
    """How many things need the person."""
    return sum(session.unseen + (session.waiting if may_approve else 0) for session in sessions)


def ended_note(run: Run) -> Note:
    """A run of theirs that ended."""
    took = span(run.started_at or run.claimed_at or run.queued_at, run.finished_at)
    why = REASON_WORDS.get(run.reason, "") if run.reason else ""
    return Note(
        id=f"run:{run.id}:{run.status}",
        state=run.status,
        title=f"{STATUS_WORDS[run.status]}: {run.title}",
        text=" · ".join(part for part in (f"lane {run.lane}", took and f"took {took}", why) if part),
        href=f"/runs/{run.id}",
        at=iso(run.finished_at),
    )


class Gates:
    """Notes of gates that began to wait while somebody looked. The first look finds out what waits already."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] | None = None
        self._notes: deque[Note] = deque(maxlen=10)

    def look(self, sessions: tuple[SessionSummary, ...]) -> list[Note]:
        """The latest notes, with those for gates that are new since the last look."""
        before, self._waiting = self._waiting, {session.id: session.waiting for session in sessions}
        at = iso(dt.datetime.now(dt.UTC))
        for session in sessions if before is not None else ():
            if session.waiting > (before or {}).get(session.id, 0):
                count = "An approval is" if session.waiting == 1 else f"{session.waiting} approvals are"
                self._notes.append(
                    Note(
                        id=f"gate:{session.id}:{at}",
                        state="warn",
                        title=f"{count} waited for",
                        text=session.title,
                        href=f"/sessions/{session.id}",
                        at=at,
                    )
                )
        return list(self._notes)
