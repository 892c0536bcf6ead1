"""`opsroom up`: starts everything, stops everything it started and nothing else, and survives what crashes leave behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
from pathlib import Path

import httpx
import psycopg

from opsroom.local.environment import LOCAL_EMAIL
from opsroom.local.paths import State
from opsroom.local.postgres import dsn
from opsroom.local.secrets import load_or_create
from tests.local.launcher import Launcher, alive, until_gone


def database(launcher: Launcher) -> str:
    return dsn("postgres", load_or_create(launcher.folder / "secrets.json"), launcher.ports["DB"])


async def test_a_first_start_is_ready_for_work_and_a_stop_leaves_nothing_running(launcher: Launcher) -> None:
    running = await launcher.up()
    children = running.children()
    assert len(children) == 4  # Postgres, gateway, functions, worker
    state = State(launcher.folder)
    assert stat.S_IMODE(state.secrets.stat().st_mode) == 0o600
    run = json.loads(state.run_file.read_text())
    assert run["pid"] == running.process.pid and run["api_url"] == running.ready["api_url"]
    secrets = load_or_create(state.secrets)
    assert not [key for key in (secrets.service_role_key, secrets.operator) if key in state.run_file.read_text()]
    async with httpx.AsyncClient(base_url=run["api_url"], headers={"apikey": run["anon_key"]}) as api:
        account = {"email": LOCAL_EMAIL, "password": secrets.operator}
        token = (await api.post("/auth/v1/token?grant_type=password", json=account)).json()["access_token"]
        me = await api.post("/rest/v1/rpc/whoami", json={}, headers={"Authorization": f"Bearer {token}"})
        assert me.json()["role"] == "admin"
        health = await api.get("/functions/v1/ops-executor/v1/health")
        assert health.status_code == 200
    assert await running.stop(signal.SIGINT) == 0
    assert not [pid for pid in children if alive(pid)]
    assert not state.run_file.exists()


async def test_everything_ends_in_one_address_where_the_board_answers(launcher: Launcher) -> None:
    await launcher.bring_board()
    running = await launcher.up("--backend", "embedded")
    assert running.ready["ui_url"] == f"http://localhost:{launcher.ports['UI']}"
    assert running.ready["seconds"] < 30
    async with httpx.AsyncClient(follow_redirects=True) as client:
        page = await client.get(running.ready["ui_url"])
    assert page.status_code == 200 and "text/html" in page.headers["content-type"]
    (server,) = [pid for pid, command in running.children().items() if "granian" in command]
    environment = Path(f"/proc/{server}/environ").read_text()
    secrets = load_or_create(launcher.folder / "secrets.json")
    assert secrets.anon_key in environment
    for secret in (secrets.service_role_key, secrets.jwt, secrets.postgres, secrets.worker, secrets.supabase_admin):
        assert secret not in environment
    assert await running.stop() == 0


async def test_state_survives_a_restart_and_a_second_start_is_refused_meanwhile(launcher: Launcher) -> None:
    first = await launcher.up()
    key = first.ready["anon_key"]
    async with await psycopg.AsyncConnection.connect(database(launcher)) as connection:
        await connection.execute("create table public.kept as select 42 as answer")
    code, said = await launcher.command("up", "--no-ui")
    assert code == 4 and "already running" in said and str(first.process.pid) in said
    code, said = await launcher.command("reset", "--yes")
    assert code == 4 and "already running" in said
    await first.stop()
    second = await launcher.up()
    assert second.ready["anon_key"] == key and second.ready["seconds"] < 20
    async with await psycopg.AsyncConnection.connect(database(launcher)) as connection:
        row = await (await connection.execute("select answer from public.kept")).fetchone()
    assert row == (42,)
    await second.stop()
    code, said = await launcher.command("reset", "--yes")
    assert code == 0 and "Deleted" in said
    assert {path.name for path in launcher.folder.iterdir()} <= {"lock", "tools"}


async def test_a_killed_supervisor_takes_its_children_with_it_and_the_next_start_works(launcher: Launcher) -> None:
    first = await launcher.up()
    children = list(first.children())
    await first.stop(signal.SIGKILL)
    await until_gone(children)
    second = await launcher.up()
    assert second.ready["api_url"] == first.ready["api_url"]


async def test_stale_pid_files_that_name_an_unrelated_process_do_no_harm(launcher: Launcher) -> None:
    await (await launcher.up("--no-ui", "--no-worker")).stop()
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    (launcher.folder / "run.json").write_text(json.dumps({"pid": bystander.pid, "ports": {}}))
    pid_file = launcher.folder / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{bystander.pid}\n{launcher.folder}/postgres\n1700000000\n5432\n\n127.0.0.1\n  0 0\nready\n")
    owner = (launcher.folder / "postgres").stat()
    os.chown(pid_file, owner.st_uid, owner.st_gid)
    running = await launcher.up("--no-ui", "--no-worker")
    await running.stop()
    assert bystander.returncode is None and alive(bystander.pid)
    bystander.kill()
    await bystander.wait()


async def test_a_crashed_service_is_reported_and_started_again(launcher: Launcher) -> None:
    running = await launcher.up("--no-ui", "--no-worker")
    (gateway,) = [pid for pid, command in running.children().items() if "opsroom.local.gateway" in command]
    os.kill(gateway, signal.SIGKILL)
    assert "signal SIGKILL" in (await running.next("note", "ended unexpectedly"))["message"]
    await running.next("note", "runs again")
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{running.ready['api_url']}/health")).status_code == 200


async def test_a_crashed_database_comes_back_with_what_was_committed(launcher: Launcher) -> None:
    running = await launcher.up("--no-ui", "--no-worker")
    async with await psycopg.AsyncConnection.connect(database(launcher)) as connection:
        await connection.execute("create table public.committed as select 1 as one")
    (postmaster,) = [pid for pid, command in running.children().items() if "postgres -D" in command]
    os.kill(postmaster, signal.SIGKILL)
    await running.next("note", "runs again")
    async with await psycopg.AsyncConnection.connect(database(launcher)) as connection:
        await connection.execute("select one from public.committed")
    async with httpx.AsyncClient(headers={"apikey": running.ready["anon_key"]}) as client:
        answer = await client.get(f"{running.ready['api_url']}/auth/v1/settings")
        assert answer.status_code == 200


async def test_a_busy_port_is_named_and_nothing_is_lost(launcher: Launcher) -> None:
    await (await launcher.up("--no-ui", "--no-worker")).stop()
    kept = (launcher.folder / "secrets.json").read_bytes()
    with socket.create_server(("127.0.0.1", launcher.ports["API"])):
        code, said = await launcher.command("up", "--no-ui")
    assert code == 3
    assert f"Port {launcher.ports['API']} for the gateway is taken" in said and "OPSROOM_API_PORT" in said
    assert (launcher.folder / "secrets.json").read_bytes() == kept
    await launcher.up("--no-ui", "--no-worker")


async def test_an_interrupted_first_start_is_done_again(launcher: Launcher) -> None:
    (launcher.folder / "postgres.new").mkdir()
    (launcher.folder / "postgres.new" / "PG_VERSION").write_text("17")
    (launcher.folder / "secrets.new").write_text("{")
    running = await launcher.up("--no-ui", "--no-worker")
    assert running.ready["backend"] == "embedded"


async def test_a_second_signal_waits_for_nobody(launcher: Launcher) -> None:
    running = await launcher.up("--no-ui", "--no-worker")
    children = list(running.children())
    (gateway,) = [pid for pid, command in running.children().items() if "opsroom.local.gateway" in command]
    os.kill(gateway, signal.SIGSTOP)  # deaf to SIGTERM: it would be waited for
    running.process.send_signal(signal.SIGINT)
    await running.next("note", "Stopping")
    async with asyncio.timeout(7):  # it would be waited for 10 s
        assert await running.stop(signal.SIGINT) == 0
    assert not [pid for pid in children if alive(pid)]


async def test_a_signal_during_the_start_stops_what_was_started(launcher: Launcher) -> None:
    running = await launcher.begin()
    await running.next("step_started", "Gateway")
    children = list(running.children())
    assert children
    assert await running.stop() == 0
    assert not [pid for pid in children if alive(pid)]
    assert not any('"ready"' in line for line in running.said)
