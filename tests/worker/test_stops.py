"""Ending runs: by a person, by time, by the worker's own end. Nothing that a run started may be left."""

from __future__ import annotations

import asyncio
import signal
import time

from tests.worker.room import Room, eventually, processes_with


async def until_gone(mark: str, seconds: float = 5) -> None:
    async def gone() -> bool:
        return not processes_with(mark)

    await eventually(gone, f"no process of {mark} to be left", seconds)


async def test_cancel_lets_the_command_clean_up_and_ends_the_run_cancelled(room: Room) -> None:
    run_id = await room.launch_script("trap 'echo cleaned; exit 0' TERM; echo ready; sleep 60 & wait")
    async with room.worker(OPSROOM_WORKER_HEARTBEAT_SECONDS="30"):
        await room.until_output(run_id, "ready")
        began = time.monotonic()
        await room.call("select cancel_run(%s, 'enough')", run_id)
        run = await room.until(run_id)
        took = time.monotonic() - began
    assert (run["status"], run["reason"]) == ("cancelled", "cancelled_by_person")
    assert "cleaned" in await room.output(run_id)
    assert (await room.steps(run_id))["s1"]["status"] == "cancelled"
    assert took < 2, "the wish arrives by the wake-up, not by the next heartbeat"
    assert not processes_with(run_id)


async def test_cancel_kills_what_does_not_honour_term_after_the_grace(room: Room) -> None:
    run_id = await room.launch_script("trap '' TERM; echo ready; while :; do sleep 0.1; done")
    async with room.worker(OPSROOM_WORKER_GRACE_SECONDS="0.5"):
        await room.until_output(run_id, "ready")
        await room.call("select cancel_run(%s)", run_id)
        assert (await room.until(run_id))["status"] == "cancelled"
    assert not processes_with(run_id)


async def test_escapees_by_setsid_and_double_fork_die_with_a_cancelled_run(room: Room) -> None:
    script = """
      setsid sleep 300 &
      (setsid bash -c 'trap "" TERM HUP; sleep 301; sleep 301' &)
      (nohup sleep 302 >/dev/null 2>&1 &)
      echo ready; sleep 60"""
    run_id = await room.launch_script(script)
    async with room.worker():
        await room.until_output(run_id, "ready")
        assert len(processes_with(run_id)) >= 5
        await room.call("select cancel_run(%s)", run_id)
        assert (await room.until(run_id))["status"] == "cancelled"
        assert not processes_with(run_id)


async def test_a_grandchild_that_holds_stdout_open_does_not_hold_the_run(room: Room) -> None:
    run_id = await room.launch_script("setsid sleep 300 & echo done")
    async with room.worker():
        run = await room.until(run_id, seconds=10)
        assert run["status"] == "succeeded"
        assert await room.output(run_id) == "done\n"
        assert not processes_with(run_id)


async def test_a_command_that_kills_its_supervisor_does_not_set_its_children_free(room: Room) -> None:
    run_id = await room.launch_script("setsid sleep 300 & setsid sleep 301 & echo ready; kill -9 $PPID; sleep 60")
    async with room.worker():
        run = await room.until(run_id, seconds=10)
        assert (run["status"], run["reason"], run["exit_code"]) == ("failed", "step_failed", 137)
        await until_gone(run_id)
        # The leash works on.
        assert (await room.until(await room.launch_script("true")))["status"] == "succeeded"


async def test_a_command_that_kills_its_supervisor_at_once_is_not_said_not_to_have_started(room: Room) -> None:
    """It may be faster than the word that it has started. Tried a few times, since it is a race."""
    slug = await room.template([{"with": {"script": "kill -9 $PPID; sleep 60"}}])
    runs = [await room.launch(slug, lane=lane) for lane in "ABCDABCDABCD"]
    async with room.worker():
        for run_id in runs:
            run = await room.until(run_id, seconds=20)
            assert (run["reason"], run["exit_code"]) == ("step_failed", 137), run["message"]


async def test_a_fork_bomb_is_ended_by_its_timeout(room: Room) -> None:
    # Every generation starts two of the next one in sessions of their own; 2 ** 8 processes at most.
    script = "export -f f; f 8; sleep 60"
    script = (
        'f() { [ "$1" = 0 ] || { setsid bash -c "f $(($1 - 1))" & setsid bash -c "f $(($1 - 1))" & }; sleep 300; }; '
        + script
    )
    run_id = await room.launch(await room.template([{"timeout_seconds": 1, "with": {"script": script}}]))
    async with room.worker(OPSROOM_WORKER_GRACE_SECONDS="0"):
        assert (await room.until(run_id, seconds=20))["status"] == "timed_out"
        assert not processes_with(run_id)


async def test_a_step_that_takes_too_long_ends_the_run_timed_out(room: Room) -> None:
    slug = await room.template(
        [{"timeout_seconds": 1, "with": {"script": "echo ready; sleep 60"}}, {"needs": ["s1"], "with": {"script": ":"}}]
    )
    run_id = await room.launch(slug)
    async with room.worker():
        run = await room.until(run_id)
    assert (run["status"], run["reason"]) == ("timed_out", "step_timeout")
    assert {k: s["status"] for k, s in (await room.steps(run_id)).items()} == {"s1": "timed_out", "s2": "skipped"}
    assert not processes_with(run_id)


async def test_a_run_that_takes_too_long_is_timed_out_with_all_its_steps(room: Room) -> None:
    run_id = await room.launch_script("sleep 60", timeout_seconds=1)
    async with room.worker():
        run = await room.until(run_id)
    assert (run["status"], run["reason"]) == ("timed_out", "run_timeout")
    assert (await room.steps(run_id))["s1"]["status"] == "timed_out"
    assert not processes_with(run_id)


async def test_a_queued_run_of_a_full_lane_waits_and_a_cancelled_one_never_starts(room: Room) -> None:
    slug = await room.template([{"with": {"script": "echo ready; sleep 60"}}])
    first, second = await room.launch(slug), await room.launch(slug)
    async with room.worker():
        await room.until_output(first, "ready")
        assert (await room.run(second))["status"] == "queued"
        await room.call("select cancel_run(%s)", second)
        await room.call("select cancel_run(%s)", first)
        assert (await room.until(first))["status"] == "cancelled"
    assert (await room.run(second))["started_at"] is None


async def test_kill_9_of_the_worker_takes_all_processes_with_it_and_the_sweep_ends_the_run(room: Room) -> None:
    run_id = await room.launch_script(
        "setsid sleep 300 & echo ready; trap '' TERM; sleep 301; sleep 301", lease_seconds=5
    )
    async with room.worker() as worker:
        await room.until_output(run_id, "ready")
        assert processes_with(run_id)
        worker.send(signal.SIGKILL)
        await worker.ended()
        await until_gone(run_id)
        assert (await room.run(run_id))["status"] == "running"
        async with room.worker():
            run = await room.until(run_id, seconds=20)
    assert (run["status"], run["reason"]) == ("failed", "lost")
    assert run["retry_of"] is None
    assert not await room.sql("select from runs where retry_of = %s", run_id), "a started run is not run again"


async def test_a_stopped_worker_loses_its_processes_when_the_lease_is_over(room: Room) -> None:
    run_id = await room.launch_script("echo ready; sleep 300", lease_seconds=5)
    async with room.worker() as worker:
        await room.until_output(run_id, "ready")
        worker.send(signal.SIGSTOP)
        await until_gone(run_id, seconds=10)
        async with room.worker():
            assert (await room.until(run_id, seconds=20))["reason"] == "lost"
        # What it does after waking is refused, and the run stays as it is.
        worker.send(signal.SIGCONT)
        await worker.until_said("outcome=lost")
    assert (await room.run(run_id))["reason"] == "lost"


async def test_a_worker_without_its_database_kills_its_run_before_the_lease_is_over(room: Room) -> None:
    run_id = await room.launch_script("echo ready; sleep 300", lease_seconds=5)
    async with (
        Proxy(room) as proxy,
        room.worker(OPSROOM_DATABASE_URL=proxy.url, OPSROOM_WORKER_HEARTBEAT_SECONDS="1") as worker,
    ):
        await room.until_output(run_id, "ready")
        proxy.cut()
        lease_over = (await room.sql("select lease_expires_at from runs where id = %s", run_id))[0]["lease_expires_at"]
        await worker.until_said("a lease ran out", seconds=10)
        now = (await room.sql("select clock_timestamp() as now"))[0]["now"]
        assert now <= lease_over
        await until_gone(run_id, seconds=1)


async def test_a_short_outage_loses_no_output(room: Room) -> None:
    run_id = await room.launch_script("for i in $(seq 30); do echo line $i; sleep 0.1; done")
    async with Proxy(room) as proxy, room.worker(OPSROOM_DATABASE_URL=proxy.url):
        await room.until_output(run_id, "line 3\n")
        proxy.cut()
        await asyncio.sleep(1)  # the length of the outage
        proxy.mend()
        assert (await room.until(run_id, seconds=30))["status"] == "succeeded"
    assert await room.output(run_id) == "".join(f"line {i}\n" for i in range(1, 31))


async def test_the_first_sigterm_drains_and_running_runs_finish(room: Room) -> None:
    slug = await room.template([{"with": {"script": "echo ready; sleep 1; echo finished"}}])
    first, second = await room.launch(slug), await room.launch(slug)
    async with room.worker() as worker:
        await room.until_output(first, "ready")
        worker.send(signal.SIGTERM)
        assert await worker.ended() == 0
    assert (await room.run(first))["status"] == "succeeded"
    assert (await room.run(second))["status"] == "queued"
    row = (
        await room.sql(
            "select draining_at, stopped_at from workers where id = (select claimed_by from runs where id = %s)", first
        )
    )[0]
    assert row["draining_at"] and row["stopped_at"]
    await room.call("select cancel_run(%s)", second)


async def test_the_second_sigterm_stops_the_runs(room: Room) -> None:
    run_id = await room.launch_script("echo ready; sleep 60")
    async with room.worker() as worker:
        await room.until_output(run_id, "ready")
        worker.send(signal.SIGTERM)
        await worker.until_said("draining")
        worker.send(signal.SIGTERM)
        assert await worker.ended() == 0
    run = await room.run(run_id)
    assert (run["status"], run["reason"]) == ("failed", "worker_error")
    assert not processes_with(run_id)


class Proxy:
    """A relay to the database that can be cut: connections break, new ones are refused."""

    def __init__(self, room: Room) -> None:
        self._target = room.stack.postgres.port
        self._direct = room.stack.database_url("worker")
        self._up = True
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = self._direct.replace(f":{self._target}/", f":{port}/")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        self._up = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def mend(self) -> None:
        self._up = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, there_writer]
        await asyncio.gather(self._relay(reader, there_writer), self._relay(there_reader, writer))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, OSError):
            pass
        writer.close()
