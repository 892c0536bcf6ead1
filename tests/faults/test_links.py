"""Links that are cut, hang, or carry no notifications; a network interface that goes down; a pooler in between."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from opsroom.local.paths import free_port
from tests.faults.ward import LEASE, Ward
from tests.support.wire import Do, Wire
from tests.worker.room import COMMAND, WorkerProcess, eventually

MANNERS = ("register_worker", "attach_worker", "drain_worker", "stop_worker", "sweep_runs")


@pytest.mark.parametrize("fault", ["twice", "cut_answer", pytest.param("cut_request", marks=pytest.mark.soak)])
async def test_greetings_and_sweeps_that_go_wrong_change_nothing(ward: Ward, wire: Wire, fault: Do) -> None:
    """Registration, attachment, sweep, drain and farewell of one worker, each of them hit."""
    traps = {call: wire.on(call, fault) for call in MANNERS}
    run_id = await ward.go(seconds=1)
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url) as worker:
        assert (await ward.until(run_id))["status"] == "succeeded"
        await traps["sweep_runs"].reached.wait()
        worker.process.terminate()
        assert await worker.ended() == 0
        assert traps["register_worker"].sprung and traps["drain_worker"].sprung
        row = await ward.row_of(worker)
        assert row["stopped_at"] or fault != "twice"
    await ward.check()


async def test_no_notification_arrives(ward: Ward, wire: Wire) -> None:
    """NOTIFY is a hint: polling finds the work, the heartbeat the cancellation, the lease the loss."""
    wire.deaf = True
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url) as worker:
        await worker.until_said("worker started")
        assert (await ward.until(await ward.go()))["status"] == "succeeded"
        run_id = await ward.go(seconds=30)
        await ward.until_seen(run_id)
        await ward.call("select cancel_run(%s)", run_id)
        assert (await ward.until(run_id))["status"] == "cancelled"
    await ward.check()


@pytest.mark.soak
async def test_the_link_hangs_and_nothing_breaks(ward: Ward, wire: Wire) -> None:
    """Half-open: no byte passes, no connection ends. The worker ends its run before its lease does."""
    run_id = await ward.go(seconds=30, retry=True)
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url) as worker:
        await ward.until_seen(run_id)
        wire.freeze()
        await worker.until_said("a lease ran out", seconds=10)
        again = await ward.successor_by_time(run_id)
        wire.mend()
        # A claim that hung in the link is too old when its answer comes: that run is never started, and has a successor.
        again = await ward.until_last_seen(again)
        await ward.call("select cancel_run(%s)", again)
        assert (await ward.until(again))["status"] == "cancelled"
    await ward.check()


@pytest.mark.soak
async def test_a_worker_that_is_cut_off_alone_may_outlive_its_claim_by_its_lease_and_no_longer(
    ward: Ward, wire: Wire
) -> None:
    """Its connection is gone, so its run is lost within seconds; it can not know, and ends its processes with its lease."""
    run_id = await ward.go(seconds=30)
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url) as worker:
        await ward.until_seen(run_id)
        await worker.until_said("attached")
        wire.cut()
        await ward.swept(run_id)
        await worker.until_said("a lease ran out", seconds=10)
    assert (await ward.run(run_id))["reason"] == "lost"
    await ward.check(outlive_seconds=5)


async def run(*command: str) -> int:
    return await (await asyncio.create_subprocess_exec(*command)).wait()


@asynccontextmanager
async def network(name: str) -> AsyncIterator[tuple[str, str]]:
    """A network namespace with one cable to here: the address at this end, and the interface to take down."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace needs root and iproute2")
    here, there = f"{name}h", f"{name}n"
    if await run("ip", "netns", "add", name):
        pytest.skip("this machine does not let root make network namespaces")
    try:
        assert not await run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        assert not await run("ip", "address", "add", "198.18.77.1/30", "dev", here)
        assert not await run("ip", "link", "set", here, "up")
        for command in ("address add 198.18.77.2/30 dev " + there, f"link set {there} up", "link set lo up"):
            assert not await run("ip", "-n", name, *command.split())
        yield "198.18.77.1", here
    finally:
        await run("ip", "netns", "delete", name)


@pytest.mark.soak
async def test_the_link_goes_down_in_a_network_namespace(ward: Ward) -> None:
    run_id = await ward.go(seconds=30)
    async with network("opsft") as (address, interface), Wire(ward.stack, address) as wire:
        environment = ward.environment(OPSROOM_DATABASE_URL=wire.url)
        worker = await WorkerProcess.start(
            environment, ward.folder / "netns.log", ("ip", "netns", "exec", "opsft", *COMMAND)
        )
        try:
            await ward.until_seen(run_id)
            await worker.until_said("attached")
            await run("ip", "link", "set", interface, "down")
            await worker.until_said("a lease ran out", seconds=10)
            await ward.swept(run_id)
            await run("ip", "link", "set", interface, "up")
            # A claim that was under way during the outage is too old to be used: never started, so it has a successor.
            assert (await ward.until_last(await ward.go()))["status"] == "succeeded", worker.said
        finally:
            await worker.kill()
    assert (await ward.run(run_id))["reason"] == "lost"
    await ward.check()


@asynccontextmanager
async def pooler(ward: Ward) -> AsyncIterator[str]:
    """PgBouncer in transaction mode: each transaction on whatever server connection is free."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    # Not in the test's own folder: under root its parents are closed to the account that pgbouncer runs as.
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="opsroom-pgbouncer-"))
    stack = ward.stack
    settings = {
        "listen_addr": "127.0.0.1", "listen_port": port, "auth_type": "any", "unix_socket_dir": "",
        "pool_mode": "transaction", "default_pool_size": 3, "min_pool_size": 2, "ignore_startup_parameters": "extra_float_digits",
    }  # fmt: skip
    target = (
        f"postgres = host=127.0.0.1 port={stack.postgres.port} user=opsroom_worker password='{stack.secrets.worker}'"
    )
    lines = ["[databases]", target, "[pgbouncer]", *(f"{name} = {value}" for name, value in settings.items())]
    (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    drop: tuple[str, ...] = ()
    if os.geteuid() == 0:  # it refuses to be root
        for part in (folder, folder / "pgbouncer.ini"):
            os.chown(part, 65534, 65534)
        drop = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    with (ward.folder / "pgbouncer.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *drop, program, str(folder / "pgbouncer.ini"), stdout=log, stderr=log
        )
    try:

        async def listens() -> bool:
            assert process.returncode is None, (ward.folder / "pgbouncer.log").read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await eventually(listens, "pgbouncer to listen", 10)
        yield f"postgresql://opsroom_worker@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.soak
async def test_a_pooler_in_transaction_mode(ward: Ward) -> None:
    """No session to hold on to: no LISTEN, no attachment. Work, cancellation and loss go by polling, heartbeat and lease."""
    async with pooler(ward) as url, ward.worker(OPSROOM_DATABASE_URL=url) as worker:
        runs = [await ward.launch(await ward.witnessed("echo first", 0.2), lane=lane) for lane in "ABCD"]
        for run_id in runs:
            assert (await ward.until(run_id))["status"] == "succeeded"
        held = await ward.go(seconds=30)
        await ward.until_seen(held)
        await ward.call("select cancel_run(%s)", held)
        assert (await ward.until(held))["status"] == "cancelled"
        lost = await ward.go(seconds=30)
        await ward.until_seen(lost)
        await worker.kill()
        assert (await ward.row_of(worker))["backend_pid"] is None, "no pooled connection is taken for the worker's own"
        await ward.swept(lost, LEASE + 5)
    await ward.check()


async def test_a_claim_whose_answer_comes_after_its_deadline_is_handed_back(ward: Ward, wire: Wire) -> None:
    """The lease is made longer behind the worker's back, so that only the worker can have ended the run."""
    run_id = await ward.go()
    trap = wire.on("claim_batch", "hold_answer")
    async with ward.worker(OPSROOM_DATABASE_URL=wire.url) as worker:
        await ward.until(run_id, "claimed")
        await ward.sql("update runs set lease_expires_at = lease_expires_at + interval '1 h' where id = %s", run_id)
        await asyncio.sleep(LEASE)  # which the worker counts from the sending of its claim
        trap.release()
        run = await ward.until(run_id)
        assert (run["status"], run["reason"], run["started_at"]) == ("failed", "lost", None)
        assert (await ward.until(await ward.successor(run_id)))["status"] == "succeeded"
        assert "outcome=released" in worker.said
    await ward.check()
