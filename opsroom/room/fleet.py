"""The fleet at a glance, live on any page that shows it: who works, what waits, what is stuck, whether sweeps go on."""

import datetime as dt
from typing import Final

import reflex as rx

from opsroom.components.views import FleetView, Freshness
from opsroom.control_plane.fleet import Fleet
from opsroom.room.live import Picture, Subject
from opsroom.room.present import iso
from opsroom.room.sign_ins import SignIn

SWEEP_LATE: Final = dt.timedelta(minutes=2)
"""A sweep is due every few seconds from each worker, and every minute from the database's own clock."""


class FleetState(rx.State):
    """What the fleet's strip shows."""

    fleet: rx.Field[FleetView] = rx.field(default_factory=FleetView)
    fleet_freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)


PACE_SECONDS: Final = 1.0


def fleet_subject() -> Subject:
    """Read whenever a run changes its state, and by the clock: a worker that comes or goes rings no bell."""

    async def read(sign_in: SignIn) -> Picture:
        fleet = await sign_in.control_plane.read_fleet()
        return Picture({"fleet": fleet_view(fleet)}, as_of=iso(fleet.read_at), busy=bool(fleet.active or fleet.queued))

    return Subject("sessions", read, FleetState, "fleet_freshness", pace=PACE_SECONDS)


def fleet_view(fleet: Fleet) -> FleetView:
    """The fleet as its strip shows it, with the one thing that is wrong and matters most."""
    online = len(fleet.workers)
    missing = sum(worker.missing_since is not None for worker in fleet.workers)
    drained = sum(worker.draining_at is not None for worker in fleet.workers)
    parts = [f"{fleet.slots} slots", f"{drained} drained" if drained else "", f"{missing} missing" if missing else ""]
    late = fleet.last_sweep_at is not None and fleet.read_at - fleet.last_sweep_at > SWEEP_LATE
    alarm, hint = "", ""
    if fleet.held_until:
        alarm = "Sweeps are held"
        hint = "Most leases ended together, so their runs are given one more lease before they are ended as lost."
    elif not fleet.slots and fleet.queued:
        alarm, hint = "No worker takes runs", "What waits goes on waiting. Start one with: opsroom worker"
    elif late and fleet.active:
        alarm, hint = "Nothing sweeps", "Stuck runs are not ended. Workers and the database's clock both should."
    elif fleet.checkpoint and fleet.checkpoint.is_overdue(fleet.read_at):
        alarm = "Checkpoints are overdue"
        hint = (
            "The ends of runs are not published outside the database. The log of a worker with a signing key says why."
        )
    return FleetView(
        workers=f"{online} online" if online else "none online",
        workers_state="failed" if alarm and not fleet.slots else "warn" if missing or not online else "succeeded",
        workers_hint=", ".join(part for part in parts if part),
        queued=fleet.queued,
        oldest_at=iso(fleet.oldest_queued_at),
        queue_state="queued" if fleet.queued else "pending",
        active=fleet.active,
        stuck=fleet.stuck,
        swept_at=iso(fleet.last_sweep_at),
        alarm=alarm,
        alarm_hint=hint,
    )
