"""Whatever is wrong gets one clear sentence and its exit code, and nothing is stored."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opsroom.cli.failure import INVALID, NOT_ALLOWED, UNREACHABLE
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from opsroom.control_plane.search import RunFilter
from tests.cli.command import Shell


@dataclass(frozen=True)
class Case:
    name: str
    arguments: list[str]
    says: str
    code: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return self.name


HELLO = "http-healthcheck"
URL = "url=https://example.org"

CASES = [
    Case("unknown template", ["no-such"], "no template 'no-such'", "template_not_found"),
    Case("missing param", [HELLO], "do not fit", "invalid_params", [("/url", "required")]),
    Case(
        "extra param",
        [HELLO, "-p", URL, "-p", "colour=red"],
        "do not fit",
        "invalid_params",
        [("/colour", "additional")],
    ),
    Case(
        "ill-typed params",
        [HELLO, "-p", URL, "-p", "timeout_seconds=soon", "-p", "expected_status=ok"],
        "do not fit",
        "invalid_params",
        [("/expected_status/0", "type"), ("/timeout_seconds", "type")],
    ),
    Case(
        "out of range",
        [HELLO, "-p", URL, "-p", "timeout_seconds=0"],
        "",
        "invalid_params",
        [("/timeout_seconds", "minimum")],
    ),
    Case("no assignment", [HELLO, "-p", "url"], "is no assignment", "invalid_argument"),
    Case("lane E", [HELLO, "-p", URL, "--lane", "E"], "no lane E", "invalid_argument"),
    Case("priority out of range", [HELLO, "-p", URL, "--priority", "101"], "priority 101", "invalid_argument"),
    Case("long title", [HELLO, "-p", URL, "--title", "x" * 121], "title", "invalid_argument"),
    Case("no moment", [HELLO, "-p", URL, "--not-before", "soon"], "is no moment", "invalid_argument"),
    Case("NUL", [HELLO, "--params", "nul.json"], "", "invalid_params", [("/url", "pattern")]),
    Case("ten megabytes", [HELLO, "-p", "url=@large"], "more than 262144 bytes", "invalid_argument"),
    Case("missing file", [HELLO, "-p", "url=@none"], "No such file", "invalid_argument"),
    Case("broken params file", [HELLO, "--params", "broken.json"], "is not JSON", "invalid_argument"),
]


@pytest.fixture(scope="module")
def files(operator: Shell) -> Path:
    (operator.folder / "nul.json").write_text('{"url": "https://example.org/\\u0000"}')
    (operator.folder / "broken.json").write_text("{")
    with (operator.folder / "large").open("wb") as file:
        file.truncate(10 * 1024 * 1024)
    return operator.folder


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_bad_input_is_refused_and_stores_nothing(
    case: Case, operator: Shell, session: Session, admin: ControlPlane, files: Path
) -> None:
    answer = await operator.run("run", *case.arguments, "--session", session.id, "--json")
    assert (answer.code, answer.out) == (INVALID, "")
    assert (answer.error["code"], bool(answer.error["hint"])) == (case.code, True)
    assert case.says in answer.error["message"]
    assert [(item["path"], item["code"]) for item in answer.error["fields"]] == case.fields
    assert await admin.runs(RunFilter(session_id=session.id)) == ()


async def test_an_unknown_session_is_refused(operator: Shell) -> None:
    answer = await operator.run("run", HELLO, "-p", URL, "--session", "No such session")
    assert answer.code == INVALID
    assert answer.err.startswith("error: There is no open session 'No such session'.")
    assert "opsroom sessions" in answer.err


async def test_an_archived_session_is_refused(operator: Shell, admin: ControlPlane, session: Session) -> None:
    await admin.archive_session(session.id)
    assert (await operator.run("run", HELLO, "-p", URL, "--session", session.id)).code == INVALID


async def test_fields_are_printed_one_by_one(operator: Shell, session: Session) -> None:
    answer = await operator.run("run", HELLO, "-p", "timeout_seconds=soon", "--session", session.id)
    assert answer.code == INVALID
    lines = answer.err.splitlines()
    assert lines[0] == "error: The params do not fit the template."
    assert [line.split(":")[0].strip() for line in lines[1:3]] == ["/timeout_seconds", "/url"]
    assert lines[-1].startswith("  → ")


@pytest.mark.parametrize("command", ["logs", "cancel", "retry", "rerun", "artifacts"])
async def test_a_run_that_does_not_exist_is_said_to(command: str, operator: Shell) -> None:
    answer = await operator.run(command, "00000000-0000-4000-8000-000000000000", "--json")
    assert (answer.code, answer.error["code"]) == (INVALID, "run_not_found")
    answer = await operator.run(command, "12345", "--json")
    assert (answer.code, answer.error["code"]) == (INVALID, "invalid_argument")


async def test_a_viewer_may_not_launch(viewer: Shell, admin: ControlPlane, session: Session) -> None:
    answer = await viewer.run("run", HELLO, "-p", URL, "--session", session.id, "--json")
    assert (answer.code, answer.error["code"]) == (NOT_ALLOWED, "forbidden")
    assert "operator" in answer.error["message"]
    assert await admin.runs(RunFilter(session_id=session.id)) == ()


async def test_an_operator_may_not_change_templates_or_people(operator: Shell) -> None:
    (operator.folder / "template.yaml").write_text(
        "slug: t-new\ntitle: New\nsteps: [{id: a, title: A, kind: shell, with: {argv: ['true']}}]\n"
    )
    assert (await operator.run("templates", "save", "template.yaml")).code == NOT_ALLOWED
    assert (await operator.run("templates", "disable", "t-hello")).code == NOT_ALLOWED
    assert (await operator.run("member", "set", "a@example.org", "--role", "admin")).code == NOT_ALLOWED


async def test_a_template_with_mistakes_names_each_of_them(administrator: Shell) -> None:
    (administrator.folder / "bad.yaml").write_text("slug: Bad Slug\ntitle: ''\nsteps: []\nextra: 1\n")
    answer = await administrator.run("templates", "save", "bad.yaml", "--json")
    assert (answer.code, answer.error["code"]) == (INVALID, "invalid_template")
    assert {"/slug", "/title", "/steps", "/extra"} == {item["path"] for item in answer.error["fields"]}


async def test_who_is_not_signed_in_is_told_how_to(operator: Shell, tmp_path: Path) -> None:
    answer = await operator.run("runs", XDG_CONFIG_HOME=str(tmp_path))
    assert answer.code == NOT_ALLOWED
    assert "not signed in" in answer.err
    assert "opsroom sign-in" in answer.err


async def test_an_expired_sign_in_that_cannot_be_renewed_says_so(operator: Shell, tmp_path: Path) -> None:
    kept = (Path(operator.environment["XDG_CONFIG_HOME"]) / "opsroom" / "sign-in.json").read_text()
    tokens = json.loads(kept)[operator.environment["SUPABASE_URL"]]
    tokens |= {"expires_at": 0, "refresh_token": "used-up"}
    folder = tmp_path / "opsroom"
    folder.mkdir()
    (folder / "sign-in.json").write_text(json.dumps({operator.environment["SUPABASE_URL"]: tokens}))
    answer = await operator.run("runs", "--json", XDG_CONFIG_HOME=str(tmp_path))
    assert (answer.code, answer.error["code"]) == (NOT_ALLOWED, "not_authenticated")
    assert "opsroom sign-in" in answer.error["hint"]


async def test_nobody_there_is_exit_code_five(operator: Shell) -> None:
    arguments = ["sign-in", "--email", "a@example.org", "--password-stdin"]
    answer = await operator.run(*arguments, stdin="secret", SUPABASE_URL="http://127.0.0.1:9")
    assert answer.code == UNREACHABLE
    assert "http://127.0.0.1:9 cannot be reached" in answer.err


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"SUPABASE_URL": "example.org"}, "no http address"),
        ({"SUPABASE_PUBLISHABLE_KEY": ""}, "SUPABASE_ANON_KEY"),
        ({"SUPABASE_URL": "", "OPSROOM_STATE_DIR": "/nonexistent"}, "no embedded stack runs here"),
    ],
)
async def test_a_wrong_configuration_is_named(operator: Shell, variables: dict[str, str], says: str) -> None:
    answer = await operator.run("runs", **variables)
    assert answer.code == UNREACHABLE
    assert says in answer.err


async def test_a_wrong_password_is_refused(operator: Shell) -> None:
    answer = await operator.run("sign-in", "--email", "a@example.org", "--password-stdin", stdin="wrong\n")
    assert answer.code == NOT_ALLOWED
    assert "password is wrong" in answer.err


@pytest.mark.parametrize("arguments", [["runs", "--limit", "0"], ["runs", "--status", "odd"], ["nonsense"], ["run"]])
async def test_wrong_usage_is_exit_code_two(operator: Shell, arguments: list[str]) -> None:
    answer = await operator.run(*arguments)
    assert (answer.code, answer.out) == (INVALID, "")
    assert answer.err.startswith("Usage: ")
