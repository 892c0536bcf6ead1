"""Commands: who may give them, what they refuse, and that a refusal leaves nothing behind."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from opsroom.domain.lifecycle import ROLES
from tests.database.conftest import TEMPLATE, Person, Room, Worker

ANY = uuid.uuid4()
NEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "whoami": ("viewer", {}),
    "list_sessions": ("viewer", {}),
    "list_templates": ("viewer", {}),
    "list_runs": ("viewer", {}),
    "read_board": ("viewer", {"p_session_id": ANY}),
    "read_run": ("viewer", {"p_run_id": ANY}),
    "read_events": ("viewer", {"p_run_id": ANY}),
    "read_fleet": ("viewer", {}),
    "read_setup": ("viewer", {}),
    "list_specs": ("viewer", {}),
    "read_spec": ("viewer", {"p_slug": "nothing"}),
    "list_template_versions": ("viewer", {"p_slug": "nothing"}),
    "validate_template": ("viewer", {"p_spec": {}}),
    "read_workers": ("viewer", {}),
    "read_insights": ("viewer", {"p_from": "2026-01-01"}),
    "search_runs": ("viewer", {}),
    "refresh_runs": ("viewer", {"p_run_ids": f"{{{ANY}}}"}),
    "mark_seen": ("viewer", {"p_run_ids": f"{{{ANY}}}"}),
    "place_run": ("operator", {"p_run_id": ANY, "p_lane": "A"}),
    "search_room": ("viewer", {"p_text": "x"}),
    "set_lane": ("operator", {"p_session_id": ANY, "p_lane": "A"}),
    "set_session_paused": ("operator", {"p_session_id": ANY, "p_paused": True}),
    "move_run": ("operator", {"p_run_id": ANY}),
    "create_session": ("operator", {"p_title": "T"}),
    "archive_session": ("operator", {"p_session_id": ANY}),
    "reopen_session": ("operator", {"p_session_id": ANY}),
    "create_run": ("operator", {"p_session_id": ANY, "p_template": "greet"}),
    "cancel_run": ("operator", {"p_run_id": ANY}),
    "retry_run": ("operator", {"p_run_id": ANY}),
    "rerun": ("operator", {"p_run_id": ANY}),
    "save_spec": ("operator", {"p_slug": "nothing", "p_files": {}}),
    "save_template": ("admin", {"p_spec": {}}),
    "set_template_enabled": ("admin", {"p_slug": "nothing", "p_enabled": True}),
    "set_worker_draining": ("admin", {"p_worker_id": ANY}),
    "set_member": ("admin", {"p_email": "nobody@example.test", "p_role": "viewer"}),
}


@pytest.mark.parametrize("function", NEEDS)
async def test_a_command_asks_for_its_role(room: Room, function: str) -> None:
    needed, args = NEEDS[function]
    for role in (None, *ROLES):
        person = await room.person(role)
        try:
            await person.call(function, **args)
            state = None
        except psycopg.Error as error:
            state = error.sqlstate
        if role is None:
            assert state == "ORA03"
        elif ROLES.index(role) < ROLES.index(needed):
            assert state == "ORA02"
        else:
            assert state not in {"ORA01", "ORA02", "ORA03"}


async def test_nobody_signed_in_is_refused(room: Room) -> None:
    async with room.acting("authenticated") as connection:
        with pytest.raises(psycopg.Error) as refused:
            await connection.execute("select public.whoami()")
    assert refused.value.sqlstate == "ORA01"
    async with room.acting("anon") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("select public.whoami()")


BAD: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "unknown template": ("ORN03", lambda s: {"p_session_id": s, "p_template": "nothing"}),
    "unknown session": ("ORN01", lambda _: {"p_session_id": uuid.uuid4(), "p_params": {"name": "ada"}}),
    "no session": ("ORN01", lambda _: {"p_session_id": None, "p_params": {"name": "ada"}}),
    "missing param": ("ORV01", lambda s: {"p_session_id": s, "p_params": {}}),
    "extra param": ("ORV01", lambda s: {"p_session_id": s, "p_params": {"name": "ada", "more": 1}}),
    "ill-typed param": ("ORV01", lambda s: {"p_session_id": s, "p_params": {"name": 1}}),
    "params that are no object": ("ORV01", lambda s: {"p_session_id": s, "p_params": [1]}),
    "a NUL": ("ORV01", lambda s: {"p_session_id": s, "p_params": {"name": "a\x00"}}),
    "a NUL key": ("ORV01", lambda s: {"p_session_id": s, "p_params": {"\x00": "a"}}),
    "10 MB": ("ORV01", lambda s: {"p_session_id": s, "p_params": {"name": "a" * 10_000_000}}),
    "lane E": ("ORV02", lambda s: {"p_session_id": s, "p_params": {"name": "ada"}, "p_lane": "E"}),
    "no lane": ("ORV02", lambda s: {"p_session_id": s, "p_params": {"name": "ada"}, "p_lane": None}),
    "priority 101": ("ORV02", lambda s: {"p_session_id": s, "p_params": {"name": "ada"}, "p_priority": 101}),
    "long title": ("ORV02", lambda s: {"p_session_id": s, "p_params": {"name": "ada"}, "p_title": "x" * 121}),
    "control character": ("ORV02", lambda s: {"p_session_id": s, "p_params": {"name": "ada"}, "p_title": "a\x07"}),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_refused_and_nothing_is_stored(
    room: Room, operator: Person, session_id: str, case: str
) -> None:
    sqlstate, args = BAD[case]
    before = await room.value("select (select count(*) from public.runs) + (select count(*) from public.audit_log)")
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("create_run", **{"p_template": "greet"} | args(session_id))
    assert refused.value.sqlstate == sqlstate
    assert refused.value.diag.message_hint
    if sqlstate == "ORV01":
        assert {"path", "code", "message"} == set(json.loads(refused.value.diag.message_detail or "")[0])
    after = await room.value("select (select count(*) from public.runs) + (select count(*) from public.audit_log)")
    assert after == before


async def test_a_quoted_backslash_is_not_a_nul(operator: Person, session_id: str, room: Room) -> None:
    spec = TEMPLATE | {"slug": "free-text", "params": {"properties": {"text": {"type": "string"}}}}
    await room.store_template(spec)
    params = {"text": "\\u0000 is text"}
    run = await operator.call("create_run", p_session_id=session_id, p_template="free-text", p_params=params)
    assert run["params"] == params


async def test_an_idempotency_key_creates_once(room: Room, operator: Person, session_id: str) -> None:
    args: dict[str, Any] = {
        "p_session_id": session_id,
        "p_template": "greet",
        "p_params": {"name": "ada"},
        "p_idempotency_key": "k1",
    }
    runs = await asyncio.gather(*(operator.call("create_run", **args) for _ in range(5)))
    assert len({run["id"] for run in runs}) == 1
    assert await room.value("select count(*) from public.runs where session_id = %s", session_id) == 1
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("create_run", **args | {"p_lane": "B"})
    assert refused.value.sqlstate == "ORC03"
    other = await room.person("operator")
    assert (await other.call("create_run", **args))["id"] != runs[0]["id"]


async def test_a_session_key_creates_once(operator: Person) -> None:
    first, second = [await operator.call("create_session", p_title="Same", p_idempotency_key="s1") for _ in range(2)]
    assert first["id"] == second["id"]
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("create_session", p_title="Other", p_idempotency_key="s1")
    assert refused.value.sqlstate == "ORC03"


async def test_an_archived_session_takes_no_runs(operator: Person, session_id: str, worker: Worker) -> None:
    args: dict[str, Any] = {"p_session_id": session_id, "p_template": "greet", "p_params": {"name": "ada"}}
    await operator.call("create_run", **args)
    with pytest.raises(psycopg.Error) as live:
        await operator.call("archive_session", p_session_id=session_id)
    assert live.value.sqlstate == "ORC02"
    (claim,) = await worker.claim()
    await worker.succeed(claim)
    archived = [await operator.call("archive_session", p_session_id=session_id) for _ in range(2)]
    assert archived[0] == archived[1]
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("create_run", **args)
    assert refused.value.sqlstate == "ORC01"
    await operator.call("reopen_session", p_session_id=session_id)
    assert (await operator.call("create_run", **args))["status"] == "queued"


async def test_saving_a_template_makes_a_version_and_pins_runs_to_theirs(
    room: Room, operator: Person, session_id: str
) -> None:
    admin = await room.person("admin")
    spec = TEMPLATE | {"slug": "versioned"}
    first = await admin.call("save_template", p_spec=spec)
    assert (await admin.call("save_template", p_spec=spec))["version"] == first["version"] == 1
    run = await operator.call("create_run", p_session_id=session_id, p_template="versioned", p_params={"name": "ada"})
    second = await admin.call("save_template", p_spec=spec | {"title": "Greet again"})
    assert second["version"] == 2
    detail = await operator.call("read_run", p_run_id=run["id"])
    assert (detail["run"]["template_version"], detail["run"]["template_digest"]) == (1, first["digest"])
    await room.owner.execute("select private.seed_template(%s::json)", (json.dumps(spec),))
    newest = [t for t in await operator.call("list_templates") if t["slug"] == "versioned"]
    assert [t["version"] for t in newest] == [2], "a seed never overrides a person's newer version"


async def test_a_disabled_template_takes_no_runs(room: Room, operator: Person, session_id: str) -> None:
    admin = await room.person("admin")
    await admin.call("save_template", p_spec=TEMPLATE | {"slug": "closed"})
    await admin.call("set_template_enabled", p_slug="closed", p_enabled=False)
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("create_run", p_session_id=session_id, p_template="closed", p_params={"name": "ada"})
    assert refused.value.sqlstate == "ORC04"


async def test_an_admin_keeps_their_own_role(room: Room) -> None:
    admin = await room.person("admin")
    with pytest.raises(psycopg.Error) as refused:
        await admin.call("set_member", p_email=admin.email, p_role="viewer")
    assert refused.value.sqlstate == "ORV02"


async def test_commands_are_audited(room: Room, operator: Person, session_id: str) -> None:
    run = await operator.call("create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"})
    await operator.call("cancel_run", p_run_id=run["id"], p_reason="enough")
    rows = await (
        await room.owner.execute(
            "select actor, actor_role, action, details from public.audit_log where target_id = %s order by id",
            (run["id"],),
        )
    ).fetchall()
    assert [(r[0], r[1], r[2]) for r in rows] == [
        (operator.user_id, "operator", "run.created"),
        (operator.user_id, "operator", "run.cancel_requested"),
    ]
    assert rows[1][3] == {"reason": "enough"}


async def test_an_artifact_needs_its_object(room: Room, operator: Person, session_id: str, worker: Worker) -> None:
    await operator.call("create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"})
    (claim,) = await worker.claim()
    await worker.start(claim)
    digest = "ab" * 32
    artifact = {
        "name": "out.txt",
        "kind": "file",
        "media_type": "text/plain",
        "sha256": digest,
        "size_bytes": 3,
        "step": "first",
    }
    args = {"p_run_id": claim["run_id"], "p_claim_token": claim["claim_token"]}
    with pytest.raises(psycopg.Error) as missing:
        await worker.call("put_artifact", **args, p_artifact=artifact)
    assert missing.value.sqlstate == "ORV02"
    await room.owner.execute(
        "insert into storage.objects (bucket_id, name, metadata) values ('artifacts', %s, '{\"size\": 3}')",
        (f"{claim['run_id']}/{digest}",),
    )
    first, same = [await worker.call("put_artifact", **args, p_artifact=artifact) for _ in range(2)]
    assert first == same
    with pytest.raises(psycopg.Error) as conflict:
        await worker.call("put_artifact", **args, p_artifact=artifact | {"sha256": "cd" * 32})
    assert conflict.value.sqlstate == "ORC07"
    with pytest.raises(psycopg.Error) as invalid:
        await worker.call(
            "put_artifact", **args, p_artifact={"name": "x", "kind": "poem", "media_type": "a/b", "url": "x:y"}
        )
    assert invalid.value.sqlstate == "ORV02"
    events = await operator.call("read_events", p_run_id=claim["run_id"])
    assert [e["type"] for e in events["events"]].count("artifact.added") == 1
