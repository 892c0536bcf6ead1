"""Retention: what goes, when, what never does, and what the chain says of it."""

import asyncio
from typing import Any

import psycopg
import pytest

from opsroom.domain.events import Event, first_break
from opsroom.domain.template import parse
from tests.database.conftest import TEMPLATE, Person, Room, Worker
from tests.database.kept import LARGE, age, bundle, collect, ended, stored, superuser

SEARCH_AGAIN = "update private.collection_state set searched_at = now() - interval '25 hours'"


@pytest.fixture(autouse=True)
async def nothing_is_due(room: Room) -> None:
    """What tests before have left is collected, and orphans are looked for again."""
    await superuser(room, SEARCH_AGAIN)
    while (await collect(room, 10_000))["more"]:
        pass


async def chain(room: Room, person: Person, run_id: str) -> list[Event]:
    page = await person.call("read_events", p_run_id=run_id)
    return [Event.model_validate(event) for event in page["events"]]


async def expired(room: Room, run_id: str) -> tuple[int, list[str]]:
    """How many events of a run have expired, and which artifacts."""
    lines = await room.value("select count(expired_at) from public.run_events where run_id = %s", run_id)
    names = "select name from public.artifacts where run_id = %s and expired_at is not null order by name"
    return lines, await room.column(names, run_id)


async def test_logs_and_large_artifacts_go_after_90_days_and_the_rest_stays(
    room: Room, operator: Person, worker: Worker, session_id: str
) -> None:
    young = await ended(room, operator, worker, session_id, days=89.9)
    old = await ended(room, operator, worker, session_id, days=90.1)
    before = await chain(room, operator, old)
    told = await collect(room)
    assert told["logs"] == {"runs": 1, "lines": 3, "bytes": len("line 1line 2a word of the worker")}
    assert told["artifacts"] == {"count": 1, "bytes": LARGE}
    assert told["objects"] == [{"bucket": "artifacts", "name": f"{old}/{0:064x}"}]
    assert await expired(room, young) == (0, [])
    assert await expired(room, old) == (3, ["large.bin"])
    after = await chain(room, operator, old)
    assert [event.hash for event in after] == [event.hash for event in before]
    assert [event.message for event in after if event.type in ("output", "log")] == ["", "", ""]
    assert [e.data for e in after] == [e.data for e in before]
    assert first_break(after) is None
    changed = [event.model_copy(update={"expired_at": None}) for event in after]
    assert first_break(changed) == "event 5 was changed: its hash does not match its content"
    detail = await operator.call("read_run", p_run_id=old)
    assert detail["retention"]["logs_expired_at"] and detail["retention"]["artifacts_expired_at"]
    assert {a["name"]: a["sha256"] for a in detail["artifacts"]} == {"large.bin": f"{0:064x}", "small.txt": f"{1:064x}"}
    deeds = {deed["action"]: deed["details"] for deed in detail["deeds"]}
    assert deeds["log.expired"]["events"] == 3
    assert [a["name"] for a in deeds["artifacts.expired"]["artifacts"]] == ["large.bin"]
    again = await collect(room)
    assert (again["logs"]["lines"], again["artifacts"]["count"], again["objects"]) == (0, 0, [])


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        ({"logs_days": 10}, (3, [])),
        ({"artifacts_days": 10}, (0, ["large.bin"])),
        ({"logs_days": None, "artifacts_days": None}, (0, [])),
        ({"logs_days": 10, "artifacts_days": 10, "large_artifact_bytes": 0}, (3, ["large.bin", "small.txt"])),
        ({"artifacts_days": 10, "large_artifact_bytes": LARGE + 1}, (0, [])),
        ({}, (0, [])),
    ],
)
async def test_a_template_says_how_long(
    room: Room, operator: Person, worker: Worker, session_id: str, policy: dict[str, Any], gone: tuple[int, list[str]]
) -> None:
    assert parse(TEMPLATE | {"retention": policy})
    days = 3000 if None in policy.values() else 11
    run_id = await ended(room, operator, worker, session_id, days=days, retention=policy)
    await collect(room)
    assert await expired(room, run_id) == gone


async def test_nothing_goes_before_there_is_a_bundle_and_no_bundle_ever(
    room: Room, operator: Person, worker: Worker, session_id: str
) -> None:
    run_id = await ended(room, operator, worker, session_id, days=1000, bundled=False)
    assert await collect(room)
    assert await expired(room, run_id) == (0, [])
    await bundle(room, worker, run_id)
    told = await collect(room)
    assert told["objects"] == [{"bucket": "artifacts", "name": f"{run_id}/{0:064x}"}], told
    assert await expired(room, run_id) == (3, ["large.bin"])
    assert await room.column("select name from private.doomed_objects where bucket_id = 'bundles'") == []
    async with room.acting("service_role") as connection:
        with pytest.raises(psycopg.Error) as refused:
            await connection.execute("select public.read_evidence(%s)", (run_id,))
    assert refused.value.sqlstate == "ORG05", "a bundle of what is left would not hold"


async def test_a_line_that_no_bundle_names_stays(room: Room, operator: Person, worker: Worker, session_id: str) -> None:
    run_id = await ended(room, operator, worker, session_id, days=100)
    await room.owner.execute("select private.record_event(%s, 'log', 'after the bundle')", (run_id,))
    told = await collect(room)
    assert (told["logs"]["lines"], told["more"]) == (3, False)
    assert (await chain(room, operator, run_id))[-1].message == "after the bundle"


async def test_what_is_on_hold_stays_until_all_its_holds_are_released(
    room: Room, operator: Person, worker: Worker, session_id: str
) -> None:
    admin = await room.person("admin")
    run_id = await ended(room, operator, worker, session_id, days=1000)
    on_run = await operator.call("place_hold", p_run_id=run_id, p_reason="Matter 12")
    assert (await operator.call("place_hold", p_run_id=run_id, p_reason="Matter 12"))["id"] == on_run["id"]
    on_session = await admin.call("place_hold", p_session_id=session_id, p_reason="Matter 13")
    await stored(room, f"{run_id}/{'d' * 64}", 10, days=1000)
    for hold in (on_run, on_session):
        await superuser(room, SEARCH_AGAIN)
        told = await collect(room)
        assert (told["logs"]["lines"], told["artifacts"]["count"], told["orphans"], told["objects"]) == (0, 0, 0, [])
        assert (await admin.call("read_collection"))["held"] >= 1
        released = await admin.call("release_hold", p_hold_id=hold["id"], p_reason="Settled")
        assert (await admin.call("release_hold", p_hold_id=hold["id"], p_reason="Again")) == released
    detail = await operator.call("read_run", p_run_id=run_id)
    assert detail["holds"] == []
    assert [d["action"] for d in detail["deeds"] if d["action"].startswith("hold.")] == ["hold.placed", "hold.released"]
    await superuser(room, SEARCH_AGAIN)
    told = [await collect(room)]
    while told[-1]["more"]:
        told.append(await collect(room))
    assert sum(len(page["objects"]) for page in told) == 2, told
    listed = await operator.call("list_holds", p_released=True)
    assert {h["id"]: h["release_reason"] for h in listed} | {on_run["id"]: "Settled"} == {
        h["id"]: h["release_reason"] for h in listed
    }


async def test_a_hold_that_comes_before_the_bytes_went_keeps_them(
    room: Room, operator: Person, worker: Worker, session_id: str
) -> None:
    admin = await room.person("admin")
    run_id = await ended(room, operator, worker, session_id, days=1000)
    await admin.call("collect_evidence")
    assert await expired(room, run_id) == (3, ["large.bin"])
    hold = await operator.call("place_hold", p_run_id=run_id, p_reason="Matter 14")
    assert (await collect(room))["objects"] == []
    await admin.call("release_hold", p_hold_id=hold["id"], p_reason="Settled")
    assert len((await collect(room))["objects"]) == 1


async def test_holds_are_for_operators_and_their_release_for_admins(room: Room, session_id: str) -> None:
    viewer, operator, approver = [await room.person(role) for role in ("viewer", "operator", "approver")]
    hold = await operator.call("place_hold", p_session_id=session_id, p_reason="Why")
    calls: list[tuple[Person, str, dict[str, Any], str]] = [
        (viewer, "place_hold", {"p_session_id": session_id, "p_reason": "x"}, "ORA02"),
        (await room.person(None), "list_holds", {}, "ORA03"),
        (approver, "release_hold", {"p_hold_id": hold["id"], "p_reason": "x"}, "ORA02"),
        (operator, "place_hold", {"p_session_id": session_id, "p_reason": "  "}, "ORV02"),
        (operator, "place_hold", {"p_reason": "x"}, "ORV02"),
        (operator, "place_hold", {"p_session_id": session_id, "p_run_id": session_id, "p_reason": "x"}, "ORV02"),
        (operator, "place_hold", {"p_run_id": session_id, "p_reason": "x"}, "ORN02"),
        (operator, "place_hold", {"p_session_id": hold["id"], "p_reason": "x"}, "ORN01"),
        (await room.person("admin"), "release_hold", {"p_hold_id": session_id, "p_reason": "x"}, "ORN07"),
        (approver, "collect_evidence", {}, "ORA02"),
        (approver, "read_collection", {}, "ORA02"),
        (approver, "export_audit", {}, "ORA02"),
    ]
    for person, function, args, sqlstate in calls:
        with pytest.raises(psycopg.Error) as refused:
            await person.call(function, **args)
        assert refused.value.sqlstate == sqlstate, (function, args)
    for change in ("update public.legal_holds set reason = 'else'", "delete from public.legal_holds"):
        with pytest.raises(psycopg.Error) as refused:
            await room.owner.execute(change.encode())
        assert refused.value.sqlstate == "ORC08"


@pytest.mark.parametrize(
    "change",
    [
        "run_events set message = '', expired_at = now() where type = 'output'",  # on hold
        "run_events set message = '' where type = 'output'",
        "run_events set message = 'else', expired_at = now() where type = 'output'",
        "run_events set message = '', data = '{{}}', expired_at = now() where type = 'output'",
        "run_events set message = '', expired_at = now() where type = 'run.failed'",
        "run_events set expired_at = null where type = 'output'",
        "artifacts set expired_at = now() where name = 'large.bin'",  # on hold
        "artifacts set expired_at = now(), size_bytes = 1 where name = 'large.bin'",
        "artifacts set expired_at = now() where name = 'small.txt'",
        "artifacts set sha256 = repeat('f', 64) where name = 'large.bin'",
    ],
)
async def test_not_even_the_owner_expires_what_is_not_due(
    room: Room, operator: Person, worker: Worker, session_id: str, change: str
) -> None:
    run_id = await ended(room, operator, worker, session_id, days=1000)
    if not any(
        word in change for word in ("else", "{{}}", "size_bytes", "null")
    ):  # those are due, and yet another change
        await operator.call("place_hold", p_run_id=run_id, p_reason="Matter 15")
    with pytest.raises(psycopg.Error) as refused:
        await room.owner.execute(f"update public.{change.format()} and run_id = %s".encode(), (run_id,))
    assert refused.value.sqlstate == "ORC08"


async def test_an_object_shared_with_a_run_that_is_kept_stays(
    room: Room, operator: Person, worker: Worker, session_id: str
) -> None:
    run_id = await ended(room, operator, worker, session_id, days=1000)
    successor = await operator.call("retry_run", p_run_id=run_id, p_resume=True)
    assert (await collect(room))["objects"] == [], "the successor will want it"
    (claim,) = await worker.claim()
    await worker.start(claim)
    await worker.finish(claim, "failed", "step_failed")
    await bundle(room, worker, successor["id"])
    assert (await collect(room))["objects"] == [], "the successor's own time has not come"
    await age(room, successor["id"], 1000)
    told = await collect(room)
    assert (told["artifacts"]["count"], len(told["objects"])) == (2, 1)
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("retry_run", p_run_id=successor["id"], p_resume=True)
    assert refused.value.sqlstate == "ORG05"
    assert (await operator.call("retry_run", p_run_id=successor["id"]))["attempt"] == 3


async def test_objects_that_nothing_names_go_after_a_day_and_no_others(
    room: Room, operator: Person, worker: Worker, session_id: str
) -> None:
    run_id = await ended(room, operator, worker, session_id, days=2)
    live = await operator.call("create_run", p_session_id=session_id, p_template="kept", p_params={"name": "ada"})
    nobody = "00000000-0000-0000-0000-00000000000a"
    orphans = {
        ("artifacts", f"{run_id}/{'e' * 64}"), ("artifacts", f"{nobody}/{'e' * 64}"), ("bundles", f"{run_id}/{'e' * 64}.zip"),
    }  # fmt: skip
    for bucket, name in orphans:
        await stored(room, name, 5, bucket, days=1.1)
    for bucket, name, days in (
        ("artifacts", f"{live['id']}/{'e' * 64}", 2),
        ("artifacts", f"{run_id}/{'f' * 64}", 0.9),
        ("artifacts", "put/there/by-hand.txt", 2),
        ("bundles", f"{run_id}/{'f' * 64}.zip", 0.5),
    ):
        await stored(room, name, 5, bucket, days)
    await superuser(room, "update storage.objects set created_at = now() - interval '5 days' where name ~ 'b{64}.zip$'")
    told = await (await room.person("admin")).call("read_collection")
    assert orphans == {(o["bucket"], o["name"]) for o in told["orphans"]}
    found: set[tuple[str, str]] = set()
    assert (await collect(room))["orphans"] == 0, "they are looked for once a day, or when somebody wants it"
    await superuser(room, SEARCH_AGAIN)
    for _ in range(40):
        found |= {(item["bucket"], item["name"]) for item in (await collect(room, 10))["objects"]}
    assert found == orphans
    listed = [{"bucket": bucket, "name": name} for bucket, name in orphans]
    assert await worker.call("forget_objects", p_objects=listed) == 0, "they are there still"
    await superuser(room, "delete from storage.objects where name ~ 'e{64}'")
    assert await worker.call("forget_objects", p_objects=listed) == 3
    actions = "select count(*) from public.audit_log where action = 'orphan.collected' and target_id = any (%s)"
    assert await room.value(actions, [run_id, nobody]) == 3


async def test_one_collects_at_a_time_and_long_logs_go_piece_by_piece(
    room: Room, operator: Person, worker: Worker, session_id: str
) -> None:
    run_id = await ended(room, operator, worker, session_id, days=100, bundled=False)
    await room.owner.execute(
        "select private.record_events(array(select row(%s, 'output', null, 'info', 'x', '{}')::private.new_event "
        "from generate_series(1, 40)))",
        (run_id,),
    )
    await bundle(room, worker, run_id)
    await age(room, run_id, 100)
    told = [await collect(room, 10) for _ in range(5)]
    assert [t["logs"]["lines"] for t in told] == [10, 10, 10, 10, 3]
    assert [t["more"] for t in told][-2:] == [True, False]
    async with room.owner.transaction():
        await room.owner.execute("select pg_advisory_xact_lock(hashtextextended('opsroom.collect', 0))")
        assert (await collect(room))["more"] is False
        placing = asyncio.create_task(operator.call("place_hold", p_run_id=run_id, p_reason="Later"))
        waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while not await room.value(waits):
            await asyncio.sleep(0.01)
    assert (await placing)["reason"] == "Later"
