"""`opsroom replay` and `opsroom compare`, with a real worker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from tests.cli.command import Shell

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


async def ended(shell: Shell, session: Session, slug: str) -> str:
    answer = await shell.run("run", slug, "--session", session.id, "--follow", "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out.splitlines()[-1])["id"]


async def test_a_replay_is_waited_for_and_its_verdict_is_the_exit_code(
    operator: Shell, viewer: Shell, session: Session, repeating: None, worker: None
) -> None:
    steady = await ended(operator, session, "r-steady")
    answer = await operator.run("replay", steady, "--wait", "--json")
    assert (answer.code, answer.json["verdict"], answer.json["of"]) == (0, "REPRODUCED", steady), answer.err
    told = await operator.run("replay", steady, "--wait", "--lane", "b")
    assert told.code == 0 and "REPRODUCED" in told.out and "1 step, 1 output compared with" in told.out

    lucky = await ended(operator, session, "r-lucky")
    diverged = await operator.run("replay", lucky[:8], "--wait")
    assert diverged.code == 1
    assert "DIVERGED" in diverged.out and "step work, stdout: differs from line 2 on" in diverged.out
    assert "artifact n.json: differs from line 2 on" in diverged.out and '-  "n": ' in diverged.out
    assert (await operator.run("replay", await ended(operator, session, "r-ruled"), "--wait")).code == 0

    at_once = await operator.run("replay", steady, "--json")
    assert (at_once.code, at_once.json["replay_of"]) == (0, steady)
    assert (await viewer.run("replay", steady)).code == 6
    refused = await operator.run("replay", await ended(operator, session, "t-hello"), "--json")
    assert (refused.code, refused.error["code"]) == (2, "not_deterministic")


async def test_any_two_runs_are_compared(
    operator: Shell, viewer: Shell, session: Session, repeating: None, worker: None
) -> None:
    first, second = [await ended(operator, session, "r-lucky") for _ in range(2)]
    hello = await ended(operator, session, "t-hello")
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
