"""http: one request, and what its answer must be like."""

import json
import time
from typing import Any, Final, Literal, cast

import httpx
from pydantic import Field

from workers.steps.context import Outcome, StepContext, StepFailed
from workers.steps.inputs import Inputs, read_inputs
from workers.steps.results import write_result

LARGEST_BODY: Final = 10 << 20
SHOWN_HEADERS: Final = ("content-type", "content-length", "server", "date", "location", "etag", "last-modified")


class Expectation(Inputs):
    """All that is given must hold. `json` maps JSON Pointers (RFC 6901) to the values that must stand there."""

    status: tuple[int, ...] = (200,)
    body_contains: str | None = None
    json_values: dict[str, Any] = Field(default={}, alias="json")


class HttpInputs(Inputs):
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    url: str = Field(pattern=r"^https?://")
    headers: dict[str, str] = Field(default={})
    body: Any = None
    timeout_seconds: float = Field(default=30, gt=0, le=3600)
    expect: Expectation = Expectation()


async def run(context: StepContext) -> Outcome:
    """Succeeds when the answer is as expected; the answer is in `<step>.json`."""
    values = dict(context.inputs)
    values["expect"] = {k: v for k, v in dict(values.get("expect") or {}).items() if v is not None}
    inputs = read_inputs(HttpInputs, values)
    began = time.monotonic()
    try:
        status, headers, body, whole = await request(inputs)
    except httpx.TimeoutException as error:
        raise StepFailed(f"{inputs.url} did not answer within {inputs.timeout_seconds:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StepFailed(f"{inputs.url} could not be asked: {error or type(error).__name__}") from error
    took = round((time.monotonic() - began) * 1000, 1)
    text = body.decode(errors="replace")
    value = json_or_none(text)
    await context.metric("http_milliseconds", took)
    result = {"url": inputs.url, "method": inputs.method, "status": status, "milliseconds": took, "headers": headers}
    await write_result(context.workdir, context.step_id, {**result, "body": text if value is None else value})
    found = list(problems(inputs.expect, status, text, value))
    if not whole:
        found.append(f"the body is larger than {LARGEST_BODY} bytes")
    said = f"{inputs.method} {inputs.url} answered {status} in {took:g} ms"
    await context.log(said)
    if found:
        return Outcome("failed", f"{said}: {'; '.join(found)}", 1)
    return Outcome("succeeded", said, 0)


async def request(inputs: HttpInputs) -> tuple[int, dict[str, str], bytes, bool]:
    """Status, the headers worth showing, the body, and whether that is the whole body."""
    content: dict[str, Any] = {} if inputs.body is None else {"json": inputs.body}
    async with (
        httpx.AsyncClient(timeout=inputs.timeout_seconds, follow_redirects=False) as client,
        client.stream(inputs.method, inputs.url, headers=inputs.headers, **content) as answer,
    ):
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > LARGEST_BODY:
                break
        headers = {name: answer.headers[name] for name in SHOWN_HEADERS if name in answer.headers}
        return answer.status_code, headers, bytes(body[:LARGEST_BODY]), len(body) <= LARGEST_BODY


def problems(expect: Expectation, status: int, text: str, value: Any) -> list[str]:
    """What of the answer is not as expected. `value` is the body as JSON, or None."""
    found: list[str] = []
    if status not in expect.status:
        found.append(f"expected status {' or '.join(map(str, expect.status))}")
    if expect.body_contains is not None and expect.body_contains not in text:
        found.append(f"the body does not contain {expect.body_contains!r}")
    for pointer, wanted in expect.json_values.items():
        actual, there = _at(value, pointer)
        if not there:
            found.append(f"the body has nothing at {pointer}")
        elif actual != wanted:
            found.append(f"expected {json.dumps(wanted)} at {pointer}, found {json.dumps(actual)[:200]}")
    return found


def _at(value: Any, pointer: str) -> tuple[Any, bool]:
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = cast("dict[str, Any]", value)[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(key)]
        else:
            return None, False
    return value, True


def json_or_none(text: str) -> Any:
    """The text as JSON, if it is."""
    try:
        return json.loads(text)
    except ValueError:
        return None
