"""gate: waits for a person. The database decides whether the gate is open; this only tells how it was closed."""

from workers.steps.context import Outcome, StepContext


async def run(context: StepContext) -> Outcome:
    """Succeeds when it is approved."""
    await context.log("Waiting for a decision")
    return await context.decision()
