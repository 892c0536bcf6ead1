"""What needs the person, and what they are told of on every page: one live subject for each sign-in."""

import asyncio
import datetime as dt
from typing import Final

import reflex as rx

from opsroom.components.notices import Note
from opsroom.components.views import Freshness
from opsroom.control_plane.gates import InboxItem
from opsroom.control_plane.models import Member, Run
from opsroom.domain.lifecycle import at_least
from opsroom.room.live import Picture, Subject
from opsroom.room.present import REASON_WORDS, STATUS_WORDS, iso, span
from opsroom.room.sign_ins import SignIn

PACE_SECONDS: Final = 1.0


class Attention(rx.State):
    """`needs`: gates that wait for the person and failures they have not seen; `notes`: what happened lately."""

    needs: rx.Field[int] = rx.field(0)
    notes: rx.Field[list[Note]] = rx.field(default_factory=list)
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)


def attention(member: Member) -> Subject:
    """What is told to a person, whatever page their tabs show."""

    async def read(sign_in: SignIn) -> Picture:
        room = sign_in.control_plane
        may_approve = at_least((await sign_in.member()).role, "approver")
        sessions, ended, gates = await asyncio.gather(
            room.list_sessions(), room.ended_runs(member.user_id), room.list_gates() if may_approve else _none()
        )
        mine = [gate for gate in gates if gate.obstacle is None]
        notes = sorted([*map(ended_note, ended), *map(gate_note, mine)], key=lambda note: note.at, reverse=True)
        needs = len(mine) + sum(session.unseen for session in sessions)
        return Picture({"needs": needs, "notes": notes}, as_of=iso(dt.datetime.now(dt.UTC)))

    return Subject("sessions", read, Attention, lasting=True, pace=PACE_SECONDS)


async def _none() -> tuple[InboxItem, ...]:
    return ()


def gate_note(gate: InboxItem) -> Note:
    """A gate that waits for the person."""
    place = f" at {gate.step_id}" if gate.step_id else " before it starts"
    return Note(
        id=f"gate:{gate.run_id}:{gate.step_id}",
        state="warn",
        title=f"Needs your approval: {gate.run.title}",
        text=f"{gate.session_title} ·{place}",
        href="/approvals",
        at=iso(gate.opened_at),
    )


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
