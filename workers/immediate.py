"""Runs that need nothing: no process, no file, no waiting. Their whole story is one batch of events.

A run of `noop` steps, a milestone in a larger plan, is over as soon as its start is committed: there is nothing that
could be stopped, timed out or cleaned up.
"""

from pydantic import JsonValue

from opsroom.domain.template import Template
from workers.evidence import Evidence
from workers.store import End


def fits(template: Template) -> bool:
    """Whether every step is over at once."""
    return all(
        step.kind == "noop" and not (step.artifacts or step.preconditions or step.verifiers) for step in template.steps
    )


async def run(template: Template, evidence: Evidence) -> End:
    """Each step in its turn."""
    done: set[str] = set()
    while ready := [step for step in template.steps if step.id not in done and done.issuperset(step.needs)]:
        for step in ready:
            succeeded: dict[str, JsonValue] = {"status": "succeeded", "exit_code": None}
            await evidence.emit("step.started", step.id, step.title)
            await evidence.emit("step.finished", step.id, data=succeeded)
            done.add(step.id)
    return End("succeeded", exit_code=0)
