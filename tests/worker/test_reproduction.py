"""Replays: a run of the same template version with the same params again, and what a real worker finds about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from opsroom.domain.evidence.trust import TrustRoot, private_pem
from opsroom.domain.evidence.verify import verify
from tests.unit.evidence.made import key
from tests.worker.room import Room, eventually
from tests.worker.test_bundles import bundle_of

STEADY: dict[str, Any] = {
    "with": {
        "script": 'echo "run $RUN_ID in $PWD"; echo "took $RANDOM$RANDOM ms"; echo to stderr >&2; '
        'printf \'{"made": "%s", "total": 3}\' "$RANDOM$RANDOM" > r.json; printf "%s\\n" "$PARAM_WORD" > word.txt'
    },
    "artifacts": [{"path": "*.json"}, {"path": "*.txt"}],
    "verifiers": [{"name": "word", "kind": "file", "with": {"path": "word.txt"}}],
}
RULES: dict[str, Any] = {"ignore": ["/made"], "normalise": [{"pattern": "[0-9]+ ms", "replace": "N ms"}]}
PARAMS: dict[str, Any] = {"properties": {"word": {"type": "string", "default": "hello"}}}


async def verdict(room: Room, run_id: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        rows = await room.sql(
            "select data from run_events where run_id = %s and type = 'replay.compared' order by seq", run_id
        )
        assert len(rows) < 2, "one verdict is enough"
        return rows[0]["data"] if rows else None

    return await eventually(there, f"a verdict about {run_id}", 30)


async def replayed(room: Room, run_id: str) -> str:
    return (await room.call("select replay_run(%s)", run_id))["id"]


async def test_what_repeats_is_reproduced_and_its_bundle_says_so(served_room: Room, tmp_path: Path) -> None:
    room = served_room
    (tmp_path / "key.pem").write_bytes(private_pem(key()))
    root = TrustRoot().trusting(key().public_key(), "the test's worker", "2026-01-01T00:00:00Z")
    (tmp_path / "root.json").write_text(root.text())
    slug = await room.template([STEADY], deterministic=True, compare=RULES, params=PARAMS)
    run_id = await room.launch(slug, {"word": "again"})
    async with room.worker(OPSROOM_SIGNING_KEY=str(tmp_path / "key.pem")):
        assert (await room.until(run_id))["status"] == "succeeded"
        await room.template([{"with": {"script": "echo another"}}])  # whatever is saved since does not matter
        again = await replayed(room, run_id)
        found = await verdict(room, again)
        assert found["verdict"] == "REPRODUCED", found
        assert found["compared"] == {"steps": 1, "outputs": 2, "proofs": 1, "artifacts": 2}
        row = await room.run(again)
        assert (row["replay_of"], row["params"]) == (row["replay_of"].__class__(run_id), {"word": "again"})

        async def newer() -> bool:
            return bool(
                await room.sql(
                    "select 1 as there from bundles as b where run_id = %s and events = "
                    "(select max(seq) from run_events as e where e.run_id = b.run_id and e.type = 'replay.compared')",
                    again,
                )
            )

        await eventually(newer, "a bundle with the verdict in it", 30)
        assert verify(str(await bundle_of(room, again, tmp_path)), str(tmp_path / "root.json")).run_id == again
    detail = await room.call("select read_run(%s)", again)
    assert detail["replay"]["of"] == run_id and detail["run"]["replay_verdict"] == "REPRODUCED"
    assert [r["verdict"] for r in (await room.call("select read_run(%s)", run_id))["replays"]] == ["REPRODUCED"]


async def test_what_does_not_repeat_has_diverged_with_the_difference(served_room: Room, tmp_path: Path) -> None:
    room = served_room
    count = tmp_path / "count"
    script = f'echo one; n=$(cat {count} 2>/dev/null || echo 0); echo "count $n"; echo $((n+1)) > {count}; [ "$n" = 0 ]'
    slug = await room.template(
        [{"with": {"script": script}}], deterministic=True, retry={"attempts": 3, "on": ["failed"]}
    )
    run_id = await room.launch(slug)
    async with room.worker():
        assert (await room.until(run_id))["status"] == "succeeded"
        again = await replayed(room, run_id)
        found = await verdict(room, again)
    assert found["verdict"] == "DIVERGED"
    places = [(d["what"], d["place"]) for d in found["differences"]]
    assert places == [("outcome", "outcome"), ("step", "step s1"), ("output", "step s1, stdout")]
    assert found["differences"][2]["message"] == "differs from line 2 on"
    assert "-count 0\n+count 1" in found["differences"][2]["diff"]
    # It is compared as it is: the template's retries are not for it.
    assert await room.sql("select 1 as there from runs where retry_of = %s", again) == []
    # A replay of the replay is a replay of the run, and a cancelled one has diverged, too.
    queued = await replayed(room, again)
    assert str((await room.run(queued))["replay_of"]) == run_id
    await room.call("select cancel_run(%s)", queued)
    async with room.worker():
        assert (await verdict(room, queued))["differences"][0]["message"].startswith("was succeeded, is cancelled")


async def test_only_what_says_that_it_repeats_is_replayed_and_by_who_may_operate(room: Room, person: str) -> None:
    async def refused(run_id: str) -> str:
        with pytest.raises(psycopg.Error) as error:
            await replayed(room, run_id)
        return str(error.value.sqlstate)

    steady = await room.template([{"with": {"script": "sleep 60"}}], deterministic=True)
    waits = await room.launch(steady)
    assert await refused(waits) == "ORC02"
    await room.call("select cancel_run(%s)", waits)
    assert await refused(waits) == "ORC05"
    assert await refused("6f1f5a2e-9f57-4a0e-8a7e-2f8b6f0c1d11") == "ORN02"
    unsteady = await room.launch_script("true")
    steady_run = await room.launch(await room.template([{"with": {"script": "true"}}], deterministic=True), lane="B")
    async with room.worker():
        await room.until(unsteady)
        await room.until(steady_run)
    assert await refused(unsteady) == "ORC12"
    again = (await room.call("select replay_run(%s, null, 'k-' || %s)", steady_run, steady_run))["id"]
    assert (await room.call("select replay_run(%s, null, 'k-' || %s)", steady_run, steady_run))["id"] == again
    await room.sql("update members set role = 'viewer' where user_id = %s", person)
    try:
        assert await refused(steady_run) == "ORA02"
    finally:
        await room.sql("update members set role = 'admin' where user_id = %s", person)


async def test_a_verdict_that_does_not_fit_is_refused(room: Room) -> None:
    run_id = await room.launch(await room.template([{"with": {"script": "true"}}], deterministic=True))
    async with room.worker():
        await room.until(run_id)
    again = await replayed(room, run_id)

    async def record(about: str, **changes: Any) -> str:
        head = (await room.events(run_id))[-1]["hash"]
        told = {
            "verdict": "REPRODUCED",
            "of": run_id,
            "of_head": head,
            "compared": {},
            "differences": [],
            "left_out": [],
        }
        async with await psycopg.AsyncConnection.connect(room.stack.database_url("worker")) as connection:
            await connection.execute("set local role service_role")
            try:
                await connection.execute("select record_comparison(%s, %s)", (about, json.dumps(told | changes)))
            except psycopg.Error as error:
                return str(error.sqlstate)
            await connection.rollback()
        return "ok"

    assert await record(again) == "ORC05"  # it has not ended
    await room.call("select cancel_run(%s)", again)
    difference = {"what": "outcome", "place": "outcome", "message": "was succeeded, is cancelled"}
    assert await record(run_id) == "ORC05"  # that one replays nothing
    assert await record(again) == "ORV02"  # it did not end as the other one
    assert await record(again, verdict="DIVERGED") == "ORV02"  # in nothing
    assert await record(again, verdict="DIVERGED", differences=[difference], of=again) == "ORV02"
    assert await record(again, verdict="DIVERGED", differences=[difference], of_head="0" * 64) == "ORV02"
    assert await record(again, verdict="MAYBE") == "ORV02"
    assert await record(again, verdict="DIVERGED", differences=[difference]) == "ok"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await room.call("select record_comparison(%s, '{}')", again)
