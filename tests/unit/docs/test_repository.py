import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.docs.repository import ROOT, name_of, tracked_files

# Written so that this file does not contain what it looks for.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w./-])/(?:work|root|home/[a-z]\w*|Users/\w+)/\w"),
    "a package registry's host": re.compile(
        r"registry\.(?:npmjs|yarnpkg)\.|files\.python" + r"hosted|pypi\.org/" + r"simple|npm\." + r"jsr\.io"
    ),
    "a key": re.compile(
        r"sb_secret_[A-Za-z0-9]{16}|eyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.|-----BEGIN [A-Z ]*PRIVATE"
    ),
}
BINARY = {".png", ".jpg", ".ico", ".woff2", ".zip", ".gz", ".dump"}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds(what: str) -> None:
    found: list[str] = []
    for path in tracked_files():
        if path.suffix in BINARY or path.name == "uv.lock":
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            if FORBIDDEN[what].search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()[:120]}")
    assert not found


def test_the_license_is_apache_2_in_full() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"


def workflows() -> list[Path]:
    folders = (ROOT / ".github/workflows", ROOT / "deploy/github-actions")
    return [path for folder in folders for path in sorted(folder.glob("*.yml"))]


def read_yaml(path: Path) -> dict[Any, Any]:
    value = yaml.safe_load(path.read_text())
    assert isinstance(value, dict)
    return value


def steps_of(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", workflows(), ids=name_of)
def test_workflows_are_pinned_and_hold_no_more_rights_than_reading(path: Path) -> None:
    workflow = read_yaml(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert True in workflow, "`on` is read as true by YAML 1.1"
    for step in steps_of(workflow):
        if uses := step.get("uses"):
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", uses)
        # What a stranger can write (titles, branches, inputs) must reach a script as a variable, not as its text.
        assert "${{" not in step.get("run", "")
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_ci_tests_on_the_pythons_that_are_promised() -> None:
    job = read_yaml(ROOT / ".github/workflows/test.yml")["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    assert "make test" in [step.get("run") for step in job["steps"]]


def test_ci_enforces_presence_and_validity_of_the_spec() -> None:
    scripts = "\n".join(str(step.get("run")) for step in steps_of(read_yaml(ROOT / ".github/workflows/spec-kit.yml")))
    assert "opsroom spec validate ops-control-room" in scripts
    assert all(name in scripts for name in ("constitution.md", "prd.md", "plan.md", "tasks.md"))


def test_uv_has_one_version_everywhere() -> None:
    makefile = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert makefile
    for path in tracked_files():
        if path.parts[-2] in ("workflows", "worker", "github-actions"):
            assert set(re.findall(r"uv==(\S+)", path.read_text(errors="replace"))) <= {makefile[1]}, name_of(path)


def test_starting_points_for_deploying_parse_and_give_the_room_no_secret() -> None:
    kubernetes = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/worker.yaml").read_text()))
    container = kubernetes[0]["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": "opsroom-worker"}}]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    app = read_yaml(ROOT / "deploy/digitalocean/app.yaml")
    secret = next(env for env in app["workers"][0]["envs"] if env["key"] == "SUPABASE_SECRET_KEY")
    assert secret["type"] == "SECRET"
    vercel = json.loads((ROOT / "deploy/vercel/vercel.json").read_text())
    assert "env" not in vercel and vercel["rewrites"][-1]["destination"] == "/index.html"


def test_the_supabase_configuration_exposes_public_only_and_lets_the_function_authenticate() -> None:
    config = tomllib.loads((ROOT / "supabase/config.toml").read_text())
    assert config["api"]["schemas"] == ["public"] and config["api"]["auto_expose_new_tables"] is False
    assert config["db"]["major_version"] == 17
    function = config["functions"]["ops-executor"]
    assert function["verify_jwt"] is False
    assert (ROOT / "supabase" / function["entrypoint"]).is_file() and (
        ROOT / "supabase" / function["import_map"]
    ).is_file()
