"""Runs that need nothing: no process, no file, no waiting. Their whole story is one batch of events.

A run of `noop` steps, a milestone in a larger plan, is over as soon as its start is committed: there is nothing that
could be stopped, timed out or cleaned up. The database starts such runs in the commit that claims them, and the worker
ends those of one claim together.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import JsonValue

from opsroom.domain.errors import OpsRoomError
from opsroom.domain.events import WorkerEventType
from opsroom.domain.template import Template
from workers.ending import finish, template_of
from workers.evidence import Evidence, shortened
from workers.lease import Lease
from workers.secrets import Masker
from workers.services import Services
from workers.store import Batch, Claim, End, Held

SUCCEEDED: Final = End("succeeded", exit_code=0)

_Told = tuple[WorkerEventType, str, str, dict[str, JsonValue]]


def fits(template: Template) -> bool:
    """Whether every step is over at once."""
    return all(
        step.kind == "noop" and not (step.artifacts or step.preconditions or step.verifiers) for step in template.steps
    )


def goes_together(claim: Claim) -> bool:
    """Whether a claimed run can be ended with others: it was started with its claim, and needs nothing."""
    return claim.started and not claim.carried and fits(template_of(claim))


async def run(template: Template, evidence: Evidence) -> End:
    """One run, each step in its turn."""
    for kind, step, message, data in _story(template):
        await evidence.emit(kind, step, message, data=data)
    return SUCCEEDED


async def run_together(services: Services, leases: Sequence[Lease]) -> list[str]:
    """Runs of one claim. What each came to: a terminal status or `lost`."""
    ends: list[tuple[Lease, Batch, asyncio.Future[Held]]] = []
    batches: dict[str, Batch] = {}
    for lease in leases:
        digest = lease.claim.template_digest
        last = batches.get(digest) or Batch(1, _events(template_of(lease.claim), services.masker))
        batches[digest] = last
        end = services.store.finish_run(lease.claim, SUCCEEDED, last)
        lease.on_lost = end.cancel
        services.metrics.events.inc(len(last.events))
        ends.append((lease, last, end))
    services.metrics.event_batches.inc(len(ends))
    outcomes: list[str] = []
    for lease, last, end in ends:
        try:
            outcome = "succeeded" if (await end).verdict == "ok" else "lost"
        except asyncio.CancelledError:
            if not lease.lost.is_set():
                raise
            outcome = "lost"
        except OpsRoomError as error:
            refused = End("failed", "worker_error", f"The success was refused: {error.message}")
            outcome = await finish(services, lease.claim, refused, last)
        outcomes.append(outcome)
    return outcomes


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
