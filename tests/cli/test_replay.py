"""`opsroom replay` and `opsroom compare`, with a real worker."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from tests.cli.command import Shell
from tests.support.gateway import Gateway
from tests.worker.room import eventually

LUCKY = "echo steady; echo $RANDOM$RANDOM$RANDOM; printf '{\"n\": %s}' $RANDOM$RANDOM > n.json"


@pytest.fixture(scope="module")
async def repeating(admin: ControlPlane) -> None:
    """Templates that promise to repeat: one does, one says so of what does not, and one does by its rules."""
    step: dict[str, Any] = {"id": "work", "title": "Work", "kind": "shell"}
    for slug, script, rules in (
        ("r-steady", "echo steady", None),
        ("r-lucky", LUCKY, None),
        ("r-ruled", LUCKY, {"ignore": ["/n"], "normalise": [{"pattern": "^[0-9]+$", "replace": "N"}, {"pattern": "\\n[0-9]+", "replace": " N"}]}),
    ):  # fmt: skip
        steps = [{**step, "with": {"script": script}, "artifacts": [{"path": "*.json", "required": False}]}]
        spec: dict[str, Any] = {"slug": slug, "title": f"Test {slug}", "deterministic": True, "steps": steps}
        await admin.save_template(spec | ({"compare": rules} if rules else {}))


async def ended(admin: ControlPlane, session: Session, slug: str) -> str:
    run = await admin.create_run(session.id, slug, {})

    async def over() -> bool:
        return not (await admin.read_run(run.id)).run.is_live

    await eventually(over, f"the end of a run of {slug}", 30)
    return run.id


async def test_a_replay_is_waited_for_and_its_verdict_is_the_exit_code(
    admin: ControlPlane, operator: Shell, viewer: Shell, session: Session, repeating: None, worker: None
) -> None:
    steady = await ended(admin, session, "r-steady")
    answer = await operator.run("replay", steady, "--wait", "--json")
    assert (answer.code, answer.json["verdict"], answer.json["of"]) == (0, "REPRODUCED", steady), answer.err
    told = await operator.run("replay", steady, "--wait", "--lane", "b")
    assert told.code == 0 and "REPRODUCED" in told.out and "1 step, 1 output compared with" in told.out

    lucky = await ended(admin, session, "r-lucky")
    diverged = await operator.run("replay", lucky[:8], "--wait")
    assert diverged.code == 1
    assert "DIVERGED" in diverged.out and "step work, stdout: differs from line 2 on" in diverged.out
    assert "artifact n.json: differs from line 2 on" in diverged.out and '-  "n": ' in diverged.out
    assert (await operator.run("replay", await ended(admin, session, "r-ruled"), "--wait")).code == 0

    at_once = await operator.run("replay", steady, "--json")
    assert (at_once.code, at_once.json["replay_of"]) == (0, steady)
    assert (await viewer.run("replay", steady)).code == 6
    refused = await operator.run("replay", await ended(admin, session, "t-hello"), "--json")
    assert (refused.code, refused.error["code"]) == (2, "not_deterministic")


async def test_any_two_runs_are_compared(
    admin: ControlPlane, operator: Shell, viewer: Shell, session: Session, repeating: None, worker: None
) -> None:
    first, second = [await ended(admin, session, "r-lucky") for _ in range(2)]
    hello = await ended(admin, session, "t-hello")
    same = await viewer.run("compare", hello, hello)
    assert (same.code, "They are the same." in same.out) == (0, True), same.out + same.err
    answer = await viewer.run("compare", first[:8], second, "--json")
    assert (answer.code, answer.json["differing"]) == (1, ["output", "artifacts"])
    assert answer.json["artifacts"][0]["text"]["left"].startswith('{"n": ')
    told = await viewer.run("compare", first, hello)
    assert told.code == 1
    for words in ("r-lucky v1", "t-hello v1", "output of work, stdout", "-steady", "+hello", "artifact", "report.md"):
        assert words in told.out
    assert "They differ in: template, output, artifacts." in told.out
    assert (await viewer.run("compare", first, "ffffffff")).code == 2


async def test_what_has_expired_is_said_and_the_rest_is_compared(
    admin: ControlPlane, gateway: Gateway, operator: Shell, session: Session, repeating: None, worker: None
) -> None:
    first, second = [await ended(admin, session, "r-lucky") for _ in range(2)]
    url = gateway.stack.database_url("supabase_admin")
    async with await psycopg.AsyncConnection.connect(url) as owner:
        # As its retention would leave it in 90 days.
        await owner.execute("set session_replication_role = replica")
        for table in ("run_events", "artifacts"):
            query = f"update public.{table} set expired_at = now() where run_id = %s"
            await owner.execute(query.encode(), (first,))
        await owner.execute("update public.run_events set message = '' where run_id = %s and type = 'output'", (first,))
    answer = await operator.run("compare", first, second)
    assert (answer.code, "They differ in: artifacts." in answer.out) == (1, True), answer.out + answer.err
    assert f"Output can not be compared. The log of run {first} has expired." in answer.out
    assert "artifact n.json: differs. The bytes of artifact 'n.json' expired" in answer.out
    refused = await operator.run("replay", first, "--json")
    assert (refused.code, refused.error["code"]) == (2, "evidence_expired")
