"""How runs end, whoever executed them, and the templates they follow."""

from typing import Final, Literal

from opsroom.domain.errors import OpsRoomError
from opsroom.domain.template import Template, parse
from workers.services import Services
from workers.store import Alike, Batch, Claim, End, Hold

Ending = Literal["cancelled", "timed_out", "stopped", "lost"]

ENDINGS: Final[dict[Ending, End]] = {
    "cancelled": End("cancelled", "cancelled_by_person", "Cancelled on request"),
    "timed_out": End("timed_out", "run_timeout", "The run's timeout is over"),
    "stopped": End("failed", "worker_error", "The worker was stopped before the run had finished"),
}

_KEPT: Final = 256
_templates: dict[str, Template] = {}


def template_of(claim: Claim | Alike) -> Template:
    """Parsed once: many runs pin the same version. Raises InvalidTemplate."""
    template = _templates.get(claim.template_digest)
    if template is None:
        if len(_templates) >= _KEPT:
            _templates.clear()
        template = _templates[claim.template_digest] = parse(claim.spec)
    return template


async def finish(services: Services, claim: Hold, end: End, last: Batch | None = None) -> str:
    """End a run, together with its last events. The outcome: a terminal status or `lost`."""
    end = End(end.status, end.reason, services.masker.mask(end.message or "") or None, end.exit_code)
    try:
        held = await services.store.finish_run(claim, end, last)
    except OpsRoomError as error:
        if end.status != "succeeded" and last is None:
            raise
        # The database knows better, for instance that a required step is not done: then it did not succeed. Its
        # last events are tried again, unless they are what was refused.
        refused = End("failed", "worker_error", f"The success was refused: {error.message}")
        kept = last if end.status == "succeeded" else None
        return await finish(services, claim, refused if end.status == "succeeded" else end, kept)
    return end.status if held.verdict == "ok" else "lost"


async def release(services: Services, claim: Hold) -> str:
    """Hand back a run whose start is not known to be committed. The outcome: `released`, `lost` or a status."""
    verdict = (await services.store.release_run(claim)).verdict
    # When the start was committed and its answer was not waited for, nothing was spawned.
    return await finish(services, claim, ENDINGS["stopped"]) if verdict == "started" else verdict
