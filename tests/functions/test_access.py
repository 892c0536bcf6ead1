"""Who may call what: each operation as each caller, through the executor and, behind it, the database itself."""

import time
import uuid
from typing import Any, get_args

import jwt
import pytest

from tests.functions.room import EXECUTOR, MEMBERS, Caller, Room
from tests.support.stack import Stack

ID = str(uuid.UUID(int=1))
HELD = {"run_id": ID, "claim_token": ID}
ARTIFACT = {"name": "a", "kind": "link", "media_type": "text/html", "url": "https://example.com"}

PERSON: dict[str, dict[str, Any]] = {
    "runs.create": {"session_id": ID, "template": "echo", "params": {"text": "x"}},
    "runs.cancel": {"run_id": ID},
}
SERVICE: dict[str, dict[str, Any]] = {
    "runs.claim": {"worker_id": ID, "limit": 1, "request_id": ID},
    "runs.start": HELD,
    "runs.heartbeat": {"worker_id": ID, "runs": [HELD]},
    "runs.finish": {**HELD, "status": "succeeded"},
    "events.append": {**HELD, "batch": 1, "events": [{"type": "log", "message": "x"}]},
    "artifacts.put": {**HELD, "artifact": ARTIFACT},
}


def refusal(operation: str, caller: Caller) -> tuple[int, str] | None:
    """The status and code that `caller` must get, or None when it gets past the gates."""
    if caller == "anonymous":
        return 401, "not_authenticated"
    if operation in SERVICE:
        return None if caller == "service" else (403, "forbidden")
    if caller == "outsider":
        return 403, "not_a_member"
    return (403, "forbidden") if caller in ("viewer", "service") else None


@pytest.mark.parametrize("caller", get_args(Caller))
@pytest.mark.parametrize("operation", [*PERSON, *SERVICE])
async def test_each_operation_admits_its_callers_and_refuses_the_others(
    room: Room, operation: str, caller: Caller
) -> None:
    async with room.nothing_stored():
        response = await room.call(operation, (PERSON | SERVICE)[operation], caller)
    expected = refusal(operation, caller)
    if expected is None:
        # Past the gates: there is no such session, run or worker, and that is what is said.
        assert response.status_code not in (401, 403), response.text
    else:
        assert (response.status_code, response.json()["code"]) == expected, response.text
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("caller", ["anonymous", *MEMBERS])
async def test_the_database_refuses_people_the_worker_functions_by_itself(room: Room, caller: Caller) -> None:
    for function, body in (("claim_runs", SERVICE["runs.claim"]), ("finish_run", SERVICE["runs.finish"])):
        args = {f"p_{key}": value for key, value in body.items()}
        response = await room.http.post(f"/rest/v1/rpc/{function}", json=args, headers=room.headers(caller))
        assert response.status_code in (401, 403, 404), f"{function}: {response.text}"


async def test_the_service_key_is_known_in_either_header(room: Room) -> None:
    for headers in (
        {"apikey": room.service_key},
        {"authorization": f"Bearer {room.service_key}"},
        {"apikey": room.service_key, "authorization": f"Bearer {room.service_key}"},
    ):
        response = await room.http.post(f"{EXECUTOR}/runs.heartbeat", json=SERVICE["runs.heartbeat"], headers=headers)
        assert response.status_code not in (401, 403), response.text


FORGERIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "unsigned": ({}, "none", "invalid_token"),
    "signed with another secret": ({}, "HS256", "invalid_token"),
    "prolonged": ({"exp": int(time.time()) + 10**6}, "HS256", "invalid_token"),
    "service role": ({"role": "service_role"}, "HS256", "invalid_token"),
    "postgres role": ({"role": "postgres"}, "HS256", "invalid_token"),
    "expired": ({"exp": int(time.time()) - 3600}, "genuine", "token_expired"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("operation", ["runs.create", "runs.claim"])
async def test_forged_and_expired_tokens_are_refused(room: Room, stack: Stack, forgery: str, operation: str) -> None:
    changes, algorithm, code = FORGERIES[forgery]
    genuine: dict[str, Any] = jwt.decode(room.tokens["admin"], options={"verify_signature": False})
    keys = {"none": None, "HS256": "another secret of a decent length", "genuine": stack.secrets.jwt}
    signing = "HS256" if algorithm == "genuine" else algorithm
    token = jwt.encode(genuine | changes, keys[algorithm], algorithm=signing)
    body = (PERSON | SERVICE)[operation] | ({"session_id": room.session_id} if operation == "runs.create" else {})
    async with room.nothing_stored():
        headers = {"apikey": room.anon_key, "authorization": f"Bearer {token}"}
        response = await room.http.post(f"{EXECUTOR}/{operation}", json=body, headers=headers)
    if operation == "runs.create":
        assert (response.status_code, response.json()["code"]) == (401, code), response.text
    # At a worker's operation a token with a person's look may be told so before anyone checks its signature.
    assert response.status_code in (401, 403), response.text
    assert room.service_key not in response.text
    assert token not in response.text
