"""Operations from the command line: force, resume, places, pauses, the fleet, dead letters."""

import asyncio
import json
import os
import time
from typing import Any

import pytest
from pydantic import JsonValue

from opsroom.cli.failure import FAILED, INVALID, NOT_ALLOWED, OK
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from tests.cli.command import PROGRAM, Running, Shell
from tests.worker.room import eventually, processes_with

LATER = ("http-healthcheck", "-p", "url=https://example.org", "--not-before", "+1d", "--json")


async def waiting(shell: Shell, session: Session) -> tuple[Running, str]:
    """A run that goes on until it is stopped, and somebody who follows it."""
    follower = await shell.start("run", "t-wait", "-p", "flag=/never", "--session", session.id, "--follow")
    await follower.until_printed("started")
    return follower, (await shell.run("runs", "--session", session.id, "--json")).json[0]["id"]


async def answered(shell: Shell, answer: str, *arguments: str) -> tuple[int, str]:
    """A command at a terminal, whose question gets `answer`: its exit code and what it said besides its result."""
    ours, theirs = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(str(PROGRAM), *arguments),
            env=dict(shell.environment),
            stdin=theirs,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        os.write(ours, f"{answer}\n".encode())
        _, said = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, said.decode()
    finally:
        os.close(ours)
        os.close(theirs)


async def test_force_says_what_it_means_and_asks(operator: Shell, session: Session, worker: None) -> None:
    follower, run_id = await waiting(operator, session)
    assert processes_with(run_id)
    unasked = await operator.run("cancel", run_id, "--force", "--json")
    assert (unasked.code, "Processes of the run" in unasked.err, "--yes" in unasked.err) == (INVALID, True, True)
    code, said = await answered(operator, "n", "cancel", run_id[:8], "--force")
    assert (code, "by force?" in said, "30 s" in said) == (FAILED, True, True)
    assert (await operator.run("runs", "--session", session.id, "--json")).json[0]["status"] == "running"
    assert (await answered(operator, "y", "cancel", run_id[:8], "--force"))[0] == OK
    assert (await operator.run("runs", "--session", session.id, "--json")).json[0]["status"] == "cancelled"
    assert "Cancelled by" in (await follower.ended()).err


async def test_force_with_yes_does_not_ask_and_a_queued_run_needs_none(
    operator: Shell, session: Session, worker: None
) -> None:
    follower, run_id = await waiting(operator, session)
    ended = await operator.run("cancel", run_id, "--force", "--yes", "--reason", "stuck", "--json")
    assert (ended.json["status"], ended.json["cancel_reason"]) == ("cancelled", "stuck")
    await follower.ended()

    async def gone() -> bool:
        return not processes_with(run_id)

    await eventually(gone, "its worker to end what the run had started", 10)
    again = await operator.run("cancel", run_id, "--force")
    assert (again.code, "had ended before: cancelled" in again.out) == (OK, True)
    queued = await operator.run("run", *LATER, "--session", session.id)
    assert "is cancelled" in (await operator.run("cancel", queued.json["id"], "--force")).out


async def test_a_retry_that_resumes_carries_over_what_succeeded(
    operator: Shell, admin: ControlPlane, session: Session, worker: None
) -> None:
    slug = f"t-{time.time_ns()}"
    first: dict[str, JsonValue] = {
        "with": {"script": "echo kept > kept.txt; echo once"},
        "artifacts": [{"path": "*.txt"}],
    }
    second: dict[str, JsonValue] = {"with": {"script": '[ "$RUN_ATTEMPT" = 2 ] && cat kept.txt'}, "needs": ["first"]}
    steps: list[JsonValue] = [
        {"id": name, "title": name, "kind": "shell"} | step for name, step in {"first": first, "second": second}.items()
    ]
    await admin.save_template({"slug": slug, "title": "Two steps", "steps": steps})
    failed = await operator.run("run", slug, "--session", session.id, "--follow", "--json")
    assert failed.code == FAILED
    run_id = json.loads(failed.out.splitlines()[-1])["id"]
    retried = await operator.run("retry", run_id, "--resume", "--follow")
    assert retried.code == OK, retried.out + retried.err
    assert "Steps carried over: first." in retried.err
    printed = [line[9:] for line in retried.out.splitlines()]
    assert ("once" in printed, "kept" in printed) == (False, True)


async def test_a_queued_run_is_moved(operator: Shell, session: Session) -> None:
    run = (await operator.run("run", *LATER, "--session", session.id)).json
    assert (await operator.run("move", run["id"][:8], "--json")).error["code"] == "invalid_argument"
    moved = await operator.run("move", run["id"][:8], "--lane", "c", "--priority", "-5")
    assert (moved.code, "lane C with priority -5" in moved.out) == (OK, True)
    await operator.run("cancel", run["id"])
    refused = await operator.run("move", run["id"], "--lane", "a", "--json")
    assert (refused.code, refused.error["code"]) == (INVALID, "illegal_transition")


@pytest.mark.parametrize("what", ["lanes", "session"])
async def test_a_pause_holds_the_queue_and_loses_nothing(
    what: str, operator: Shell, session: Session, worker: None
) -> None:
    place = [session.title, "b"] if what == "lanes" else [session.title]
    assert "paused" in (await operator.run(what, "pause", *place)).out
    run = (await operator.run("run", "t-hello", "--session", session.id, "--lane", "b", "--json")).json
    other = await operator.run("run", "t-hello", "--session", (await other_session(operator)), "--follow")
    assert other.code == OK, "the worker works on"
    assert (await operator.run("runs", "--session", session.id, "--json")).json[0]["status"] == "queued"
    listed = await operator.run("lanes", "list", session.id)
    assert ("paused for" in listed.out, "whole session" in listed.err) == (True, what == "session")
    lanes = (await operator.run("lanes", "list", session.id, "--json")).json
    assert [lane["queued"] for lane in lanes["lanes"]] == [0, 1, 0, 0]
    assert (await operator.run(what, "resume", *place, "--json")).json["paused_at"] is None
    assert (await operator.run("logs", run["id"], "--follow")).code == OK


async def other_session(shell: Shell) -> str:
    return (await shell.run("session", "create", f"Other {time.time_ns()}", "--json")).json["id"]


async def test_a_lane_gets_slots(operator: Shell, viewer: Shell, session: Session) -> None:
    changed = await operator.run("lanes", "set", session.id, "a", "--slots", "3")
    assert (changed.code, "Lane A is open, with 3 slots." in changed.out) == (OK, True)
    assert (await operator.run("lanes", "set", session.id, "a", "--slots", "0", "--json")).code == INVALID
    assert (await operator.run("lanes", "set", session.id, "e", "--slots", "2", "--json")).code == INVALID
    assert (await viewer.run("lanes", "pause", session.id, "a")).code == NOT_ALLOWED


async def test_the_fleet_is_shown_and_a_worker_drained(
    operator: Shell, administrator: Shell, session: Session, worker: None
) -> None:
    assert (await operator.run("run", "t-hello", "--session", session.id, "--follow")).code == OK
    fleet = (await operator.run("fleet", "--json")).json
    mine: dict[str, Any] = max(
        (w for w in fleet["workers"] if w["missing_since"] is None), key=lambda w: w["started_at"]
    )
    table = await operator.run("fleet")
    assert mine["id"][:8] in table.out
    assert "The last sweep was" in table.out
    assert (await operator.run("workers", "drain", mine["id"])).code == NOT_ALLOWED
    assert (await administrator.run("workers", "drain", mine["id"][:8])).code == OK
    assert "draining" in (await operator.run("fleet")).out
    back = await administrator.run("workers", "resume", mine["id"], "--json")
    assert back.json["draining_at"] is None
    assert (await operator.run("run", "t-hello", "--session", session.id, "--follow")).code == OK
    missing = await administrator.run("workers", "drain", "nobody", "--json")
    assert (missing.code, missing.error["code"]) == (INVALID, "worker_not_found")


async def test_dead_letters_are_listed(operator: Shell, admin: ControlPlane, session: Session, worker: None) -> None:
    slug = f"t-{time.time_ns()}"
    step: dict[str, JsonValue] = {"id": "work", "title": "Work", "kind": "shell", "with": {"script": "exit 1"}}
    retry: dict[str, JsonValue] = {"attempts": 2, "on": ["failed"], "backoff_seconds": 0}
    await admin.save_template({"slug": slug, "title": "Gives up", "steps": [step], "retry": retry})
    await operator.run("run", slug, "--session", session.id, "--follow")
    last, first = (await operator.run("runs", "--session", session.id, "--json")).json
    assert (last["retry_of"], first["attempt"]) == (first["id"], 1)
    await operator.run("logs", last["id"], "--follow")
    dead = await operator.run("runs", "--dead-letters", "--session", session.id, "--json")
    assert [run["id"] for run in dead.json] == [last["id"]]
    assert last["id"][:8] in (await operator.run("runs", "--dead-letters")).out
    assert (await operator.run("runs", "--dead-letters", "--lane", "z")).code == INVALID
