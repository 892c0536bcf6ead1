"""Control groups, where this machine lets us make some: one for each supervisor, which it and its commands live in.

Version 2 kills a group in one stroke (`cgroup.kill`). Of version 1 the freezer holds everything still while it is
killed; any other hierarchy is killed until it is empty. A group is named after its supervisor, so that what a killed
one left is told from what is alive: by pid namespace, process number and the time it was born.
"""

import contextlib
import os
import signal
import sys
import time

from workers.leash.system import send_signal, stat_fields

PREFIX = "opsroom-"
PROBE_SECONDS = 2.0
BORN = 19
"""The index of starttime in stat_fields."""


class Group:
    """One control group, of a supervisor and its commands, perhaps with groups below it that a command has made."""

    def __init__(self, path: str) -> None:
        self.path = path

    def make(self) -> None:
        os.mkdir(self.path)

    def enter(self) -> None:
        """Put the calling process in."""
        _write(f"{self.path}/cgroup.procs", "0")

    def leave(self) -> None:
        """Put the calling process where this group was made."""
        _write(f"{os.path.dirname(self.path)}/cgroup.procs", "0")

    def members(self) -> list[int]:
        return [pid for folder in self._folders() for pid in _numbers(f"{folder}/cgroup.procs")]

    def kill(self) -> None:
        """KILL to all in it, once. With neither version 2 nor freezer, new ones may appear meanwhile."""
        with contextlib.suppress(OSError):
            _write(f"{self.path}/cgroup.kill", "1")
            return
        folders = self._folders()
        for folder in folders:
            _freeze(folder, "FROZEN")
        for folder in folders:
            for pid in _numbers(f"{folder}/cgroup.procs"):
                send_signal(pid, signal.SIGKILL)
        for folder in folders:
            _freeze(folder, "THAWED")

    def remove(self) -> bool:
        """Whether it is gone; it can not go before it is empty."""
        for folder in self._folders():
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        return not os.path.isdir(self.path)

    def _folders(self) -> list[str]:
        """The deepest first."""
        return [folder for folder, _, _ in os.walk(self.path, topdown=False)]


class ControlGroups:
    """Where groups are made: below the group that this process is in itself."""

    def __init__(self, version: str, base: str) -> None:
        self.version = version
        self.base = base

    def of(self, supervisor: int) -> Group:
        """The group of a living supervisor."""
        return Group(f"{self.base}/{_name(supervisor)}")

    def clear(self) -> int:
        """End what is left of supervisors that are dead; how many groups there were."""
        here, found = f"{PREFIX}{_namespace()}-", 0
        for name in sorted(os.listdir(self.base)):
            if name.startswith(here) and not _alive(name):
                found += 1
                end(Group(f"{self.base}/{name}"))
        return found

    def work(self) -> bool:
        """Try it with a process of our own: a group that can be made may still not be entered, or not kill."""
        try:
            group = Group(f"{self.base}/{_name(os.getpid())}-probe")
            group.make()
        except OSError:
            return False
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                group.enter()
                time.sleep(PROBE_SECONDS)
            os._exit(1)
        deadline = time.monotonic() + PROBE_SECONDS
        while time.monotonic() < deadline and os.waitpid(pid, os.WNOHANG) == (0, 0):
            if pid in group.members():
                group.kill()
                killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
                return group.remove() and killed
            time.sleep(0.0005)
        group.remove()
        return False


def end(group: Group, patience: float = 1.0) -> bool:
    """Kill it until it is empty and remove it; whether that was done."""
    deadline, pause = time.monotonic() + patience, 0.0005
    while not group.remove():
        group.kill()
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return True


def find(wanted: str) -> ControlGroups | None:
    """The best that works here; `wanted` is `auto`, `v2`, `v1` or `off`."""
    if sys.platform != "linux" or wanted == "off":
        return None
    for version, base in _candidates():
        if wanted in ("auto", version):
            groups = ControlGroups(version, base)
            with contextlib.suppress(OSError):
                groups.clear()
                if groups.work():
                    return groups
    return None


def _candidates() -> list[tuple[str, str]]:
    """Version 2 first, then the freezer, then any other hierarchy that limits nothing by being entered."""
    ours = _own_groups()
    found: list[tuple[int, str, str]] = []
    for line in _lines("/proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split()[:3]
        controllers = set(options.split(","))
        if kind == "cgroup2":
            found.append((0, "v2", _below(root, point, ours.get("", "/"))))
        elif kind == "cgroup":
            for rank, controller in enumerate(("freezer", "pids"), 1):
                if controller in controllers and controller in ours:
                    found.append((rank, "v1", _below(root, point, ours[controller])))
    return [(version, base) for _, version, base in sorted(found)]


def _own_groups() -> dict[str, str]:
    """The groups that this process is in, by controller; the one of version 2 under the empty name."""
    found: dict[str, str] = {}
    for line in _lines("/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _below(root: str, point: str, path: str) -> str:
    """Where the group `path` is to be found, in a hierarchy of which `root` is mounted at `point`."""
    inside = path.removeprefix(root) if root != "/" and path.startswith(root) else path
    return os.path.normpath(f"{point}/{inside}")


def _name(pid: int) -> str:
    return f"{PREFIX}{_namespace()}-{pid}-{stat_fields(pid)[BORN].decode()}"


def _alive(name: str) -> bool:
    pid, born = name.removesuffix("-probe").split("-")[2:4]
    try:
        return stat_fields(int(pid))[BORN].decode() == born and stat_fields(int(pid))[0] != b"Z"
    except OSError:
        return False


def _namespace() -> str:
    """Of process numbers: another container's mean nothing here."""
    return os.readlink("/proc/self/ns/pid").strip("pid:[]")


def _freeze(folder: str, state: str) -> None:
    path = f"{folder}/freezer.state"
    if not os.path.exists(path):
        return
    with contextlib.suppress(OSError):
        for _ in range(20):
            _write(path, state)
            if _lines(path) == [state]:
                return
            time.sleep(0.0005)


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def _numbers(path: str) -> list[int]:
    return [int(line) for line in _lines(path)]


def _lines(path: str) -> list[str]:
    try:
        with open(path) as file:
            return file.read().split("\n")[:-1]
    except OSError:
        return []
