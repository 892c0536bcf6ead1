"""Uploads that fail at each point. What is recorded is there, with its size and its hash; what is not there is no success."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.http_wire import Fault, HttpWire
from tests.faults.ward import Ward
from tests.support.wire import Wire

BODY = "head -c 300k /dev/urandom >proof.bin; echo small >note.txt"
STEP = {"artifacts": [{"path": "proof.bin", "kind": "file"}, {"path": "note.txt", "kind": "file"}]}


@pytest.mark.parametrize(
    "fault",
    [
        "500",
        "cut midway",
        "cut answer",
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("refused", "429", "slow")),
    ],
)
async def test_an_upload_that_fails_for_a_while_is_repeated(ward: Ward, fault: Fault) -> None:
    run_id = await ward.go(BODY, step=STEP)
    async with HttpWire(ward.stack.ports.api) as storage:
        storage.next(fault, 2)
        async with ward.worker(SUPABASE_URL=storage.url):
            assert (await ward.until(run_id))["status"] == "succeeded"
        assert storage.hit == 2
    assert set(await ward.artifacts(run_id)) == {"proof.bin", "note.txt"}
    await ward.check()


async def test_an_upload_that_is_refused_for_good_fails_the_run(ward: Ward) -> None:
    run_id = await ward.go(BODY, step=STEP)
    async with HttpWire(ward.stack.ports.api) as storage:
        storage.next("400", 1000)
        async with ward.worker(SUPABASE_URL=storage.url):
            assert (await ward.until(run_id))["status"] == "failed"
    assert not await ward.artifacts(run_id)
    await ward.check()


@pytest.mark.soak
async def test_storage_down_past_the_lease_keeps_the_lease_and_ends_well(ward: Ward) -> None:
    run_id = await ward.go(BODY, step=STEP)
    async with HttpWire(ward.stack.ports.api) as storage:
        storage.next("refused", 1000)
        async with ward.worker(SUPABASE_URL=storage.url):
            await ward.until_seen(run_id, "ended")
            await asyncio.sleep(5.5)  # longer than the lease
            storage.times = 0
            assert (await ward.until(run_id))["status"] == "succeeded"
    await ward.check()


@pytest.mark.parametrize("what", ["vanishes", "is cut short"])
async def test_an_object_that_changes_between_upload_and_record(ward: Ward, wire: Wire, what: str) -> None:
    trap = wire.on("put_artifact", "hold_request")
    run_id = await ward.go(BODY, step=STEP)
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url):
        async with asyncio.timeout(20):
            await trap.reached.wait()
        if what == "vanishes":
            await ward.vanish(run_id)
        else:
            await ward.admin(
                "update storage.objects set metadata = metadata || '{\"size\": 1}' where name like %s", run_id + "/%"
            )
        trap.release()
        run = await ward.until(run_id)
    assert run["status"] == "failed" and not await ward.artifacts(run_id)
    await ward.check()


async def test_cancel_while_an_upload_hangs(ward: Ward) -> None:
    run_id = await ward.go(BODY, step=STEP)
    async with HttpWire(ward.stack.ports.api) as storage:
        storage.next("refused", 1000)
        async with ward.worker(SUPABASE_URL=storage.url):
            await ward.until_seen(run_id, "ended")
            await ward.call("select cancel_run(%s)", run_id)
            run = await ward.until(run_id)
    assert run["status"] == "cancelled"
    await ward.check()
