"""Runs that need nothing: no process, no file, no waiting. Their whole story is one batch of events.

A run of `noop` steps, a milestone in a larger plan, is over as soon as its start is committed: there is nothing that
could be stopped, timed out or cleaned up. The database starts such runs in the commit that claims them, and the worker
ends those of one claim and template together: they have the same story.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import JsonValue

from opsroom.domain.errors import InvalidTemplate, OpsRoomError
from opsroom.domain.events import WorkerEventType
from opsroom.domain.template import Template
from workers.ending import finish, template_of
from workers.evidence import Evidence, shortened
from workers.lease import Lease
from workers.secrets import Masker
from workers.services import Services
from workers.store import Alike, Batch, End, Hold

SUCCEEDED: Final = End("succeeded", exit_code=0)

_Told = tuple[WorkerEventType, str, str, dict[str, JsonValue]]


def fits(template: Template) -> bool:
    """Whether every step is over at once."""
    return all(
        step.kind == "noop" and not (step.artifacts or step.preconditions or step.verifiers) for step in template.steps
    )


async def run(template: Template, evidence: Evidence) -> End:
    """One run, each step in its turn."""
    for kind, step, message, data in _story(template):
        await evidence.emit(kind, step, message, data=data)
    return SUCCEEDED


async def run_together(services: Services, alike: Alike, leases: Sequence[Lease[Hold]]) -> list[str]:
    """Runs that were started with their claim. What each came to: a terminal status or `lost`."""
    try:
        events = _events(template_of(alike), services.masker)
    except InvalidTemplate as error:
        refused = End("failed", "invalid_template", error.message)
        return await asyncio.gather(*(_end(services, lease, refused) for lease in leases))
    services.metrics.event_batches.inc(len(leases))
    services.metrics.events.inc(len(events) * len(leases))
    call = asyncio.ensure_future(services.store.finish_alike(alike.runs, events))

    def on_lost() -> None:
        # The others are still this worker's.
        if all(lease.lost.is_set() for lease in leases):
            call.cancel()

    for lease in leases:
        lease.on_lost = on_lost
    try:
        lost = await call
    except asyncio.CancelledError:
        if not all(lease.lost.is_set() for lease in leases):
            raise
        return ["lost"] * len(leases)
    except OpsRoomError:
        # What is wrong with one of them refuses the whole call: then each goes alone.
        last = Batch(1, events)
        return await asyncio.gather(*(_end(services, lease, SUCCEEDED, last) for lease in leases))
    return ["lost" if hold.run_id in lost else "succeeded" for hold in alike.runs]


async def _end(services: Services, lease: Lease[Hold], end: End, last: Batch | None = None) -> str:
    """One of them; given up when it is lost."""
    ending = asyncio.ensure_future(finish(services, lease.claim, end, last))
    lease.on_lost = ending.cancel
    if lease.lost.is_set():
        ending.cancel()
    try:
        return await ending
    except asyncio.CancelledError:
        if not lease.lost.is_set():
            raise
        return "lost"


def _story(template: Template) -> Iterator[_Told]:
    done: set[str] = set()
    while ready := [step for step in template.steps if step.id not in done and done.issuperset(step.needs)]:
        for step in ready:
            yield "step.started", step.id, step.title, {}
            yield "step.finished", step.id, "", {"status": "succeeded", "exit_code": None}
            done.add(step.id)


def _events(template: Template, masker: Masker) -> list[dict[str, JsonValue]]:
    """As evidence would write them."""
    return [
        {"type": kind, "step": step, "level": "info", "message": shortened(masker.mask(message)), "data": data}
        for kind, step, message, data in _story(template)
    ]
