"""Verifiers, preconditions and rollbacks, executed by a real worker."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.worker.room import Room
from tests.worker.test_kinds import site

MAKE = 'printf "hello" > hello.txt; printf \'{"n": 3}\' > n.json'
SHA = hashlib.sha256(b"hello").hexdigest()


async def run_checked(room: Room, *steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    run_id = await room.launch(await room.template(list(steps), **keys))
    async with room.worker():
        return await room.until(run_id)


async def proofs(room: Room, run_id: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in await room.sql("select * from proofs where run_id = %s order by seq", run_id)}


@asynccontextmanager
async def github(*checks: tuple[str, str | None]) -> AsyncGenerator[str]:
    """A stand-in for the part of GitHub's API that lists check runs, in pages of a hundred."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        page = int(asked[-1].split("&page=")[1].split("&")[0])
        shown = checks[(page - 1) * 100 : page * 100]
        body = json.dumps({
            "total_count": len(checks),
            "check_runs": [{"name": n, "status": "completed" if c else "in_progress", "conclusion": c} for n, c in shown],
        }).encode()  # fmt: skip
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_every_kind_says_what_it_expected_and_what_it_saw(room: Room) -> None:
    room.secrets["DB"] = room.stack.database_url("postgres")
    many = [(f"check {n}", "success") for n in range(120)]
    async with site() as url, github(*many) as api:
        ci = {"repository": "acme/shop", "ref": "main", "api_url": api, "checks": ["check 3", "check 119"]}
        verifiers = [
            {"name": "answers", "kind": "http", "with": {"url": url, "expect": {"json": {"/state/db": "ok"}}}},
            {"name": "is there", "kind": "shell", "with": {"argv": ["test", "-s", "hello.txt"]}},
            {"name": "counts", "kind": "sql", "with": {"connection": "{{ secrets.DB }}", "sql": "select $1::int + 1", "params": [1], "expect": {"value": 2}}},
            {"name": "fits", "kind": "json_schema", "with": {"file": "n.json", "schema": {"properties": {"n": {"const": 3}}}}},
            {"name": "digest", "kind": "checksum", "with": {"file": "hello.txt", "sha256": SHA}},
            {"name": "files", "kind": "file", "with": {"path": "*.txt", "min_bytes": 5, "contains": "ell"}},
            {"name": "none left", "kind": "file", "with": {"path": "*.tmp", "absent": True}},
            {"name": "checks", "kind": "ci", "with": ci},
        ]  # fmt: skip
        run = await run_checked(room, {"with": {"script": MAKE}, "verifiers": verifiers}, secrets=["DB"])
    assert run["status"] == "succeeded", run["message"]
    found = await proofs(room, run["id"])
    assert [*found] == [v["name"] for v in verifiers] and all(row["passed"] for row in found.values())
    assert found["counts"]["seen"] == {"rows": 1, "value": 2}
    assert found["digest"]["expected"] == {"file": "hello.txt", "sha256": SHA}
    assert found["checks"]["seen"] == {"checks": {"check 119": "success", "check 3": "success"}}
    assert room.secrets["DB"] not in json.dumps([row["expected"] for row in found.values()])


async def test_what_does_not_hold_is_seen_and_fails_the_run(room: Room) -> None:
    room.secrets["DB"] = room.stack.database_url("postgres")
    async with github(("unit", "failure"), ("lint", None)) as api:
        verifiers = [
            {"name": "answers", "kind": "http", "with": {"url": "http://127.0.0.1:9/"}},
            {"name": "command", "kind": "shell", "with": {"argv": ["false"]}},
            {"name": "counts", "kind": "sql", "with": {"connection": "{{ secrets.DB }}", "sql": "select 1 where false"}},
            {"name": "writes", "kind": "sql", "with": {"connection": "{{ secrets.DB }}", "sql": "create table public.x ()"}},
            {"name": "fits", "kind": "json_schema", "with": {"file": "n.json", "schema": {"required": ["m"]}}},
            {"name": "digest", "kind": "checksum", "with": {"file": "hello.txt", "sha256": "0" * 64}},
            {"name": "outside", "kind": "checksum", "with": {"file": "../../etc/passwd", "sha256": "0" * 64}},
            {"name": "files", "kind": "file", "with": {"path": "*.md"}},
            {"name": "checks", "kind": "ci", "with": {"repository": "acme/shop", "ref": "main", "api_url": api}},
            {"name": "wrong inputs", "kind": "file", "with": {"pth": "x"}},
            {"name": "slow", "kind": "shell", "timeout_seconds": 1, "with": {"argv": ["sleep", "60"]}},
        ]  # fmt: skip
        run = await run_checked(room, {"with": {"script": MAKE}, "verifiers": verifiers}, secrets=["DB"])
    assert (run["status"], run["reason"]) == ("failed", "proof_failed")
    found = await proofs(room, run["id"])
    assert [*found] == [v["name"] for v in verifiers] and not any(row["passed"] for row in found.values())
    assert found["checks"]["seen"] == {"checks": {"unit": "failure", "lint": "in_progress"}}
    assert found["digest"]["seen"] == {"sha256": SHA}
    assert "read-only" in found["writes"]["seen"]["error"]
    assert "outside" in found["outside"]["seen"]["error"]
    assert "within its 1 s" in found["slow"]["seen"]["error"]


async def test_an_optional_verifier_fails_nothing(room: Room) -> None:
    optional = {"name": "fast", "kind": "shell", "required": False, "with": {"argv": ["false"]}}
    run = await run_checked(room, {"with": {"script": "true"}, "verifiers": [optional]})
    assert run["status"] == "succeeded"
    assert (await proofs(room, run["id"]))["fast"]["passed"] is False


async def test_without_its_precondition_a_step_does_nothing(room: Room) -> None:
    guard = {"name": "backup is there", "kind": "file", "with": {"path": "backup.dump"}}
    run = await run_checked(room, {"with": {"script": "echo acted"}, "preconditions": [guard]})
    assert (run["status"], run["reason"]) == ("failed", "proof_failed")
    assert "backup is there" in run["message"]
    assert await room.output(run["id"]) == ""
    assert (await proofs(room, run["id"]))["backup is there"]["phase"] == "before"


@pytest.mark.parametrize("broken", ["verifier", "step"])
async def test_rollbacks_run_in_reverse_order_when_a_required_verifier_does_not_pass(room: Room, broken: str) -> None:
    def undo(n: int) -> dict[str, Any]:
        return {"title": f"Undo {n}", "kind": "shell", "with": {"script": f"echo undone {n}"}}

    bad = {"name": "works", "kind": "shell", "with": {"argv": ["false"]}}
    last = (
        {"with": {"script": "echo did 3"}, "verifiers": [bad]}
        if broken == "verifier"
        else {"with": {"script": "exit 3"}}
    )
    run = await run_checked(
        room,
        {"with": {"script": "echo did 1"}, "rollback": undo(1)},
        {"with": {"script": "echo did 2"}, "needs": ["s1"]},
        {**last, "needs": ["s2"], "rollback": undo(3)},
        {"with": {"script": "echo did 4"}, "needs": ["s3"], "rollback": undo(4)},
    )
    assert run["status"] == "failed"
    output = (await room.output(run["id"])).split("\n")
    told = [
        (e["step"], e["type"], e["data"].get("status")) for e in await room.events(run["id"]) if "rollback" in e["type"]
    ]
    if broken == "verifier":
        assert output[:-1] == ["did 1", "did 2", "did 3", "undone 3", "undone 1"]
        assert told == [
            ("s3", "rollback.started", None), ("s3", "rollback.finished", "succeeded"),
            ("s1", "rollback.started", None), ("s1", "rollback.finished", "succeeded"),
        ]  # fmt: skip
    else:
        # Only a check that did not pass asks for rollbacks: a step that failed may be retried from where it was.
        assert (output[:-1], told) == (["did 1", "did 2"], [])


async def test_a_rollback_that_fails_is_told_and_the_others_go_on(room: Room) -> None:
    bad = {"name": "works", "kind": "shell", "with": {"argv": ["false"]}}
    run = await run_checked(
        room,
        {"with": {"script": "true"}, "rollback": {"title": "One", "kind": "shell", "with": {"script": "echo one"}}},
        {"with": {"script": "true"}, "needs": ["s1"], "verifiers": [bad],
         "rollback": {"title": "Two", "kind": "shell", "with": {"argv": ["false"]}}},
    )  # fmt: skip
    ends = [(e["step"], e["data"]["status"]) for e in await room.events(run["id"]) if e["type"] == "rollback.finished"]
    assert ends == [("s2", "failed"), ("s1", "succeeded")]
