"""Hostile and careless input: each a clear problem, nothing stored, nothing leaked."""

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.functions.room import EXECUTOR, Room


async def send(room: Room, content: bytes, media_type: str = "application/json") -> httpx.Response:
    return await room.http.post(
        f"{EXECUTOR}/runs.create",
        content=content,
        headers={"content-type": media_type, **room.headers("operator")},
    )


def create(room: Room, **changes: Any) -> dict[str, Any]:
    return {"session_id": room.session_id, "template": "echo", "params": {"text": "hello"}} | changes


def problem(response: httpx.Response) -> tuple[int, str, list[tuple[str, str]]]:
    """Status, code, and (path, code) of each fault. Every error must be a whole problem."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert set(body) - {"hint"} == {"type", "title", "status", "detail", "instance", "code", "errors"}
    assert body["status"] == response.status_code
    assert response.headers["x-request-id"] in body["instance"]
    assert body["detail"]
    return response.status_code, body["code"], [(error["path"], error["code"]) for error in body["errors"]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lane": "E"}, [("/lane", "enum")]),
        ({"lane": "a"}, [("/lane", "enum")]),
        ({"session_id": "1 or 1=1"}, [("/session_id", "format")]),
        ({"priority": "9"}, [("/priority", "type")]),
        ({"priority": 101}, [("/priority", "maximum")]),
        ({"params": ["hello"]}, [("/params", "type")]),
        ({"params": "hello"}, [("/params", "type")]),
        ({"template": None}, [("/template", "type")]),
        ({"not_before": "tomorrow"}, [("/not_before", "format")]),
        ({"p_lane": "B", "status": "succeeded"}, [("/p_lane", "additional"), ("/status", "additional")]),
        ({"params": {"text": "x", "__proto__": {}}}, [("/params/__proto__", "additional")]),
        ({"title": "a\0b"}, [("/title", "pattern")]),
        ({"params": {"text": "a\0b"}}, [("/params/text", "pattern")]),
        ({"params": {"text": "\ud800"}}, [("/params/text", "pattern")]),
        ({"params": {"text": "x", "times": 2**63}}, [("/params/times", "type")]),
    ],
)
async def test_a_request_of_the_wrong_shape_names_each_fault(
    room: Room, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    async with room.nothing_stored():
        response = await send(room, json.dumps(create(room, **changes)).encode())
    status, code, errors = problem(response)
    assert (status, code, errors) == (422, "invalid_argument", expected)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ("/text", "required")),
        ({"text": 1}, ("/text", "type")),
        ({"text": "x" * 101}, ("/text", "maxLength")),
        ({"text": "x", "times": 0}, ("/times", "minimum")),
        ({"text": "x", "extra": True}, ("/extra", "additional")),
    ],
)
async def test_params_that_do_not_fit_the_template_name_each_fault(
    room: Room, params: dict[str, Any], expected: tuple[str, str]
) -> None:
    async with room.nothing_stored():
        response = await send(room, json.dumps(create(room, params=params)).encode())
    status, code, errors = problem(response)
    assert (status, code) == (422, "invalid_params")
    assert expected in errors


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"template": "no-such-template"}, 404, "template_not_found"),
        ({"template": "'; drop table runs; --"}, 404, "template_not_found"),
        ({"session_id": str(uuid.UUID(int=7))}, 404, "session_not_found"),
    ],
)
async def test_what_does_not_exist_is_said_by_name(room: Room, changes: dict[str, Any], status: int, code: str) -> None:
    async with room.nothing_stored():
        response = await send(room, json.dumps(create(room, **changes)).encode())
    assert problem(response)[:2] == (status, code)


async def test_sql_in_a_param_is_only_text(room: Room) -> None:
    text = "'); drop table public.runs; -- {{ params.text }} $(reboot) \\"
    assert (await room.new_run(params={"text": text}))["params"] == {"text": text}


async def test_bodies_that_are_not_json_are_told_where(room: Room) -> None:
    async with room.nothing_stored():
        for content, code in (
            (b'{"session_id": 1,}', "malformed_json"),
            (b"", "malformed_json"),
            (b'{"a": NaN}', "malformed_json"),
            (b'{"a": "\xff"}', "malformed_json"),
            (b'{"lane": "A", "lane": "B"}', "duplicate_key"),
            (b'{"params": {"a": 1, "\\u0061": 2}}', "duplicate_key"),
        ):
            assert problem(await send(room, content))[:2] == (400, code), content
        assert "line 1, column 18" in (await send(room, b'{"session_id": 1,}')).json()["detail"]


async def test_ten_megabytes_are_refused_and_the_executor_lives_on(room: Room) -> None:
    body = json.dumps(create(room, params={"text": "x" * 10_000_000})).encode()
    async with room.nothing_stored():
        assert problem(await send(room, body))[:2] == (413, "body_too_large")
    assert (await room.new_run())["status"] == "queued"


async def test_deep_nesting_is_refused_and_the_executor_lives_on(room: Room) -> None:
    async with room.nothing_stored():
        for depth in (40, 100_000):
            body = json.dumps(create(room)).replace('"hello"', "[" * depth + "]" * depth)
            status, code, errors = problem(await send(room, body.encode()))
            assert (status, code, errors[0][1]) == (422, "invalid_argument", "too_large")
    assert (await room.new_run())["status"] == "queued"


async def test_other_content_types_are_415(room: Room) -> None:
    body = json.dumps(create(room)).encode()
    async with room.nothing_stored():
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
            response = await send(room, body, media_type)
            assert problem(response)[:2] == (415, "unsupported_media_type")


async def test_wrong_methods_and_paths_say_so(room: Room) -> None:
    wrong = await room.http.get(f"{EXECUTOR}/runs.create", headers=room.headers("operator"))
    assert problem(wrong)[:2] == (405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"]
    for path in ("runs.destroy", "runs.create/", "runs.create/x", "runs.create%2F", "../v2/runs.create"):
        response = await room.http.post(f"{EXECUTOR}/{path}", json={}, headers=room.headers("operator"))
        assert response.status_code == 404, path


async def test_a_reason_that_no_run_can_have_is_a_fault_of_the_request(room: Room, worker_id: str) -> None:
    held = await room.claimed(worker_id)
    async with room.nothing_stored():
        body = {**held, "status": "failed", "reason": "bad luck"}
        response = await room.call("runs.finish", body, "service")
    assert problem(response)[:2] == (422, "invalid_argument")


async def test_one_idempotency_key_for_two_requests_is_a_conflict(room: Room) -> None:
    key = str(uuid.uuid4())
    await room.new_run(idempotency_key=key)
    async with room.nothing_stored():
        response = await room.call("runs.create", create(room, lane="C", idempotency_key=key), "operator")
    assert problem(response)[:2] == (409, "idempotency_conflict")
