"""Launching into one or several lanes: one idempotency key for each lane, and an honest word about each."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsroom.components.views import LaneOutcome
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.control_plane.models import Run
from opsroom.domain.errors import InvalidParams, NotAuthenticated, OpsRoomError
from opsroom.domain.lifecycle import Lane


@dataclass(frozen=True)
class Order:
    """A run to be queued: in whatever lane. `rerun_of` repeats an old run, with its template version and title."""

    session_id: str
    template: str
    params: Mapping[str, Any]
    key: str
    priority: int = 0
    not_before: dt.datetime | None = None
    title: str | None = None
    rerun_of: str = ""

    async def queue(self, room: ControlPlane, lane: Lane) -> Run:
        """Queue it in a lane; asked again, the answer is the same run."""
        key = f"{self.key}:{lane}"
        if self.rerun_of:
            return await room.rerun(self.rerun_of, params=self.params, lane=lane, idempotency_key=key)
        return await room.create_run(
            self.session_id,
            self.template,
            self.params,
            lane=lane,
            priority=self.priority,
            not_before=self.not_before,
            title=self.title,
            idempotency_key=key,
        )


async def queue_in_lanes(room: ControlPlane, order: Order, lanes: Sequence[Lane]) -> list[LaneOutcome]:
    """Queue `order` in each lane, one after the other, and say of each what became of it. Raises InvalidParams and
    NotAuthenticated, which no lane would get past, if no lane was served before.
    """
    outcomes: list[LaneOutcome] = []
    unreachable = False
    for lane in lanes:
        if unreachable:
            outcomes.append(LaneOutcome(lane, text="Not tried."))
            continue
        try:
            run = await order.queue(room, lane)
        except (InvalidParams, NotAuthenticated) as error:
            if not outcomes:
                raise
            outcomes.append(LaneOutcome(lane, text=f"{error.message} {error.hint or ''}".strip()))
        except ControlPlaneUnreachable as error:
            unreachable = True
            text = f"{error.message} It may have been queued all the same: launching again queues nothing twice."
            outcomes.append(LaneOutcome(lane, text=text))
        except OpsRoomError as error:
            outcomes.append(LaneOutcome(lane, text=f"{error.message} {error.hint or ''}".strip()))
        else:
            outcomes.append(LaneOutcome(lane, done=True, text=f"Queued: {run.title}", href=f"/runs/{run.id}"))
    return outcomes


def in_words(lanes: Sequence[str]) -> str:
    """`lane A`, `lanes A and B`, `lanes A, B and D`."""
    if len(lanes) == 1:
        return f"lane {lanes[0]}"
    return f"lanes {', '.join(lanes[:-1])} and {lanes[-1]}"
