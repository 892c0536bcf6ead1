"""Everything that can be wrong before a start: one clear sentence, its exit code, nothing lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from opsroom.local import postgres, privileges
from opsroom.local.errors import MigrationRefused, MissingTool, NoPermission, StackError
from opsroom.local.migrations import migrate
from opsroom.local.paths import State, ports_from_environment
from opsroom.local.secrets import generate, load_or_create
from tests.local.launcher import Launcher
from tests.support.stack import Stack


async def test_a_state_folder_that_is_a_file_is_refused(launcher: Launcher) -> None:
    file = launcher.folder / "file"
    file.write_text("")
    code, said = await launcher.command("up", "--no-ui", OPSROOM_STATE_DIR=str(file))
    assert code == 6 and str(file) in said


async def test_a_port_that_is_no_number_is_refused(launcher: Launcher) -> None:
    code, said = await launcher.command("up", OPSROOM_UI_PORT="http")
    assert code == 3 and "OPSROOM_UI_PORT=http" in said


async def test_damaged_secrets_are_refused_and_kept(launcher: Launcher) -> None:
    secrets = launcher.folder / "secrets.json"
    for damage in ('{"jwt": "x"}', "not json", "[]"):
        secrets.write_text(damage)
        code, said = await launcher.command("up", "--no-ui")
        assert code == 1 and "is damaged" in said
        assert secrets.read_text() == damage


async def test_reset_asks_and_takes_no_for_an_answer(launcher: Launcher) -> None:
    (launcher.folder / "secrets.json").write_text("{}")
    code, _ = await launcher.command("reset")  # no terminal, so no answer
    assert code == 1 and (launcher.folder / "secrets.json").exists()


def test_a_missing_program_is_named() -> None:
    with pytest.raises(MissingTool, match=r"'postgres-of-tomorrow' is missing: run `uv sync"):
        postgres.tool("postgres-of-tomorrow")


def test_ports_can_be_left_to_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSROOM_UI_PORT", "0")
    assert ports_from_environment().ui > 0


def test_secrets_are_made_once(tmp_path: Path) -> None:
    made = load_or_create(tmp_path / "secrets.json")
    assert load_or_create(tmp_path / "secrets.json") == made
    assert len({*json.loads((tmp_path / "secrets.json").read_text()).values()}) == 8


async def test_a_database_with_other_passwords_is_told(stack: Stack) -> None:
    other = postgres.Postgres(stack.state, generate(), stack.ports.database)
    other.process = await asyncio.create_subprocess_exec(
        "sleep", "60"
    )  # in place of the server, which is there already
    with pytest.raises(StackError, match="does not fit the database"):
        await other.wait_until_ready()


def test_root_without_an_account_to_drop_to_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges.os, "geteuid", lambda: 0)
    monkeypatch.setattr(privileges, "ACCOUNTS", ("nobody-has-this-name",))
    with pytest.raises(NoPermission, match="run `make up` as an ordinary user"):
        privileges.for_postgres(())


async def test_postgres_runs_from_a_folder_that_its_account_cannot_reach(tmp_path: Path) -> None:
    """As root: a clone in /root, mode 700. As an ordinary user this is the ordinary case."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    state = State(closed / "state")
    state.create()
    from opsroom.local.paths import free_port

    server = postgres.Postgres(state, load_or_create(state.secrets), free_port(), durable=False)
    try:
        await server.start()
        async with await psycopg.AsyncConnection.connect(server.dsn("supabase_admin")) as connection:
            row = await (await connection.execute("show server_version_num")).fetchone()
            assert row is not None and int(row[0]) >= 170000
    finally:
        await server.stop()


@asynccontextmanager
async def _empty_database(stack: Stack, name: str) -> AsyncIterator[str]:
    admin = stack.database_url("supabase_admin")
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
        await connection.execute(f"create database {name} owner postgres".encode())
        url = stack.database_url("postgres", name)
        async with await psycopg.AsyncConnection.connect(url) as inside:
            await inside.execute(
                "create schema supabase_migrations create table schema_migrations (version text primary key, "
                "statements text[], name text) create table seed_files (path text primary key, hash text)"
            )
        yield url
        await connection.execute(f"drop database {name}".encode())


async def test_migrations_run_once_in_order_and_an_edited_one_is_refused(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "20260101_first.sql").write_text("create table public.a (id int);\n")
    (folder / "20260102_second.sql").write_text("alter table public.a add column b int;\n")
    (tmp_path / "seed.sql").write_text("insert into public.a values (1, 2);\n")
    async with _empty_database(stack, "migrated") as url:
        done = await migrate(url, tmp_path)
        assert done.migrations == ("20260101_first.sql", "20260102_second.sql") and done.seeded
        again = await migrate(url, tmp_path)
        assert again.migrations == () and not again.seeded
        (folder / "20260103_broken.sql").write_text("create table public.c (id int);\nselect nothing;\n")
        with pytest.raises(MigrationRefused, match=r"20260103_broken.sql failed and was rolled back: .*\(line 2\)"):
            await migrate(url, tmp_path)
        async with await psycopg.AsyncConnection.connect(url) as connection:
            row = await (await connection.execute("select to_regclass('public.c')")).fetchone()
            assert row == (None,)
        (folder / "20260103_broken.sql").unlink()
        (folder / "20260101_first.sql").write_text("create table public.a (id bigint);\n")
        with pytest.raises(MigrationRefused, match=r"20260101_first.sql was edited"):
            await migrate(url, tmp_path)
        (folder / "20260101_first.sql").write_text("create table public.a (id int);\n")
        (folder / "20250101_early.sql").write_text("select 1;\n")
        with pytest.raises(MigrationRefused, match=r"20250101_early.sql is older"):
            await migrate(url, tmp_path)
        (folder / "20250101_early.sql").unlink()
        (folder / "20260102_second.sql").unlink()
        with pytest.raises(MigrationRefused, match="20260102, which is not in"):
            await migrate(url, tmp_path)


async def test_a_hosted_project_needs_its_address_and_keys(launcher: Launcher) -> None:
    cases = {
        "needs SUPABASE_URL": {},
        "needs the project's SUPABASE_PUBLISHABLE_KEY": {"SUPABASE_URL": "https://x.supabase.co"},
        "worker needs the project's SUPABASE_SECRET_KEY": {"SUPABASE_URL": "https://x.co", "SUPABASE_ANON_KEY": "k"},
        "cannot be reached": {
            "SUPABASE_URL": "http://127.0.0.1:1",
            "SUPABASE_ANON_KEY": "k",
            "SUPABASE_SECRET_KEY": "s",
        },
    }
    for sentence, environment in cases.items():
        code, said = await launcher.command("up", "--backend", "hosted", "--no-ui", **environment)
        assert code == 8 and sentence in said, said


async def test_a_hosted_project_without_our_schema_is_told_what_to_run(launcher: Launcher) -> None:
    body = json.dumps({"code": "PGRST205", "message": "Could not find the table 'public.run_templates'"})

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        keys = {"SUPABASE_ANON_KEY": "k", "SUPABASE_SECRET_KEY": "s"}
        code, said = await launcher.command(
            "up", "--backend", "hosted", "--no-ui", SUPABASE_URL=f"http://127.0.0.1:{port}", **keys
        )
    assert code == 8 and "supabase db push --include-seed" in said


async def test_the_programs_run_around_a_project_elsewhere(launcher: Launcher, stack: Stack) -> None:
    keys = {"SUPABASE_PUBLISHABLE_KEY": stack.anon_key, "SUPABASE_SECRET_KEY": stack.service_role_key}
    running = await launcher.up("--backend", "hosted", "--no-ui", SUPABASE_URL=stack.api_url, **keys)
    assert running.ready["backend"] == "hosted" and running.ready["api_url"] == stack.api_url
    assert len(running.children()) == 1  # the worker: no database, gateway or functions
    code, said = await launcher.command(
        "up", "--backend", "hosted", "--no-ui", SUPABASE_URL=stack.api_url, SUPABASE_ANON_KEY="wrong",
        SUPABASE_SECRET_KEY="wrong",
    )  # fmt: skip
    assert code == 4, said
    await running.stop()
    code, said = await launcher.command(
        "up", "--backend", "hosted", "--no-ui", SUPABASE_URL=stack.api_url, SUPABASE_ANON_KEY="wrong",
        SUPABASE_SECRET_KEY="wrong",
    )  # fmt: skip
    assert code == 8 and "refuses the key" in said
