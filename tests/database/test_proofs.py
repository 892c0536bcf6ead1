"""Success needs evidence: the database refuses it without, whoever asks."""

from typing import Any

import psycopg
import pytest

from tests.database.conftest import Person, Room, Worker

DONE = {"status": "succeeded", "exit_code": 0}


def proof(name: str = "answers", passed: bool = True, **more: Any) -> dict[str, Any]:
    data = {"step": "act", "name": name, "kind": "http", "phase": "after", "required": True, "passed": passed, **more}
    return {"type": "proof.recorded", "step": "act", "message": name, "data": data}


def spec(slug: str, **step: Any) -> dict[str, Any]:
    return {"slug": slug, "title": slug, "steps": [{"id": "act", "title": "Act", "kind": "noop", **step}]}


CHECKED = spec("checked", verifiers=[{"name": "answers", "kind": "http"}, {"name": "fast", "kind": "http", "required": False}])  # fmt: skip


@pytest.fixture
async def running(room: Room, operator: Person, session_id: str, worker: Worker) -> Any:
    """A claim of a run by a template, started, its step begun."""

    async def begin(template: dict[str, Any]) -> dict[str, Any]:
        await room.store_template(template)
        await operator.call("create_run", p_session_id=session_id, p_template=template["slug"])
        (claim,) = await worker.claim(1)
        await worker.start(claim)
        await worker.append(claim, 1, {"type": "step.started", "step": "act"})
        return claim

    return begin


async def end(worker: Worker, claim: dict[str, Any], *events: dict[str, Any]) -> str:
    """How success is answered after the step's end."""
    last = {"type": "step.finished", "step": "act", "data": DONE}
    try:
        return (await worker.finish(claim, "succeeded", batch=2, events=[*events, last]))["status"]
    except psycopg.Error as error:
        return f"{error.sqlstate} {error.diag.message_primary}"


async def test_a_required_verifier_must_have_passed(worker: Worker, running: Any) -> None:
    claim = await running(CHECKED)
    assert "ORG04" in (said := await end(worker, claim)) and "verifier answers of step act" in said
    assert "ORG04" in await end(worker, claim, proof(passed=False))
    assert "ORG04" in await end(worker, claim, proof(), proof(passed=False)), "the last one counts"
    assert "ORG04" in await end(worker, claim, proof("fast"))
    assert await end(worker, claim, proof("fast", passed=False), proof(passed=False), proof()) == "succeeded"


async def test_a_precondition_counts_as_well(worker: Worker, running: Any) -> None:
    claim = await running(spec("guarded", preconditions=[{"name": "answers", "kind": "http"}]))
    assert "precondition answers" in await end(worker, claim)
    assert await end(worker, claim, proof(phase="before")) == "succeeded"


async def test_a_declared_artifact_must_be_there(room: Room, worker: Worker, running: Any) -> None:
    claim = await running(spec("leaves", artifacts=[{"path": "out/**/*.txt"}, {"path": "maybe.md", "required": False}]))
    assert "left no artifact out/**/*.txt" in await end(worker, claim)
    path = f"{claim['run_id']}/{'a' * 64}"
    await room.owner.execute(
        "insert into storage.objects (bucket_id, name, metadata) values ('artifacts', %s, '{\"size\": 3}')", (path,)
    )
    about = {
        "name": "out/x.txt",
        "kind": "file",
        "media_type": "text/plain",
        "sha256": "a" * 64,
        "size_bytes": 3,
        "step": "act",
    }
    await worker.call("put_artifact", p_run_id=claim["run_id"], p_claim_token=claim["claim_token"], p_artifact=about)
    await room.owner.execute("update storage.objects set name = name || '-gone' where name = %s", (path,))
    assert "artifact out/x.txt is not in Storage" in await end(worker, claim)
    await room.owner.execute("update storage.objects set name = %s where name = %s", (path, f"{path}-gone"))
    assert await end(worker, claim) == "succeeded"


@pytest.mark.parametrize(
    ("glob", "fits", "does_not"),
    [
        ("*.txt", "a.txt", "b/a.txt"),
        ("**/*.txt", "a.txt", "a.md"),
        ("**/*.txt", "b/c/a.txt", "a.txt.md"),
        ("out/?.[!a]", "out/x.b", "out/x.a"),
        ("a+(b).txt", "a+(b).txt", "aab.txt"),
    ],
)
async def test_globs_are_read_as_the_worker_reads_them(room: Room, glob: str, fits: str, does_not: str) -> None:
    for name, expected in ((fits, True), (does_not, False)):
        assert await room.value("select %s ~ private.glob_pattern(%s)", name, glob) is expected, name


async def test_proofs_are_rows_for_members_and_events_for_the_chain(
    room: Room, operator: Person, worker: Worker, running: Any
) -> None:
    claim = await running(CHECKED)
    await worker.append(claim, 2, proof(expected={"status": 200}, seen={"status": 200}))
    query = "select name, passed, expected, seen from public.proofs where run_id = %s"
    async with room.acting("authenticated", operator.user_id) as connection:
        assert await (await connection.execute(query, (claim["run_id"],))).fetchall() == [
            ("answers", True, {"status": 200}, {"status": 200})
        ]
    stranger = await room.person(None)
    async with room.acting("authenticated", stranger.user_id) as connection:
        assert await (await connection.execute(query, (claim["run_id"],))).fetchall() == []
    bads: list[dict[str, Any]] = [{"kind": "poem"}, {"passed": "yes"}, {"phase": "during"}, {"name": ""}]
    for bad in bads:
        with pytest.raises(psycopg.Error) as refused:
            await worker.append(claim, 3, proof(**bad))
        assert refused.value.sqlstate == "ORV02"
