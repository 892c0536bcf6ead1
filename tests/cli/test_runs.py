"""Runs from the command line, executed by a real worker: follow, exit codes, logs, artifacts."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from opsroom.cli.failure import CANCELLED, FAILED, INTERRUPTED, INVALID, OK, TIMED_OUT
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from tests.cli.command import PROGRAM, Answer, Shell
from tests.support.gateway import Gateway


async def launch(shell: Shell, template: str, session: Session, *arguments: str) -> Answer:
    return await shell.run("run", template, "--session", session.id, *arguments)


async def test_follow_shows_the_log_and_succeeds(operator: Shell, session: Session, worker: None) -> None:
    answer = await launch(operator, "t-hello", session, "--follow", "--lane", "b")
    assert answer.code == OK, answer.err
    lines = [line[9:] for line in answer.out.splitlines()]
    assert "hello" in lines
    assert "oops" in lines
    assert "in lane B" in answer.err
    assert "succeeded" in answer.err


@pytest.mark.parametrize(
    ("template", "code", "status"), [("t-fail", FAILED, "failed"), ("t-slow", TIMED_OUT, "timed_out")]
)
async def test_the_exit_code_follows_the_run(
    template: str, code: int, status: str, operator: Shell, session: Session, worker: None
) -> None:
    answer = await launch(operator, template, session, "--follow", "--json")
    assert answer.code == code
    *events, run = [json.loads(line) for line in answer.out.splitlines()]
    assert run["status"] == status
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == f"run.{status}"


async def test_a_cancelled_run_ends_its_follower_with_its_code(
    operator: Shell, session: Session, worker: None, tmp_path: Path
) -> None:
    running = await operator.start("run", "t-wait", "-p", f"flag={tmp_path}/never", "--session", session.id, "--follow")
    await running.until_printed("started")
    found = (await operator.run("runs", "--session", session.id, "--json")).json
    told = await operator.run("cancel", found[0]["id"][:8], "--reason", "no longer needed")
    assert told.code == OK
    assert (await running.ended()).code == CANCELLED


async def test_ctrl_c_lets_go_of_the_log_and_the_run_goes_on(
    operator: Shell, session: Session, worker: None, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    running = await operator.start("run", "t-wait", "-p", f"flag={flag}", "--session", session.id, "-f")
    await running.until_printed("started")
    answer = await running.interrupt()
    assert answer.code == INTERRUPTED
    assert "Traceback" not in answer.err
    run = (await operator.run("runs", "--session", session.id, "--json")).json[0]
    assert f"opsroom logs {run['id'][:8]} -f" in answer.err
    assert f"opsroom cancel {run['id'][:8]}" in answer.err
    assert run["status"] == "running"
    again = await operator.start("logs", run["id"][:8], "-f")
    await again.until_printed("started")
    flag.touch()
    ended = await again.ended()
    assert (ended.code, "done" in ended.out) == (OK, True)


async def test_a_follower_survives_the_loss_of_the_gateway(
    gateway: Gateway, operator: Shell, session: Session, worker: None, tmp_path: Path
) -> None:
    """The follower goes through a gateway of its own; the run and its worker do not notice."""
    flag = tmp_path / "flag"
    own = Gateway(gateway.stack)
    await own.start()
    try:
        person = await own.person("operator")
        shell = Shell(own.environment(tmp_path), tmp_path)
        signed = await shell.run("sign-in", "--email", person.email, "--password-stdin", stdin=person.password)
        assert signed.code == OK
        running = await shell.start("run", "t-wait", "-p", f"flag={flag}", "--session", session.id, "--follow")
        await running.until_printed("started")
        await own.stop()
        assert running.process.stderr is not None
        async with asyncio.timeout(30):
            told = b""
            while b"Trying again" not in told:
                told += await running.process.stderr.readline()
        flag.touch()
        await own.start()
        ended = await running.ended()
        assert (ended.code, "done" in ended.out) == (OK, True)
    finally:
        await own.stop()


async def test_without_follow_it_returns_at_once_and_says_how_to_watch(operator: Shell, session: Session) -> None:
    answer = await launch(operator, "http-healthcheck", session, "-p", "url=https://example.org", "--not-before", "+1d")
    assert answer.code == OK
    assert "is queued in lane A" in answer.out
    assert "opsroom logs " in answer.err


async def test_values_keep_the_types_of_the_schema(operator: Shell, session: Session, admin: ControlPlane) -> None:
    arguments = ["-p", "url=https://example.org", "-p", "timeout_seconds=5", "-p", "expected_status=200"]
    answer = await launch(
        operator, "http-healthcheck", session, *arguments, "-p", "expected_status=204", "--not-before", "+1h", "--json"
    )
    assert answer.json["params"] == {
        "url": "https://example.org",
        "timeout_seconds": 5,
        "expected_status": [200, 204],
    }
    rerun = await operator.run("rerun", answer.json["id"][:8], "-p", "timeout_seconds=6", "--lane", "c", "--json")
    assert rerun.code == OK, rerun.err
    assert rerun.json["params"] == answer.json["params"] | {"timeout_seconds": 6}
    assert (rerun.json["lane"], rerun.json["rerun_of"]) == ("C", answer.json["id"])
    await admin.cancel_run(rerun.json["id"])


async def test_a_failed_run_is_retried_once_however_often_it_is_asked(
    operator: Shell, session: Session, worker: None
) -> None:
    failed = await launch(operator, "t-fail", session, "--follow", "--json")
    run_id = json.loads(failed.out.splitlines()[-1])["id"]
    first = await operator.run("retry", run_id[:10], "--json")
    second = await operator.run("retry", run_id, "--follow", "--json")
    assert first.json["id"] == json.loads(second.out.splitlines()[-1])["id"]
    assert (first.json["attempt"], second.code) == (2, FAILED)


async def test_a_live_run_cannot_be_retried(operator: Shell, session: Session) -> None:
    arguments = ["-p", "url=https://example.org", "--not-before", "+1d", "--json"]
    queued = await launch(operator, "http-healthcheck", session, *arguments)
    answer = await operator.run("retry", queued.json["id"], "--json")
    assert (answer.code, answer.error["code"]) == (INVALID, "run_not_finished")


async def test_artifacts_are_listed_and_downloaded_with_their_digest_checked(
    operator: Shell, session: Session, worker: None, tmp_path: Path
) -> None:
    followed = await launch(operator, "t-hello", session, "--follow", "--json")
    run_id = json.loads(followed.out.splitlines()[-1])["id"]
    listed = (await operator.run("artifacts", run_id, "--json")).json
    report = next(item for item in listed if item["name"].endswith("report.md"))
    target = tmp_path / "evidence"
    answer = await operator.run("artifacts", run_id[:8], "--download", str(target))
    assert answer.code == OK, answer.err
    files = [path for path in target.rglob("*") if path.is_file()]
    assert [path.read_text() for path in files] == ["# Report\n"]
    assert hashlib.sha256(files[0].read_bytes()).hexdigest() == report["sha256"]


async def test_a_damaged_artifact_is_refused_and_not_left_behind(
    gateway: Gateway, operator: Shell, session: Session, worker: None, tmp_path: Path
) -> None:
    followed = await launch(operator, "t-hello", session, "--follow", "--json")
    run = json.loads(followed.out.splitlines()[-1])
    blobs = [path for path in gateway.stack.state.storage.rglob("*") if path.is_file()]
    damaged = [path for path in blobs if path.read_bytes() == b"# Report\n"]
    assert damaged
    for path in damaged:
        path.write_bytes(b"# Forged\n")
    answer = await operator.run("artifacts", run["id"], "--download", str(tmp_path / "out"))
    assert answer.code == FAILED
    assert "was recorded as sha256" in answer.err
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    for path in damaged:
        path.write_bytes(b"# Report\n")


async def test_runs_are_listed_for_people_and_for_scripts(operator: Shell, session: Session) -> None:
    arguments = ["-p", "url=https://example.org", "--not-before", "+1d", "--title", "[red]not markup[/red]"]
    await launch(operator, "http-healthcheck", session, *arguments)
    table = await operator.run("runs", "--session", session.title, "--status", "queued", "--lane", "a")
    assert "[red]not markup[/red]" in table.out
    assert "\x1b" not in table.out
    assert (await operator.run("runs", "--session", session.id, "--status", "failed", "--json")).json == []


async def test_a_pipe_that_closes_early_is_no_error(operator: Shell, session: Session, worker: None) -> None:
    followed = await launch(operator, "t-hello", session, "--follow", "--json")
    run_id = json.loads(followed.out.splitlines()[-1])["id"]
    process = await asyncio.create_subprocess_shell(
        f"{PROGRAM} logs {run_id} | true",
        env=dict(operator.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert err.decode() == ""
