"""Ended runs with logs, artifacts and bundles, as old as a test wants them."""

import json
from typing import Any

import psycopg

from tests.database.conftest import TEMPLATE, Person, Room, Worker, held

LARGE, SMALL = 2 << 20, 100


async def superuser(room: Room, query: str, *args: Any) -> None:
    """Past every trigger and policy: how a test makes rows older."""
    dsn = room.stack.database_url("supabase_admin")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("set session_replication_role = replica")
        await connection.execute("set storage.allow_delete_query = 'true'")
        await connection.execute(query.encode(), args or None)


async def stored(room: Room, name: str, size: int, bucket: str = "artifacts", days: float = 0) -> None:
    """An object, as Storage would have its row."""
    await superuser(
        room,
        "insert into storage.objects (bucket_id, name, metadata, created_at) "
        "values (%s, %s, %s, now() - make_interval(secs => %s)) on conflict (bucket_id, name) do nothing",
        bucket, name, json.dumps({"size": size}), days * 86400,
    )  # fmt: skip


async def ended(
    room: Room, person: Person, worker: Worker, session_id: str, *, days: float = 0, bundled: bool = True,
    retention: dict[str, Any] | None = None, slug: str = "kept", artifacts: dict[str, int] | None = None,
) -> str:  # fmt: skip
    """A run that has ended `days` ago, with two lines of output, a metric and two artifacts; its id."""
    spec = TEMPLATE | {"slug": slug} | ({"retention": retention} if retention is not None else {})
    await room.store_template(spec)
    run = await person.call("create_run", p_session_id=session_id, p_template=slug, p_params={"name": "ada"})
    (claim,) = await worker.claim()
    assert claim["run_id"] == run["id"]
    await worker.start(claim)
    steps = [step["id"] for step in claim["spec"]["steps"]]
    events: list[dict[str, Any]] = [{"type": "step.started", "step": steps[0]}]
    events += [
        {"type": "output", "step": steps[0], "message": f"line {n}", "data": {"stream": "stdout"}} for n in (1, 2)
    ]
    events += [{"type": "log", "step": steps[0], "message": "a word of the worker"}]
    events += [{"type": "metric", "step": steps[0], "message": "m 1", "data": {"name": "m", "value": 1}}]
    events += [{"type": "step.finished", "step": steps[0], "data": {"status": "succeeded", "exit_code": 0}}]
    await worker.append(claim, 1, *events)
    for number, (name, size) in enumerate((artifacts or {"large.bin": LARGE, "small.txt": SMALL}).items()):
        about = {
            "name": name,
            "kind": "file",
            "media_type": "text/plain",
            "sha256": f"{number:064x}",
            "size_bytes": size,
        }
        await stored(room, f"{run['id']}/{about['sha256']}", size)
        about |= {"step": steps[0]}
        await worker.call("put_artifact", p_run_id=run["id"], p_claim_token=claim["claim_token"], p_artifact=about)
    result = held(claim) | {"status": "failed", "reason": "step_failed"}
    await worker.call("finish_runs", p_results=[result])
    if bundled:
        await bundle(room, worker, run["id"])
    await age(room, run["id"], days)
    return run["id"]


async def bundle(room: Room, worker: Worker, run_id: str, sha256: str = "b" * 64) -> None:
    """A bundle of all that there is of a run."""
    await stored(room, f"{run_id}/{sha256}.zip", 1000, "bundles")
    row = await (
        await room.owner.execute(
            "select seq, hash from public.run_events where run_id = %s order by seq desc limit 1", (run_id,)
        )
    ).fetchone()
    assert row is not None
    about = {"run_id": run_id, "events": row[0], "chain_head": row[1], "sha256": sha256, "size_bytes": 1000}
    await worker.call("put_bundle", p_bundle=about | {"keyid": "c" * 64, "signed_at": "2026-11-24T00:00:00Z"})


async def age(room: Room, run_id: str, days: float) -> None:
    """Everything of a run, so long ago."""
    for table, column in (("public.runs", "finished_at"), ("private.retention", "logs_due_at, artifacts_due_at")):
        which = "id" if table == "public.runs" else "run_id"
        changes = ", ".join(f"{c} = {c} - make_interval(secs => {days * 86400})" for c in column.split(", "))
        await superuser(room, f"update {table} set {changes} where {which} = %s", run_id)


async def collect(room: Room, limit: int = 2000) -> dict[str, Any]:
    """As a worker."""
    async with room.acting("service_role") as connection:
        row = await (await connection.execute("select public.collect_evidence(%s)", (limit,))).fetchone()
        assert row is not None
        return row[0]
