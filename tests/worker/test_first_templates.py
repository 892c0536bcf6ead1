"""The templates that are shipped, as shipped, on real input."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from opsroom.domain.spec_kit import generate_bundle, write_bundle
from tests.worker.room import Room
from tests.worker.test_kinds import site

GOALS = ["Export every invoice of a month as one file", "Say which invoices could not be exported and why"]


async def execute(room: Room, slug: str, params: dict[str, Any], **env: str) -> tuple[dict[str, Any], str]:
    run_id = await room.launch(await room.first_template(slug), params)
    async with room.worker(**env):
        return await room.until(run_id, seconds=60), run_id


def bundle_in(folder: Path) -> Path:
    write_bundle(folder, generate_bundle("Invoice Exporter", "Exports invoices for accountants.", GOALS))
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


async def test_spec_kit_validate_passes_a_whole_bundle_and_attaches_both_reports(served_room: Room) -> None:
    repository = served_room.folder / "repo"
    repository.mkdir()
    bundle_in(repository)
    run, run_id = await execute(
        served_room, "spec-kit-validate", {"repository": str(repository), "slug": "invoice-exporter"}
    )
    assert (run["status"], run["message"]) == ("succeeded", None)
    assert {name: row["kind"] for name, row in (await served_room.artifacts(run_id)).items()} == {
        "report.json": "json", "report.md": "markdown",
    }  # fmt: skip
    assert json.loads(await served_room.stored(run_id, "report.json"))["ok"] is True


async def test_spec_kit_validate_with_its_defaults_passes_this_repository(served_room: Room) -> None:
    run, run_id = await execute(served_room, "spec-kit-validate", {})
    assert run["status"] == "succeeded", await served_room.output(run_id)
    assert "spec/ops-control-room: passed" in await served_room.output(run_id)


async def test_spec_kit_validate_fails_a_broken_bundle_with_every_finding_also_from_a_clone(served_room: Room) -> None:
    repository = served_room.folder / "repo"
    repository.mkdir()
    bundle_in(repository)
    (repository / "spec/invoice-exporter/plan.md").unlink()
    prd = repository / "spec/invoice-exporter/prd.md"
    prd.write_text(prd.read_text() + "\nTODO: write this\n")
    git(repository, "init")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "x")
    run, run_id = await execute(
        served_room, "spec-kit-validate", {"repository": f"file://{repository}", "slug": "invoice-exporter"}
    )
    assert (run["status"], run["reason"], run["exit_code"]) == ("failed", "step_failed", 1)
    report = json.loads(await served_room.stored(run_id, "report.json"))
    output = await served_room.output(run_id)
    assert len(report["findings"]) >= 2
    assert all(finding["rule"] in output and finding["message"] in output for finding in report["findings"])


async def test_spec_kit_validate_says_what_is_wrong_with_a_repository_that_is_not_there(served_room: Room) -> None:
    for repository, said in (("file:///no/such/repo", "can not be cloned"), ("no/such/folder", "is not a directory")):
        run, run_id = await execute(served_room, "spec-kit-validate", {"repository": repository, "slug": "x"})
        assert run["status"] == "failed"
        assert said in await served_room.output(run_id)


async def test_spec_kit_generate_attaches_four_valid_files_and_the_same_zip_every_time(served_room: Room) -> None:
    params = {"name": "Invoice Exporter", "description": "Exports invoices; $(touch x) `y`.", "goals": GOALS}
    names = [f"spec/invoice-exporter/{name}.md" for name in ("constitution", "plan", "prd", "tasks")]
    zips: set[bytes] = set()
    for _ in range(2):
        run, run_id = await execute(served_room, "spec-kit-generate", params)
        assert (run["status"], run["message"]) == ("succeeded", None)
        assert set(await served_room.artifacts(run_id)) == {*names, "invoice-exporter.zip", "report.json"}
        zips.add(await served_room.stored(run_id, "invoice-exporter.zip"))
    assert len(zips) == 1
    assert sorted(zipfile.ZipFile(io.BytesIO(zips.pop())).namelist()) == names


async def test_postgres_snapshot_dumps_verifies_and_leaves_no_scratch_database(served_room: Room) -> None:
    served_room.secrets["EMBEDDED_DATABASE"] = url = served_room.stack.database_url("postgres")
    run, run_id = await execute(served_room, "postgres-snapshot", {})
    assert (run["status"], run["message"]) == ("succeeded", None), await served_room.output(run_id, "stderr")
    assert {step["status"] for step in (await served_room.steps(run_id)).values()} == {"succeeded"}
    manifest = json.loads(await served_room.stored(run_id, "manifest.json"))
    dump = await served_room.stored(run_id, "snapshot.dump")
    assert manifest["dump"]["sha256"] == hashlib.sha256(dump).hexdigest()
    assert manifest["trial_restore"]["equal"] is True
    rows = {table["table"]: table["restored_rows"] for table in manifest["tables"]}
    assert rows["public.run_events"] > 0 and "auth.users" in rows
    assert not await served_room.sql("select from pg_database where datname like 'opsroom_scratch_%%'")
    everything = str(await served_room.events(run_id))
    assert served_room.stack.secrets.postgres not in everything and url not in everything


async def test_postgres_snapshot_of_one_schema_as_an_ordinary_role(served_room: Room) -> None:
    served_room.secrets["OTHER_DB"] = served_room.stack.database_url("postgres")
    run, run_id = await execute(served_room, "postgres-snapshot", {"connection": "OTHER_DB", "schema": "public"})
    assert (run["status"], run["message"]) == ("succeeded", None), await served_room.output(run_id, "stderr")
    manifest = json.loads(await served_room.stored(run_id, "manifest.json"))
    assert {table["table"].split(".")[0] for table in manifest["tables"]} == {"public"}
    assert not await served_room.sql("select from pg_database where datname like 'opsroom_scratch_%%'")


async def test_postgres_snapshot_drops_its_scratch_database_when_it_is_cancelled(served_room: Room) -> None:
    served_room.secrets["EMBEDDED_DATABASE"] = served_room.stack.database_url("supabase_admin")
    run_id = await served_room.launch(await served_room.first_template("postgres-snapshot"))
    async with served_room.worker(OPSROOM_WORKER_GRACE_SECONDS="10"):
        await served_room.until_output(run_id, "created scratch database", seconds=40)
        await served_room.call("select cancel_run(%s)", run_id)
        assert (await served_room.until(run_id))["status"] in ("cancelled", "succeeded")
    assert not await served_room.sql("select from pg_database where datname like 'opsroom_scratch_%%'")


async def test_postgres_snapshot_refuses_what_it_can_not_dump_in_one_sentence(served_room: Room) -> None:
    served_room.secrets["EMBEDDED_DATABASE"] = "postgresql://nobody:wrong@127.0.0.1:9/x"
    run, run_id = await execute(served_room, "postgres-snapshot", {})
    assert run["message"] == "Step check: exit code 1"
    assert "the database can not be reached" in await served_room.output(run_id)
    served_room.secrets["EMBEDDED_DATABASE"] = served_room.stack.database_url("supabase_admin")
    run, run_id = await execute(served_room, "postgres-snapshot", {"schema": "no_such_schema"})
    assert "the database has no schema no_such_schema" in await served_room.output(run_id)


async def test_http_healthcheck_passes_and_fails(served_room: Room) -> None:
    async with site() as url:
        run, run_id = await execute(served_room, "http-healthcheck", {"url": url})
        assert run["status"] == "succeeded"
        assert list(await served_room.artifacts(run_id)) == ["request.json"]
        run, run_id = await execute(served_room, "http-healthcheck", {"url": url, "contains": "not there"})
        assert "does not contain 'not there'" in run["message"]
        assert list(await served_room.artifacts(run_id)) == ["request.json"]


async def test_repo_checks_runs_every_command_and_attaches_report_and_diff(served_room: Room) -> None:
    repository = served_room.folder / "repo"
    repository.mkdir()
    git(repository, "init")
    (repository / "file.txt").write_text("old\n")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "first; $(touch x)")
    git(repository, "branch", "side")
    commit = git(repository, "rev-parse", "HEAD").strip()
    commands = ["grep old file.txt", "false", "echo new > file.txt; echo more > added.txt"]
    for ref in ("HEAD", "side", commit):
        run, run_id = await execute(
            served_room, "repo-checks", {"repository": str(repository), "ref": ref, "commands": commands}
        )
        assert (run["status"], run["exit_code"]) == ("failed", 1)
        diff = (await served_room.stored(run_id, "changes.diff")).decode()
        assert "-old\n+new" in diff and "+more" in diff
        report = (await served_room.stored(run_id, "checks.md")).decode()
        assert "| `false` | 1 |" in report and "| `grep old file.txt` | 0 |" in report
    run, run_id = await execute(served_room, "repo-checks", {"repository": str(repository), "commands": ["true"]})
    assert run["status"] == "succeeded"
    assert list(await served_room.artifacts(run_id)) == ["checks.md"]
    run, run_id = await execute(
        served_room, "repo-checks", {"repository": str(repository), "ref": "nope", "commands": ["true"]}
    )
    assert "there is no branch, tag or commit nope" in await served_room.output(run_id, "stderr")


async def test_the_shipped_templates_have_forms_that_explain_themselves() -> None:
    from opsroom.domain.params import validate, with_defaults
    from opsroom.domain.template import parse_yaml

    paths = await asyncio.to_thread(lambda: sorted(Path("templates").glob("*.yaml")))
    assert len(paths) >= 5
    for path in paths:
        template = parse_yaml(path.read_text())
        assert template.slug == path.stem and template.description
        for name, schema in template.params["properties"].items():
            assert schema.get("title"), f"{path}: {name}"
        filled = with_defaults(template.params, {})
        assert all(error.code == "required" for error in validate(template.params, filled))
