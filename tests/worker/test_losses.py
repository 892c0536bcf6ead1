"""How fast a dead worker is noticed, and that a living one is never taken for dead."""

from __future__ import annotations

import asyncio
import signal
import struct
import time

import httpx

from opsroom.local.paths import free_port
from tests.worker.room import Room, eventually


async def backend_of(room: Room, run_id: str) -> int:
    """The server process of the connection that the run's worker calls its own."""

    async def there() -> int | None:
        rows = await room.sql(
            "select w.backend_pid from workers w join runs r on r.claimed_by = w.id"
            " join pg_stat_activity a on a.pid = w.backend_pid and a.backend_start = w.backend_start where r.id = %s",
            run_id,
        )
        return rows[0]["backend_pid"] if rows else None

    return await eventually(there, "the worker to be attached", 10)


async def test_kill_9_of_a_worker_starts_the_successor_elsewhere_within_seconds_not_a_lease(room: Room) -> None:
    # Workers that other tests killed just now would hold the sweep back: with most of a fleet cut, leases decide.
    await room.sql("update workers set stopped_at = clock_timestamp() where stopped_at is null")
    run_id = await room.launch_script(
        "echo ready; [ $RUN_ATTEMPT -gt 1 ] || sleep 300",
        lease_seconds=300,
        retry={"attempts": 3, "on": ["lost"], "backoff_seconds": 0},
    )
    async with room.worker() as worker:
        await room.until_output(run_id, "ready")
        await backend_of(room, run_id)
        # Another one, which is there already, and sweeps seldom: between two regular sweeps are three seconds at least.
        async with room.worker(OPSROOM_WORKER_SWEEP_SECONDS="4") as other:
            await other.until_said("attached")
            began = time.monotonic()
            worker.send(signal.SIGKILL)

            async def succeeded() -> bool:
                rows = await room.sql("select status from runs where retry_of = %s", run_id)
                return bool(rows) and rows[0]["status"] == "succeeded"

            await eventually(succeeded, "the successor to succeed", 30)
            took = time.monotonic() - began
    assert (await room.run(run_id))["reason"] == "lost"
    (missed,) = await room.sql(
        "select extract(epoch from r.finished_at - w.missing_since)::float8 as seconds"
        " from runs r join workers w on w.id = r.claimed_by where r.id = %s",
        run_id,
    )
    assert 1 <= missed["seconds"] < 3, "it is swept when the grace of a second is over"
    assert took < 20, f"{took} s, where the lease is 300 s; python -m bench loss measures it"


async def test_a_cut_of_its_own_connection_is_mended_before_anybody_takes_the_worker_for_dead(room: Room) -> None:
    run_id = await room.launch_script("echo ready; sleep 4; echo done")
    async with room.worker() as worker, room.worker():
        await room.until_output(run_id, "ready")
        before = await backend_of(room, run_id)
        await room.sql("select pg_terminate_backend(%s)", before)

        async def anew() -> bool:
            return await backend_of(room, run_id) != before

        await eventually(anew, "the worker to be attached again", 2)
        assert (await room.until(run_id))["status"] == "succeeded", worker.said
        assert worker.said.count("attached: losses are noticed by the connection") + 1 >= 2


async def test_behind_a_transaction_pooler_the_worker_does_not_attach_and_says_so(room: Room) -> None:
    port = free_port()
    run_id = await room.launch_script("echo done")
    async with Deaf(room) as pooler:
        environment = {"OPSROOM_DATABASE_URL": pooler.url, "OPSROOM_WORKER_PORT": str(port)}
        async with room.worker(**environment) as worker, httpx.AsyncClient() as http:
            await worker.until_said("notifications do not arrive: losses are noticed by the lease")
            assert (await room.until(run_id))["status"] == "succeeded"
            answer = await http.get(f"http://127.0.0.1:{port}/readyz")
            assert answer.text.startswith("ready\nlosses are noticed by the lease\n")
            assert "opsroom_worker_attached 0.0" in (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    rows = await room.sql(
        "select backend_pid from workers w join runs r on r.claimed_by = w.id where r.id = %s", run_id
    )
    assert rows[0]["backend_pid"] is None


async def test_a_direct_connection_is_told_by_readyz(room: Room) -> None:
    port = free_port()
    async with room.worker(OPSROOM_WORKER_PORT=str(port)) as worker, httpx.AsyncClient() as http:
        await worker.until_said("attached")
        answer = await http.get(f"http://127.0.0.1:{port}/readyz")
        assert answer.text.startswith("ready\nlosses are noticed by the connection\n")


class Deaf:
    """A relay to the database that passes on everything but notifications, as a pooler in transaction mode does."""

    def __init__(self, room: Room) -> None:
        self._target = room.stack.postgres.port
        self._direct = room.stack.database_url("worker")

    async def __aenter__(self) -> Deaf:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        joint = "&" if "?" in self._direct else "?"
        self.url = self._direct.replace(f":{self._target}/", f":{port}/") + f"{joint}sslmode=disable&gssencmode=disable"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)

        async def up() -> None:
            while data := await reader.read(65536):
                there_writer.write(data)
            there_writer.close()

        async def down() -> None:
            while True:
                head = await there_reader.readexactly(5)
                body = await there_reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
                if head[:1] != b"A":
                    writer.write(head + body)

        await asyncio.gather(up(), down(), return_exceptions=True)
        writer.close()
