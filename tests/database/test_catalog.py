"""Walks the catalog: whatever a migration adds must keep these rules, or a test here turns red."""

import uuid

import psycopg
import pytest
from psycopg import sql

from tests.database.conftest import Room

COMMANDS = {
    "archive_session",
    "cancel_run",
    "collect_evidence",
    "create_run",
    "create_session",
    "decide_gate",
    "export_audit",
    "list_gates",
    "list_holds",
    "list_runs",
    "list_sessions",
    "list_specs",
    "list_template_versions",
    "list_templates",
    "mark_seen",
    "move_run",
    "place_hold",
    "place_run",
    "read_board",
    "read_collection",
    "read_events",
    "read_fleet",
    "read_heads",
    "read_insights",
    "read_run",
    "read_setup",
    "read_spec",
    "read_workers",
    "refresh_runs",
    "release_hold",
    "reopen_session",
    "replay_run",
    "rerun",
    "retry_run",
    "save_spec",
    "save_template",
    "search_room",
    "search_runs",
    "set_lane",
    "set_member",
    "set_session_paused",
    "set_template_enabled",
    "set_worker_draining",
    "validate_template",
    "whoami",
}
WORKER_FUNCTIONS = {
    "append_events",
    "attach_worker",
    "claim_batch",
    "claim_bundles",
    "claim_checkpoint",
    "claim_comparisons",
    "claim_runs",
    "collect_evidence",
    "drain_worker",
    "finish_alike",
    "finish_run",
    "finish_runs",
    "forget_objects",
    "heartbeat",
    "put_artifact",
    "put_bundle",
    "put_checkpoint",
    "read_evidence",
    "record_comparison",
    "read_gate",
    "register_worker",
    "release_runs",
    "set_member",
    "start_run",
    "start_runs",
    "stop_worker",
    "sweep_runs",
}
EVIDENCE = (
    "approvals",
    "bundles",
    "legal_holds",
    "checkpoints",
    "run_events",
    "artifacts",
    "template_versions",
    "spec_docs",
    "audit_log",
    "runs",
    "run_steps",
)
ANY = uuid.UUID(int=1)
ROLES = ("anon", "authenticated", "service_role")
IN_SCHEMAS = "from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('public', 'private')"


async def test_every_table_has_row_level_security(room: Room) -> None:
    tables = await room.column(
        "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname in ('public', 'private') and c.relkind in ('r', 'p') and not c.relrowsecurity"
    )
    assert tables == []


async def test_every_function_pins_its_search_path(room: Room) -> None:
    names = await room.column(
        f"select p.oid::regprocedure::text {IN_SCHEMAS} and not coalesce(p.proconfig, '{{}}') @> array['search_path=\"\"']"
    )
    assert names == []


async def test_functions_are_executable_by_name_only(room: Room) -> None:
    async def granted(role: str) -> set[str]:
        query = f"select n.nspname || '.' || p.proname {IN_SCHEMAS} and has_function_privilege(%s, p.oid, 'execute')"
        return set(await room.column(query, role))

    assert await granted("anon") == set()
    assert await granted("authenticated") == {f"public.{name}" for name in COMMANDS} | {"private.is_member"}
    assert await granted("service_role") == {f"public.{name}" for name in WORKER_FUNCTIONS}


async def test_nobody_may_write_a_table(room: Room) -> None:
    writable = await room.column(
        "select r.role || ' ' || p.privilege || ' ' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace, "
        "unnest(%s::text[]) as r (role), "
        "unnest(array['insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as p (privilege) "
        "where n.nspname in ('public', 'private') and c.relkind in ('r', 'p', 'v', 'm') "
        "and has_table_privilege(r.role, c.oid, p.privilege)",
        list(ROLES),
    )
    assert writable == []


async def test_anon_may_read_nothing(room: Room) -> None:
    readable = await room.column(
        "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname in ('public', 'private') and c.relkind in ('r', 'p', 'v') and has_table_privilege('anon', c.oid, 'select')"
    )
    assert readable == []


@pytest.mark.parametrize("table", EVIDENCE)
@pytest.mark.parametrize("statement", ["update {} set {} = {}", "delete from {}", "truncate {} cascade"])
@pytest.mark.parametrize("role", [*ROLES, "viewer", "operator", "approver", "admin"])
async def test_evidence_is_out_of_reach(room: Room, table: str, statement: str, role: str) -> None:
    column = await room.value(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum = 2", f"public.{table}"
    )
    name = sql.Identifier("public", table)
    places = (name, sql.Identifier(column), sql.Identifier(column)) if "set" in statement else (name,)
    user_id = None if role in ROLES else (await room.person(role)).user_id
    async with room.acting(role if role in ROLES else "authenticated", user_id) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(sql.SQL(statement).format(*places))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("table", ["run_events", "artifacts", "template_versions", "audit_log"])
async def test_not_even_the_owner_changes_evidence(room: Room, table: str) -> None:
    """The row must exist for the trigger to fire, so the owner makes one first, in a transaction that is undone."""
    rows = {
        "run_events": "select private.record_event((select id from public.runs limit 1), 'log', 'x')",
        "artifacts": "insert into public.artifacts (run_id, name, kind, media_type, url) "
        "select id, 'x', 'link', 'text/html', 'https://example.test' from public.runs limit 1",
        "template_versions": "select 1",
        "audit_log": "select private.audit('x', 'x', 'x')",
    }
    operator = await room.person("operator")
    session = await operator.call("create_session", p_title="Evidence")
    await operator.call("create_run", p_session_id=session["id"], p_template="greet", p_params={"name": "ada"})
    for statement in ("update {} set {} = {}", "delete from {}", "truncate {} cascade"):
        column = {"run_events": "seq", "audit_log": "action"}.get(table, "id")
        name = sql.Identifier("public", table)
        places = (name, sql.Identifier(column), sql.Identifier(column)) if "set" in statement else (name,)
        async with room.owner.transaction(force_rollback=True):
            await room.owner.execute(rows[table].encode())
            with pytest.raises(psycopg.Error) as refused:
                async with room.owner.transaction():
                    await room.owner.execute(sql.SQL(statement).format(*places))  # pyright: ignore[reportArgumentType]
        assert refused.value.sqlstate == "ORC08"


async def test_members_see_the_room_and_strangers_do_not(room: Room) -> None:
    operator = await room.person("operator")
    await operator.call("create_session", p_title="Seen")
    for role, sees in {"viewer": True, "admin": True, None: False}.items():
        person = await room.person(role)
        async with room.acting("authenticated", person.user_id) as connection:
            rows = await (await connection.execute("select count(*) from public.sessions")).fetchone()
            audit = await (await connection.execute("select count(*) from public.audit_log")).fetchone()
        assert rows is not None and audit is not None
        assert (rows[0] > 0) is sees
        assert (audit[0] > 0) is (role == "admin")


async def test_a_disabled_member_is_a_stranger(room: Room) -> None:
    person = await room.person("operator")
    await room.owner.execute("select public.set_member(%s, null)", (person.email,))
    with pytest.raises(psycopg.Error) as refused:
        await person.call("whoami")
    assert refused.value.sqlstate == "ORA03"


async def test_the_publication_carries_what_clients_follow(room: Room) -> None:
    tables = await room.column(
        "select tablename from pg_publication_tables where pubname = 'supabase_realtime' order by 1"
    )
    assert tables == ["artifacts", "run_events", "runs", "sessions"]


@pytest.mark.parametrize(
    ("topic", "role", "hears"),
    [
        ("sessions", "viewer", True),
        (f"session:{ANY}", "viewer", True),
        (f"run:{ANY}", "viewer", True),
        ("sessions", None, False),
        ("else", "admin", False),
        ("run:x' or true --", "admin", False),
    ],
)
async def test_doorbells_are_heard_by_members_only(room: Room, topic: str, role: str | None, hears: bool) -> None:
    person = await room.person(role)
    await room.owner.execute("select realtime.send('{}', 'changed', %s, true)", (topic,))
    async with room.acting("authenticated", person.user_id) as connection:
        await connection.execute("select set_config('realtime.topic', %s, true)", (topic,))
        query = "select count(*) from realtime.messages where topic = %s and extension = 'broadcast'"
        row = await (await connection.execute(query, (topic,))).fetchone()
    assert row is not None
    assert (row[0] > 0) is hears
