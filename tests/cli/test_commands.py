"""Sessions, templates, people, Spec Kit and the sign-in from the command line."""

import asyncio
import json
import resource
import stat
import time
from pathlib import Path

from pydantic import JsonValue

from opsroom.cli.failure import FAILED, INVALID, NOT_ALLOWED, OK, UNREACHABLE
from opsroom.cli.templates import REPOSITORY
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from tests.cli.command import Shell
from tests.support.gateway import Gateway


async def test_help_is_there_at_once(operator: Shell) -> None:
    taken: list[float] = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = await operator.run("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time: what the wall clock shows also depends on who else is busy.
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert "Launch runbooks" in answer.out
    assert min(taken) < 0.3


async def test_a_session_is_created_archived_and_reopened_by_its_title(operator: Shell) -> None:
    title = f"Release {time.time_ns()}"
    made = await operator.run("session", "create", title, "--intent", "Snapshot, upgrade, verify", "--json")
    assert (made.json["title"], made.json["intent"]) == (title, "Snapshot, upgrade, verify")
    assert title in (await operator.run("sessions")).out
    assert (await operator.run("session", "archive", title.upper())).code == OK
    assert title not in [item["title"] for item in (await operator.run("sessions", "--json")).json]
    assert title in [item["title"] for item in (await operator.run("sessions", "--archived", "--json")).json]
    assert (await operator.run("session", "reopen", made.json["id"][:8])).code == OK
    assert (await operator.run("session", "archive", "nothing like it")).code == INVALID


async def test_a_title_that_two_sessions_have_is_not_guessed(operator: Shell) -> None:
    title = f"Twice {time.time_ns()}"
    for _ in range(2):
        await operator.run("session", "create", title)
    answer = await operator.run("session", "archive", title, "--json")
    assert (answer.code, answer.error["code"]) == (INVALID, "invalid_argument")
    assert "several sessions" in answer.error["message"]


async def test_runs_without_a_session_go_to_ones_own(operator: Shell) -> None:
    arguments = ["run", "http-healthcheck", "-p", "url=https://example.org", "--not-before", "+1d", "--json"]
    first, second = await operator.run(*arguments), await operator.run(*arguments)
    assert first.json["session_id"] == second.json["session_id"]
    sessions = {item["id"]: item["title"] for item in (await operator.run("sessions", "--json")).json}
    assert sessions[first.json["session_id"]] == "Command line"


async def test_templates_are_listed_and_shown(operator: Shell) -> None:
    listed = (await operator.run("templates", "--json")).json
    assert {"http-healthcheck", "t-hello"} <= {item["slug"] for item in listed}
    shown = await operator.run("templates", "show", "http-healthcheck")
    assert "Check an HTTP address" in shown.out
    assert "expected_status" in shown.out
    assert (await operator.run("template", "show", "http-healthcheck", "--json")).json["slug"] == "http-healthcheck"
    assert (await operator.run("templates", "show", "no-such")).code == INVALID
    assert (await operator.run("templates", "show", "http-healthcheck", "--version", "99")).code == INVALID


async def test_a_template_is_saved_disabled_and_enabled(administrator: Shell, operator: Shell) -> None:
    slug = f"t-{time.time_ns()}"
    (administrator.folder / "new.yaml").write_text(
        f"slug: {slug}\ntitle: New\nsteps: [{{id: a, title: A, kind: shell, with: {{argv: ['true']}}}}]\n"
    )
    assert (await administrator.run("templates", "validate", "new.yaml")).code == OK
    assert (await administrator.run("templates", "save", "new.yaml", "--json")).json["version"] == 1
    assert "version 1" in (await administrator.run("templates", "save", "new.yaml")).out
    assert (await administrator.run("templates", "disable", slug)).code == OK
    refused = await operator.run("run", slug, "--json")
    assert (refused.code, refused.error["code"]) == (INVALID, "template_disabled")
    assert (await administrator.run("templates", "enable", slug)).code == OK
    assert (await operator.run("run", slug)).code == OK


async def test_the_seed_is_what_the_templates_give(operator: Shell) -> None:
    answer = await operator.run("templates", "seed", "--check")
    assert answer.code == OK, f"{answer.err}run `opsroom templates seed` in {REPOSITORY}"


async def test_a_stale_seed_is_noticed(operator: Shell, tmp_path: Path) -> None:
    target = tmp_path / "seed.sql"
    arguments = ["templates", "seed", "--target", str(target)]
    assert (await operator.run(*arguments, "--check")).code == FAILED
    assert not target.exists()
    assert (await operator.run(*arguments)).code == OK
    assert (await operator.run(*arguments, "--check")).code == OK
    assert target.read_text() == (REPOSITORY / "supabase/seed.sql").read_text()


async def test_an_admin_lets_people_in_and_out(administrator: Shell, gateway: Gateway) -> None:
    newcomer = await gateway.person(None)
    assert "now approver" in (await administrator.run("member", "set", newcomer.email, "--role", "approver")).out
    members = {item["email"]: item for item in (await administrator.run("member", "list", "--json")).json}
    assert members[newcomer.email]["role"] == "approver"
    assert "no member any more" in (await administrator.run("member", "set", newcomer.email, "--role", "none")).out
    assert (await administrator.run("member", "set", "nobody@example.org", "--role", "viewer")).code == INVALID


async def test_the_sign_in_is_kept_private_renewed_and_forgotten(
    gateway: Gateway, admin: ControlPlane, tmp_path: Path
) -> None:
    person = await gateway.person("viewer")
    shell = Shell(gateway.environment(tmp_path), tmp_path)
    assert "not signed in" in (await shell.run("sign-out")).out
    signed = await shell.run("sign-in", "--email", person.email, "--password-stdin", stdin=person.password)
    assert person.email in signed.out
    file = tmp_path / "opsroom" / "sign-in.json"
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert (await shell.run("whoami", "--json")).json["role"] == "viewer"
    kept = json.loads(file.read_text())
    kept[gateway.url]["expires_at"] = 0
    file.write_text(json.dumps(kept))
    assert (await shell.run("whoami")).code == OK
    assert json.loads(file.read_text())[gateway.url]["access_token"] != kept[gateway.url]["access_token"]
    assert (await shell.run("sign-out")).code == OK
    assert (await shell.run("whoami")).code == NOT_ALLOWED


async def test_commands_at_the_same_time_share_one_renewal(gateway: Gateway, tmp_path: Path) -> None:
    person = await gateway.person("viewer")
    shell = Shell(gateway.environment(tmp_path), tmp_path)
    await shell.run("sign-in", "--email", person.email, "--password-stdin", stdin=person.password)
    file = tmp_path / "opsroom" / "sign-in.json"
    kept = json.loads(file.read_text())
    kept[gateway.url]["expires_at"] = 0
    file.write_text(json.dumps(kept))
    answers = await asyncio.gather(*(shell.run("whoami") for _ in range(4)))
    assert [answer.code for answer in answers] == [OK] * 4, [answer.err for answer in answers]


async def test_what_is_quoted_in_an_error_does_not_steer_the_terminal(operator: Shell) -> None:
    answer = await operator.run("run", "\x1b]0;owned\x07", "--session", "x")
    assert answer.code == INVALID
    assert "owned" in answer.err
    assert "\x1b" not in answer.err


async def test_a_log_does_not_steer_the_terminal(operator: Shell, admin: ControlPlane, worker: None) -> None:
    slug = f"t-{time.time_ns()}"
    script = r"printf '\033[2J\033]0;owned\007cleared\n'"
    step: dict[str, JsonValue] = {"id": "work", "title": "Work", "kind": "shell", "with": {"script": script}}
    await admin.save_template({"slug": slug, "title": "Steer", "steps": [step]})
    answer = await operator.run("run", slug, "--follow")
    assert (answer.code, "cleared" in answer.out, "\x1b" in answer.out) == (OK, True, False)


async def test_the_embedded_stack_signs_its_operator_in_by_itself(gateway: Gateway, tmp_path: Path) -> None:
    person = await gateway.person("admin")
    (tmp_path / "run.json").write_text(
        json.dumps({"api_url": gateway.url, "anon_key": gateway.stack.secrets.anon_key, "local_email": person.email})
    )
    (tmp_path / "secrets.json").write_text(json.dumps({"operator": person.password}))
    environment = gateway.environment(tmp_path) | {"SUPABASE_URL": "", "OPSROOM_STATE_DIR": str(tmp_path)}
    shell = Shell(environment, tmp_path)
    assert (await shell.run("whoami", "--json")).json["email"] == person.email
    kept = tmp_path / "sign-in.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    ended = json.loads(kept.read_text())
    ended[gateway.url] |= {"refresh_token": "of a stack that was reset", "expires_at": 0}
    kept.write_text(json.dumps(ended))
    assert (await shell.run("whoami")).code == OK


async def test_one_more_worker_serves_the_embedded_stack(gateway: Gateway, operator: Shell, tmp_path: Path) -> None:
    nowhere = await operator.run("worker", SUPABASE_URL="", OPSROOM_STATE_DIR=str(tmp_path))
    assert nowhere.code == UNREACHABLE
    assert "opsroom up" in nowhere.err
    state = gateway.stack.state
    ports = {"ui": 1, "api": gateway.port, "database": gateway.stack.postgres.port, "functions": 1, "worker": 1}
    state.run_file.write_text(json.dumps({"pid": 1, "ports": ports}))
    try:
        running = await operator.start("worker", "--concurrency", "1", SUPABASE_URL="")
        assert running.process.stderr is not None
        said = b""
        async with asyncio.timeout(30):
            while b"worker started" not in said:
                line = await running.process.stderr.readline()
                assert line, said
                said += line
        ended = await running.interrupt()
        assert (ended.code, "stopped" in ended.err) == (OK, True)
    finally:
        state.run_file.unlink()


async def test_spec_kit_bundles_are_generated_and_validated(operator: Shell, tmp_path: Path) -> None:
    arguments = ["--repository", str(tmp_path)]
    text = ["Billing export", "--description", "Exports invoices.", "--goal", "Export every night"]
    made = await operator.run("spec", "generate", *text, *arguments, "--json")
    assert made.code == OK, made.err
    assert len(made.json) == 4
    assert (await operator.run("spec", "validate", *arguments)).code == OK
    assert (await operator.run("spec", "generate", *text, *arguments)).code == INVALID
    (tmp_path / "spec/billing-export/plan.md").unlink()
    broken = await operator.run("spec", "validate", "billing-export", *arguments)
    assert broken.code == FAILED
    assert "plan.md is missing" in broken.out
    report = (await operator.run("spec", "validate", "billing-export", *arguments, "--json")).json
    assert [finding["rule"] for finding in report[0]["findings"]] == ["SK002"]
    assert (await operator.run("spec", "validate", "--repository", str(tmp_path / "none"))).code == INVALID


async def test_the_doctor_finds_a_project_well_but_for_the_worker(operator: Shell) -> None:
    answer = await operator.run("doctor", "--json")
    checks = {check["name"]: check for check in answer.json["checks"]}
    assert checks["API"]["verdict"] == "ok"
    assert checks["you"]["found"].endswith("operator")
    assert checks["database schema"]["verdict"] == "ok"
    assert checks["workers"]["verdict"] in ("ok", "fail")
    assert answer.code == (OK if answer.json["ok"] else FAILED)
    assert all(check["advice"] for check in answer.json["checks"] if check["verdict"] == "fail")


async def test_the_doctor_says_what_to_do_when_nobody_answers(operator: Shell) -> None:
    answer = await operator.run("doctor", SUPABASE_URL="http://127.0.0.1:9")
    assert answer.code == FAILED
    assert "API: http://127.0.0.1:9 cannot be reached" in answer.out
    assert "→ Check SUPABASE_URL" in answer.out


async def test_the_doctor_looks_at_the_embedded_stack(operator: Shell, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    secrets = state / "secrets.json"
    secrets.write_text("{}")
    secrets.chmod(0o644)
    ports = {f"OPSROOM_{name}_PORT": "0" for name in ("UI", "API", "DB", "FUNCTIONS", "WORKER")}
    answer = await operator.run("doctor", "--json", SUPABASE_URL="", OPSROOM_STATE_DIR=str(state), **ports)
    checks = {check["name"]: check for check in answer.json["checks"]}
    assert answer.code == FAILED
    assert checks["postgres"]["verdict"] == checks["deno"]["verdict"] == checks["bun"]["verdict"] == "ok"
    assert checks["state folder"]["verdict"] == "warn"
    assert f"chmod 600 {secrets}" in checks["keys"]["advice"]
    assert "opsroom up" in checks["stack"]["advice"]


async def test_runs_are_searched_like_on_their_page(operator: Shell, session: Session, admin: ControlPlane) -> None:
    for number in range(3):
        await admin.create_run(session.id, "http-healthcheck", {"url": f"http://127.0.0.1:9/page-{number}"}, lane="C")
    here = ("runs", "--session", session.id, "--json")

    async def found(*more: str) -> list[str]:
        answer = await operator.run(*here, *more)
        assert answer.code == OK, answer.err
        return [run["params"]["url"][-1] for run in json.loads(answer.out)]

    assert await found() == ["2", "1", "0"]
    assert await found("--text", "PAGE-1", "--lane", "c", "--since", "1h") == ["1"]
    assert await found("--person", "me") == await found("--until", "2h") == await found("--dead-letters") == []
    first = await operator.run(*here, "--limit", "2")
    cursor = first.err.split("--before ")[1].strip()
    assert await found("--before", cursor) == ["0"]
    for wrong in (("--since", "soon"), ("--person", "nobody@nowhere.example"), ("--lane", "Q"), ("--before", "x")):
        assert (await operator.run(*here, *wrong)).code == INVALID
