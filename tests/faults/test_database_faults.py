"""The database itself: restarted, crashed, away for longer than a lease, full, slow to acknowledge."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.faults.test_machine import small_disk
from tests.faults.ward import LEASE, Ward
from tests.worker.room import eventually


@pytest.mark.parametrize("how", ["immediate", "backend killed", pytest.param("fast", marks=pytest.mark.soak)])
async def test_the_database_restarts(ward: Ward, how: str) -> None:
    run_id = await ward.go("for i in {1..20}; do echo line $i; done", seconds=2)
    postgres = ward.stack.postgres
    async with ward.worker() as worker:
        await ward.until_seen(run_id)
        match how:
            case "fast":
                await postgres.stop()
                await postgres.start()
            case "immediate":
                assert postgres.process
                postgres.process.send_signal(signal.SIGQUIT)
                await postgres.process.wait()
                await postgres.start()
            case _:
                await worker.until_said("attached")
                backend = (await ward.row_of(worker))["backend_pid"]
                os.kill(backend, signal.SIGKILL)  # Postgres then restarts all of its processes

        async def ended() -> bool:
            try:
                return (await ward.run(run_id))["finished_at"] is not None
            except Exception:
                return False

        await eventually(ended, "the run to end", 20)
        assert (await ward.run(run_id))["status"] == "succeeded"
        assert worker.process.returncode is None
    assert (await ward.output(run_id)).count("line") == 20
    await ward.check()


@pytest.mark.soak
async def test_the_database_is_away_for_longer_than_the_lease(ward: Ward) -> None:
    run_id = await ward.go("setsid sleep 300 &", seconds=30, retry=True)
    async with ward.worker() as worker:
        await ward.until_seen(run_id)
        await ward.stack.postgres.stop()
        await worker.until_said("a lease ran out", seconds=10)
        await worker.until_said("outcome=lost")
        await ward.stack.postgres.start()
        again = await ward.successor(run_id, seconds=3 * LEASE)
        await ward.until_seen(again)
        await ward.call("select cancel_run(%s)", again)
        await ward.until(again)
    assert (await ward.run(run_id))["reason"] == "lost"
    await ward.check()


async def test_commits_are_durable_and_their_acknowledgement_never_comes(ward: Ward) -> None:
    """A standby that does not exist is waited for; the waiting server processes are ended: error to the client, row on disk."""
    run_id = await ward.go("echo first", seconds=1)
    async with ward.worker():
        await ward.until_seen(run_id)
        await ward.admin("alter system set synchronous_standby_names = 'nobody'")
        await ward.admin("select pg_reload_conf()")
        try:
            for _ in range(3):

                async def cut() -> bool:
                    rows = await ward.sql(
                        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'"
                        " and application_name = 'opsroom-worker'"
                    )
                    return bool(rows)

                await eventually(cut, "commits to wait for a standby", 10)
        finally:
            await ward.admin("alter system reset synchronous_standby_names")
            await ward.admin("select pg_reload_conf()")
        assert (await ward.until(run_id))["status"] == "succeeded"
    assert await ward.output(run_id) == "first\n"
    await ward.check()


async def test_the_disk_for_the_events_is_full(ward: Ward) -> None:
    """run_events on a disk of its own: it fills up, events are refused and kept, and written when there is room again."""
    folder = Path(tempfile.mkdtemp(dir=ward.stack.state.root, prefix="full-"))
    with small_disk(folder / "disk", "16m") as disk:
        space, ballast = disk / "space", disk / "ballast"
        owner = ward.stack.state.postgres.stat()
        space.mkdir(mode=0o700)
        for part in (folder, disk):
            part.chmod(0o711)
        os.chown(space, owner.st_uid, owner.st_gid)
        await ward.admin(f"create tablespace small location '{space}'")  # type: ignore[arg-type]
        try:
            await ward.admin("alter table public.run_events set tablespace small")
            run_id = await ward.go("head -c 600k /dev/urandom | base64 -w 100", seconds=0.5)
            async with ward.worker() as worker:
                await worker.until_said("worker started")
                await ward.until_seen(run_id)
                subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], check=False, capture_output=True)
                flood = await ward.launch(
                    await ward.witnessed("head -c 600k /dev/urandom | base64 -w 100", 0.5), lane="B"
                )
                await worker.until_said("No space left", seconds=15)
                ballast.unlink()
                for each in (run_id, flood):
                    assert (await ward.until(each, seconds=30))["status"] == "succeeded"
            await ward.check()
        finally:
            ballast.unlink(missing_ok=True)
            await ward.admin("alter table public.run_events set tablespace pg_default")
            await ward.admin("drop tablespace small")
