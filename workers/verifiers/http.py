"""http: one request, and what its answer must be like; inputs as of the step kind `http`."""

import time

import httpx

from workers.steps.context import StepContext
from workers.steps.http import HttpInputs, json_or_none, problems, request
from workers.steps.inputs import read_inputs
from workers.verifiers.finding import Finding


async def verify(context: StepContext) -> Finding:
    """Passes when the answer is as expected."""
    values = dict(context.inputs)
    values["expect"] = {k: v for k, v in dict(values.get("expect") or {}).items() if v is not None}
    inputs = read_inputs(HttpInputs, values)
    expected = inputs.expect.model_dump(mode="json", by_alias=True, exclude_none=True)
    expected = {"url": inputs.url, **{key: value for key, value in expected.items() if value != {}}}
    began = time.monotonic()
    try:
        status, _, body, _ = await request(inputs)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(False, expected, {"error": str(error) or type(error).__name__}, "it could not be asked")
    text = body.decode(errors="replace")
    found = list(problems(inputs.expect, status, text, json_or_none(text)))
    took = round((time.monotonic() - began) * 1000, 1)
    return Finding(not found, expected, {"status": status, "milliseconds": took}, "; ".join(found))
