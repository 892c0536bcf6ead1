"""ci: the checks of a commit on GitHub.

Source: https://docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference
"""

from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import Field, JsonValue

from workers.steps.context import StepContext
from workers.steps.inputs import Inputs, read_inputs
from workers.verifiers.finding import Finding

MOST_PAGES: Final = 20
GOOD: Final = ("success", "neutral", "skipped")


class CiInputs(Inputs):
    """Without `checks` every check of the commit must have ended well, and there must be one."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    ref: str = Field(min_length=1, max_length=200)
    checks: tuple[str, ...] = ()
    token: str | None = None
    api_url: str = Field(default="https://api.github.com", pattern=r"^https?://")


async def verify(context: StepContext) -> Finding:
    """Passes when the checks have ended well."""
    inputs = read_inputs(CiInputs, context.inputs)
    where: dict[str, JsonValue] = {"repository": inputs.repository, "ref": inputs.ref}
    expected: JsonValue = {**where, "checks": list(inputs.checks) or "all"}
    try:
        found = await _conclusions(inputs)
    except httpx.HTTPError as error:
        return Finding(False, expected, {"error": str(error) or type(error).__name__}, "GitHub could not be asked")
    named = {name: found.get(name, "missing") for name in inputs.checks} if inputs.checks else found
    bad = [f"{name}: {conclusion}" for name, conclusion in sorted(named.items()) if conclusion not in GOOD]
    if not named:
        bad = ["the commit has no checks"]
    return Finding(not bad, expected, {"checks": dict(named)}, "; ".join(bad))


async def _conclusions(inputs: CiInputs) -> dict[str, str]:
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    if inputs.token:
        headers["Authorization"] = f"Bearer {inputs.token}"
    url = f"{inputs.api_url.rstrip('/')}/repos/{inputs.repository}/commits/{quote(inputs.ref, safe='')}/check-runs"
    found: dict[str, str] = {}
    async with httpx.AsyncClient(timeout=30, headers=headers) as client:
        for page in range(1, MOST_PAGES + 1):
            answer = await client.get(url, params={"per_page": 100, "page": page, "filter": "latest"})
            answer.raise_for_status()
            runs: list[dict[str, Any]] = answer.json()["check_runs"]
            for run in runs:
                conclusion = str(run["conclusion"] or run["status"])
                # Two apps may have a check of the same name: the worse one counts.
                if found.get(run["name"], "success") in GOOD:
                    found[run["name"]] = conclusion
            if len(runs) < 100:
                return found
    raise httpx.HTTPError(f"the commit has more than {MOST_PAGES * 100} checks")
