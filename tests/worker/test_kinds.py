"""The kinds http and sql, on a real server and the real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.worker.room import Room


@asynccontextmanager
async def site(
    status: int = 200, body: bytes = b'{"state": {"db": "ok", "n": [1, 2]}}', delay: float = 0
) -> AsyncGenerator[str]:
    """A web server that always gives the same answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(delay)
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/health"
    finally:
        server.close()


async def run_step(room: Room, kind: str, inputs: dict[str, Any], **keys: Any) -> tuple[dict[str, Any], Any]:
    """The run, and what the step left in its JSON file."""
    show = {"id": "show", "needs": ["s1"], "with": {"script": "cat s1.json"}}
    slug = await room.template([{"id": "s1", "kind": kind, "with": inputs}, show], **keys)
    run_id = await room.launch(slug)
    async with room.worker():
        run = await room.until(run_id)
    output = await room.output(run_id)
    return run, json.loads(output) if output else None


async def test_an_answer_as_expected_succeeds_and_is_there_for_later_steps(room: Room) -> None:
    async with site() as url:
        expect = {"status": [200, 204], "body_contains": "ok", "json": {"/state/db": "ok", "/state/n/1": 2}}
        run, result = await run_step(room, "http", {"url": url, "expect": expect})
    assert run["status"] == "succeeded"
    assert (result["status"], result["body"]["state"]["db"]) == (200, "ok")
    metrics = [event for event in await room.events(run["id"]) if event["type"] == "metric"]
    assert metrics[0]["data"]["name"] == "http_milliseconds"


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({}, "expected status 200"),
        ({"status": [503], "body_contains": "fine"}, "the body does not contain 'fine'"),
        ({"status": [503], "json": {"/state/db": "down"}}, 'expected "down" at /state/db, found "ok"'),
        ({"status": [503], "json": {"/nothing": 1}}, "the body has nothing at /nothing"),
    ],
)
async def test_an_answer_that_is_not_as_expected_fails_and_says_why(
    room: Room, expect: dict[str, Any], said: str
) -> None:
    async with site(503) as url:
        run, _ = await run_step(room, "http", {"url": url, "expect": expect})
    assert (run["status"], run["reason"]) == ("failed", "step_failed")
    assert said in run["message"]


async def test_a_server_that_is_not_there_or_is_silent_fails_the_step(room: Room) -> None:
    run, _ = await run_step(room, "http", {"url": "http://127.0.0.1:9/"})
    assert "could not be asked" in run["message"]
    async with site(delay=30) as url:
        run, _ = await run_step(room, "http", {"url": url, "timeout_seconds": 0.3})
    assert "did not answer within 0.3 s" in run["message"]


async def test_unknown_keys_are_refused_and_named(room: Room) -> None:
    run, _ = await run_step(room, "http", {"url": "http://127.0.0.1:9/", "metod": "GET"})
    assert "with.metod: Extra inputs are not permitted" in run["message"]


async def test_sql_runs_all_statements_in_one_transaction_with_bound_params(room: Room) -> None:
    room.secrets["DB"] = room.stack.database_url("supabase_admin")
    statements = [
        {"sql": "create temporary table t (a text, b jsonb)"},
        {"sql": "insert into t values ($1, $2), ('100%', null)", "params": ["{{ params.evil }}", {"k": [1]}]},
        {"sql": "select a, b, now() as at from t order by a"},
    ]
    run, result = await run_step(
        room, "sql", {"connection": "{{ secrets.DB }}", "statements": statements}, secrets=["DB"],
        params={"properties": {"evil": {"type": "string", "default": "'); drop table t; --"}}},
    )  # fmt: skip
    assert (run["status"], run["message"]) == ("succeeded", None)
    assert [(row["a"], row["b"]) for row in result[2]["rows"]] == [("'); drop table t; --", {"k": [1]}), ("100%", None)]


async def test_a_failing_statement_rolls_everything_back_and_shows_no_password(room: Room) -> None:
    room.secrets["DB"] = room.stack.database_url("postgres")
    statements = [{"sql": "create table public.must_not_stay (a int)"}, {"sql": "select 1/0"}]
    run, _ = await run_step(room, "sql", {"connection": "{{ secrets.DB }}", "statements": statements}, secrets=["DB"])
    assert run["message"] == "Step s1: statement 2 failed: division by zero"
    assert (await room.sql("select to_regclass('public.must_not_stay') as t"))[0]["t"] is None


async def test_a_long_statement_ends_with_a_cancelled_run(room: Room) -> None:
    room.secrets["DB"] = room.stack.database_url("postgres")
    slug = await room.template(
        [{"kind": "sql", "with": {"connection": "{{ secrets.DB }}", "statements": [{"sql": "select pg_sleep(60)"}]}}],
        secrets=["DB"],
    )
    run_id = await room.launch(slug)
    sleeping = "select pid from pg_stat_activity where query = 'select pg_sleep(60)'"
    async with room.worker():
        await room.until(run_id, "running")
        for _ in range(100):
            if await room.sql(sleeping):
                break
            await asyncio.sleep(0.05)
        await room.call("select cancel_run(%s)", run_id)
        assert (await room.until(run_id))["status"] == "cancelled"
        assert not await room.sql(sleeping)
