"""The program itself: forks supervisors, and ends what a killed one left behind."""

import array
import contextlib
import json
import os
import select
import signal
import socket
import sys
import traceback

from workers.leash.control_groups import Group, find
from workers.leash.supervisor import Supervisor
from workers.leash.system import become_reaper, descendants, process_tree, reap, send_signal


class Nursery:
    """`door` is the worker's: a control socket arrives there for every supervisor that it wants."""

    def __init__(self, door: socket.socket, wanted: str) -> None:
        self._door = door
        self._groups = find(wanted)
        self._supervisors: dict[int, Group | None] = {}
        self._left: list[Group] = []
        """Groups of killed supervisors, until they are gone."""

    def serve(self) -> None:
        """Fork a supervisor for every control socket that arrives, until the worker closes the door."""
        wake_read = become_reaper()
        found = self._groups
        kind, base = (found.version, found.base) if found else ("none", "")
        with contextlib.suppress(OSError):
            self._door.sendall(json.dumps({"groups": kind, "below": base}).encode() + b"\n")
        poll = select.poll()
        poll.register(self._door, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        orphans = False
        while True:
            poll.poll(50 if orphans else None)
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 4096)
            with contextlib.suppress(ChildProcessError):
                for pid, status in reap(os.WUNTRACED):
                    if os.WIFSTOPPED(status):  # by its own command: it would neither obey nor keep the deadline
                        send_signal(pid, signal.SIGCONT)
                    else:
                        orphans |= self._bury(pid, status)
            orphans = orphans and self._kill_orphans()
            if select.select([self._door], [], [], 0)[0] and not self._admit():
                return

    def _bury(self, pid: int, status: int) -> bool:
        """Whether it was a supervisor that left something: its children are ours now, and nobody else's."""
        if pid not in self._supervisors:
            return False
        group = self._supervisors.pop(pid)
        if status == 0:
            return False
        if group:
            self._left.append(group)
        return True

    def _kill_orphans(self) -> bool:
        """KILL to every child of ours that is no supervisor, and to what is below; whether there were any."""
        orphans = [pid for pid in process_tree().get(os.getpid(), []) if pid not in self._supervisors]
        for orphan in orphans:
            for pid in (orphan, *descendants(orphan)):
                send_signal(pid, signal.SIGKILL)
        for group in self._left:
            group.kill()
        self._left = [group for group in self._left if not group.remove()]
        return bool(orphans or self._left)

    def _admit(self) -> bool:
        """One control socket; False when the door is closed."""
        data, ancillary, _, _ = self._door.recvmsg(1, socket.CMSG_SPACE(array.array("i").itemsize))
        if not data:
            return False
        handles = array.array("i")
        for _, _, payload in ancillary:
            handles.frombytes(payload[: len(payload) - len(payload) % handles.itemsize])
        for handle in handles:
            os.set_inheritable(handle, False)
            self._fork(handle)
            os.close(handle)
        return True

    def _fork(self, handle: int) -> None:
        if (pid := os.fork()) == 0:
            failed = 1
            try:
                self._door.close()
                group = self._groups.of(os.getpid()) if self._groups else None
                Supervisor(socket.socket(fileno=handle), group).run()
                failed = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(failed)
        # Not waited for, so its number is still its own, whatever has become of it.
        self._supervisors[pid] = self._groups.of(pid) if self._groups else None


def main() -> None:
    Nursery(socket.socket(fileno=int(sys.argv[1])), sys.argv[2]).serve()
