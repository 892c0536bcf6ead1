"""shell: a command whose exit code is the proof; inputs as of the step kind `shell`. Its output is in the log."""

from workers.steps import shell
from workers.steps.context import StepContext
from workers.verifiers.finding import Finding


async def verify(context: StepContext) -> Finding:
    """Passes when the command ends with exit code 0."""
    outcome = await shell.run(context)
    passed = outcome.status == "succeeded"
    return Finding(passed, {"exit_code": 0}, {"exit_code": outcome.exit_code}, outcome.message)
