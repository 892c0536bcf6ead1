"""Every call of a worker: doubled, its request lost, its answer lost after the server had committed. One worker, one wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager

import pytest

from tests.faults.ward import LEASE, Ward
from tests.support.stack import Stack
from tests.support.wire import Do, Kind, Wire
from tests.worker.room import WorkerProcess, eventually

CALLS = ("claim_batch", "start_runs?", "append_events", "put_artifact", "finish_runs?", "heartbeat")
FAULTS = ("twice", "cut_answer", pytest.param("cut_request", marks=pytest.mark.soak))


@pytest.fixture(scope="module")
async def served(
    stack: Stack, person: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Wire, WorkerProcess]]:
    ward = await Ward.open(stack, tmp_path_factory.mktemp("served"), person)
    async with Wire(stack) as wire, ward.worker(OPSROOM_DATABASE_URL=wire.url) as worker:
        await worker.until_said("worker started")
        yield wire, worker


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_call_that_goes_wrong_changes_nothing(
    ward: Ward, served: tuple[Wire, WorkerProcess], call: str, fault: Do
) -> None:
    wire, _ = served
    trap = wire.on(call, fault)
    # Long enough for a batch of events of its own, and for a heartbeat.
    body, artifacts = "echo first; echo proof > proof.txt", [{"path": "proof.txt", "kind": "file"}]
    run_id = await ward.go(body, seconds=1.2 if call == "heartbeat" else 0.4, step={"artifacts": artifacts})
    assert (await ward.until(run_id))["status"] == "succeeded"
    async with asyncio.timeout(5):
        await trap.reached.wait()
    assert await ward.output(run_id) == "first\n"
    assert list(await ward.artifacts(run_id)) == ["proof.txt"]
    await ward.check()


async def until_used(wire: Wire, kind: Kind, besides: AbstractSet[object] = frozenset()) -> set[object]:
    """The worker's connections of a kind, once there is one that is not among `besides`."""

    async def there() -> set[object]:
        return wire.links(kind) - besides

    return await eventually(there, f"the worker to use a connection for {kind}", LEASE * 2)


@asynccontextmanager
async def connected_anew(ward: Ward, served: tuple[Wire, WorkerProcess], kind: Kind) -> AsyncIterator[None]:
    """The block breaks connections while a run goes on, which ends only when the worker has connected anew."""
    wire, worker = served
    go = ward.folder / "go"
    run_id = await ward.go(f"echo first; while [ ! -e {go} ]; do sleep 0.1; done")
    await ward.until_seen(run_id)
    broken = await until_used(wire, kind)
    yield
    await until_used(wire, kind, broken)
    go.touch()
    assert (await ward.until(run_id))["status"] == "succeeded"
    assert worker.process.returncode is None
    await ward.check()


@pytest.mark.parametrize("kind", ["calls", "heartbeat", "listen"])
async def test_one_kind_of_connection_is_lost(ward: Ward, served: tuple[Wire, WorkerProcess], kind: Kind) -> None:
    async with connected_anew(ward, served, kind):
        assert served[0].cut(kind)


@pytest.mark.parametrize("kind", ["heartbeat", "listen", "calls"])
async def test_pg_terminate_backend(ward: Ward, served: tuple[Wire, WorkerProcess], kind: Kind) -> None:
    last = {"heartbeat": '%."heartbeat"(%', "listen": "listen %", "calls": "%"}[kind]
    async with connected_anew(ward, served, kind):
        gone = await ward.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'opsroom-worker'"
            " and (query ilike %s or query ilike %s)",
            last,
            last if kind != "listen" else "%attach_worker%",
        )
        assert gone, f"there was no connection for {kind}"
