"""Holds, collection and the audit log by the command line, as each role."""

import csv
import json
import stat
from pathlib import Path

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from tests.cli.command import Shell
from tests.cli.test_checkpoints import Owner, owner, published, publisher, signing
from tests.worker.room import eventually

__all__ = ["owner", "publisher", "signing"]

KEPT = {
    "slug": "t-kept", "title": "Test t-kept", "deterministic": True, "retention": {"large_artifact_bytes": 0},
    "steps": [
        {
            "id": "work", "title": "Work", "kind": "shell", "artifacts": [{"path": "*.md"}],
            "with": {"script": "echo a secret of the past; echo x > report.md"},
        }
    ],
}  # fmt: skip


async def test_a_hold_is_placed_listed_and_released(
    operator: Shell, viewer: Shell, administrator: Shell, session: Session, admin: ControlPlane
) -> None:
    run = await admin.create_run(session.id, "t-hello", {})
    placed = await operator.run("hold", run.id[:8], "--reason", "Matter 1", "--json")
    assert (placed.code, placed.json["run_id"], placed.json["reason"]) == (0, run.id, "Matter 1")
    whole = await operator.run("hold", "--session", session.title, "--reason", "Matter 2")
    assert whole.code == 0 and "opsroom release-hold" in whole.out
    listed = await viewer.run("holds", "--json")
    mine = {item["id"]: item for item in listed.json if item["session_id"] == session.id or item["run_id"] == run.id}
    assert [item["reason"] for item in mine.values()] == ["Matter 2", "Matter 1"]
    assert "Matter 2" in (await viewer.run("holds")).out
    assert len((await admin.read_run(run.id)).holds) == 2
    refused = await operator.run("release-hold", placed.json["id"], "--reason", "x")
    assert (refused.code, "admin" in refused.err) == (6, True)
    for hold_id in mine:
        assert (await administrator.run("release-hold", hold_id, "--reason", "Closed")).code == 0
    assert (await admin.read_run(run.id)).holds == ()
    assert "released by" in (await viewer.run("holds", "--released")).out
    assert (await operator.run("hold", run.id, "--session", session.title, "--reason", "x")).code == 2
    assert (await viewer.run("hold", run.id, "--reason", "x")).code == 6


async def test_a_collection_is_looked_at_and_begun_by_admins(administrator: Shell, operator: Shell) -> None:
    due = await administrator.run("collect", "--dry-run", "--json")
    assert (due.code, set(due.json)) == (
        0, {"logs", "artifacts", "orphans", "held", "deleting", "last_collection_at"},
    )  # fmt: skip
    assert "Nothing is due." in (await administrator.run("collect", "--dry-run")).out
    done = await administrator.run("collect", "--json")
    assert done.json == {"lines": 0, "artifacts": 0, "orphans": 0, "bytes": 0}
    assert (await operator.run("collect", "--dry-run")).code == 6
    assert (await operator.run("collect")).code == 6


async def test_the_audit_log_is_exported_in_each_form_and_that_is_audited(
    administrator: Shell, operator: Shell, admin: ControlPlane
) -> None:
    session = await admin.create_session('=HYPERLINK("http://x")')
    await admin.archive_session(session.id)
    told = await administrator.run("audit", "export", "--from", "1h", "-o", "audit.csv")
    file = administrator.folder / "audit.csv"
    assert (told.code, stat.S_IMODE(file.stat().st_mode)) == (0, 0o600)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert f"{len(rows)} entries" in told.err
    mine = [row for row in rows if row["target_id"] == session.id]
    assert [row["action"] for row in mine] == ["session.created", "session.archived"]
    assert {row["target_name"] for row in mine} == {'\'=HYPERLINK("http://x")'}
    lines = [json.loads(x) for x in (await administrator.run("audit", "export", "--format", "jsonl")).out.splitlines()]
    assert lines[-1]["action"] == "audit.exported", "the export before this one"
    assert [entry["id"] for entry in lines] == sorted(entry["id"] for entry in lines)
    events = (await administrator.run("audit", "export", "--format", "ocsf", "--from", "1h")).out.splitlines()
    assert {json.loads(event)["class_uid"] for event in events} == {3004}
    none = await administrator.run("audit", "export", "--format", "jsonl", "--from", "2h", "--to", "1h")
    assert (none.code, none.out) == (0, "")
    refused = await operator.run("audit", "export", "-o", "none.csv")
    assert (refused.code, list(operator.folder.glob("none*"))) == (6, [])
    for wrong in (("--from", "1h", "--to", "2h"), ("--from", "yesterday"), ("-o", "no/such/folder.csv")):
        assert (await administrator.run("audit", "export", *wrong)).code == 2


async def test_pages_of_the_audit_log_follow_each_other_without_a_gap(admin: ControlPlane) -> None:
    whole = [entry.id async for page in admin.audit_pages() for entry in page]
    first = await admin._rest.rpc("export_audit", {"p_limit": 3})  # pyright: ignore[reportPrivateUsage]
    ids = [entry["id"] for entry in first["entries"]]
    while first["next"]:
        arguments = {"p_limit": 3, "p_after": first["next"], "p_to": first["to"]}
        first = await admin._rest.rpc("export_audit", arguments)  # pyright: ignore[reportPrivateUsage]
        ids += [entry["id"] for entry in first["entries"]]
    assert ids[: len(whole)] == whole
    assert len(ids) == len(whole) + 1, "and the entry of the first export"


async def test_what_has_expired_looks_like_no_tampering_and_is_in_the_bundle(
    administrator: Shell,
    operator: Shell,
    admin: ControlPlane,
    session: Session,
    owner: Owner,
    publisher: Path,
    signing: Path,
) -> None:
    await admin.save_template(KEPT)
    old, young = [await published(owner, admin, session, publisher, "t-kept") for _ in range(2)]

    async def bundled() -> bool:
        return await admin.bundle(old) is not None and await admin.bundle(young) is not None

    await eventually(bundled, "bundles", 90)
    await owner.sql("update private.retention set logs_due_at = now(), artifacts_due_at = now() where run_id = %s", old)
    due = await administrator.run("collect", "--dry-run", "--json")
    assert [log["run_id"] for log in due.json["logs"]] == [item["run_id"] for item in due.json["artifacts"]] == [old]
    assert "report.md" in (await administrator.run("collect", "--dry-run")).out
    assert (await administrator.run("collect", "--json")).json["artifacts"] == 1

    async def deleted() -> bool:
        return not await owner.sql(
            "select 1 from storage.objects where bucket_id = 'artifacts' and name like %s", f"{old}/%"
        )

    await eventually(deleted, "a worker, told at once, to delete the object", 60)
    folder, root = str(administrator.folder / "published"), str(signing / "root.json")
    assert (await administrator.run("checkpoint", "fetch", folder)).code == 0
    whole = await administrator.run("checkpoint", "verify", folder, "--trust", root, "--against", "--events", "--json")
    assert (whole.code, whole.json["holds"]) == (0, True), whole.out
    assert (await administrator.run("bundle", old, "-o", "old.zip")).code == 0
    told = await administrator.run("verify", "old.zip", "--trust", root, "--checkpoints", folder, "--json")
    assert (told.code, told.json["left_out"]) == (0, 0), told.out

    log = await operator.run("logs", old)
    assert "expired on" in log.out and "a secret of the past" not in log.out
    assert "a secret of the past" in (await operator.run("logs", young)).out
    assert "expired" in (await operator.run("artifacts", old)).out
    taken = await operator.run("artifacts", old, "--download", "taken")
    assert (taken.code, list((operator.folder / "taken").glob("*"))) == (0, [])
    refused = await operator.run("replay", old, "--json")
    assert (refused.code, refused.error["code"]) == (2, "evidence_expired")
