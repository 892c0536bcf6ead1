"""Control groups: what escapes from its session, its parents and its environment still dies with its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.test_crashes import leash_of, parent
from tests.faults.ward import Ward
from tests.worker.room import eventually
from workers.leash.control_groups import PREFIX

FINDS = "import sys; from workers.leash.control_groups import find; sys.exit(find(sys.argv[1]) is None)"


def kinds(*names: str) -> list[object]:
    """Those that this machine has; the others are skipped."""
    absent = [name for name in names if subprocess.run([sys.executable, "-c", FINDS, name], check=False).returncode]
    why = "this machine lets nobody make control groups of version"
    return [
        pytest.param(name, marks=[pytest.mark.skip(reason=f"{why} {name[1:]}")] if name in absent else [])
        for name in names
    ]


def escape(pids: Path) -> str:
    """Three that no signal to a group, no name and no environment finds: a session, a double fork, a nohup."""
    program = pids.with_suffix(".sh")
    program.write_text(f"trap '' TERM HUP\necho $$ >>{pids}\nsleep 300\nsleep 301\n")
    return (
        f"env -i setsid bash {program} & (env -i setsid bash -c 'bash {program} & disown' &)\n"
        f"(setsid env -i nohup bash {program} >/dev/null 2>&1 &)\n"
        f"until [ $(wc -l <{pids}) = 3 ]; do sleep 0.05; done"
    )


async def escaped(pids: Path) -> list[int]:
    async def there() -> list[int] | None:
        found = [int(line) for line in pids.read_text().split()] if pids.exists() else []
        return found if len(found) == 3 else None

    return await eventually(there, "three processes to escape", 30)


def group_of(pid: int) -> Path | None:
    """The control group that a worker made for it, if it is in one."""
    ours = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if PREFIX in line]
    if not ours:
        return None
    _, controllers, path = ours[0]
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    (point,) = [
        point
        for _, point, kind, options, *_ in mounts
        if (kind == "cgroup2" if not controllers else kind == "cgroup" and controllers in options.split(","))
    ]
    return Path(point + path)


async def until_gone(pids: list[int], *groups: Path | None) -> None:
    async def gone() -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in pids) and not any(g and g.exists() for g in groups)

    await eventually(gone, f"processes {pids} and their groups to be gone", 20)


@pytest.mark.parametrize("kind", [*kinds("v2", "v1"), "off"])
async def test_escapees_die_when_their_worker_is_stopped_or_killed(ward: Ward, kind: str) -> None:
    stopped, killed = ward.folder / "stopped", ward.folder / "killed"
    run_id = await ward.go(escape(stopped), seconds=300)
    async with ward.worker(OPSROOM_WORKER_CONTROL_GROUPS=kind) as worker:
        pids = await escaped(stopped)
        groups = {group_of(pid) for pid in pids}
        assert groups == {None} if kind == "off" else None not in groups and len(groups) == 1
        worker.send(signal.SIGSTOP)
        await ward.swept(run_id)
        await until_gone(pids)
        worker.send(signal.SIGCONT)
        await worker.until_said("outcome=lost")
        again = await ward.go(escape(killed), seconds=300)
        pids = await escaped(killed)
        groups |= {group_of(pid) for pid in pids}
        worker.send(signal.SIGKILL)
        await worker.ended()
        await until_gone(pids, *groups)
    await ward.lose(again)
    await ward.check()


@pytest.mark.parametrize("kind", kinds("v2", "v1"))
async def test_a_worker_clears_what_a_killed_worker_and_its_leash_left(ward: Ward, kind: str) -> None:
    """All that watch die at once, as when the machine runs out of memory: only the groups know what was theirs."""
    file = ward.folder / "left"
    run_id = await ward.go(escape(file), seconds=300)
    async with ward.worker(OPSROOM_WORKER_CONTROL_GROUPS=kind) as worker:
        pids = await escaped(file)
        group = group_of(pids[0])
        assert group is not None
        supervisor, leash = int(group.name.split("-")[2]), leash_of(worker)
        assert parent(supervisor) == leash
        # The leash first: it lets no supervisor stay stopped.
        for pid in (leash, supervisor):
            os.kill(pid, signal.SIGSTOP)
        for pid in (worker.process.pid, leash, supervisor):
            os.kill(pid, signal.SIGKILL)
        await worker.ended()
    assert any(Path(f"/proc/{pid}").exists() for pid in pids), "they have escaped from everything but their group"
    async with ward.worker(OPSROOM_WORKER_CONTROL_GROUPS=kind):
        await until_gone(pids, group)
        assert (await ward.until(run_id))["reason"] == "lost"
    await ward.check()


@pytest.mark.parametrize("kind", kinds("v2", "v1"))
async def test_a_command_that_kills_its_supervisor_leaves_its_group_to_the_leash(ward: Ward, kind: str) -> None:
    file = ward.folder / "orphans"
    run_id = await ward.go(f"{escape(file)}; kill -9 $PPID", seconds=300)
    async with ward.worker(OPSROOM_WORKER_CONTROL_GROUPS=kind):
        pids = await escaped(file)
        assert (await ward.until(run_id))["exit_code"] == 137
        await until_gone(pids)
        assert (await ward.until(await ward.go()))["status"] == "succeeded"
    await ward.check()


async def test_a_worker_says_when_it_can_not_have_the_groups_it_was_told_to_use(ward: Ward) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to hide the control groups of this machine")
    hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "-"]
    command = [*hidden, sys.executable, "-m", "workers"]
    env = ward.environment(OPSROOM_WORKER_CONTROL_GROUPS="v2")
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "OPSROOM_WORKER_CONTROL_GROUPS asks for v2" in done.stderr
