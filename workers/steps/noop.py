"""noop: does nothing and succeeds. A milestone in a graph, and the smallest run there can be."""

from workers.steps.context import Outcome, StepContext


async def run(context: StepContext) -> Outcome:
    """Succeeded, at once."""
    return Outcome("succeeded")
