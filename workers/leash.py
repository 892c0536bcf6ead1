"""The leash: a tiny program that starts the processes of runs and outlives none of them.

`python -I -S leash.py FD` is started once by the worker. For every message on its socket it forks a *supervisor*, and
the supervisor forks the command. The supervisor is the subreaper of all that the command starts, so `setsid` and
double forks do not escape it: an orphan becomes its child, and "no child left" is an exact answer. It kills everything

- when the worker asks (`stop`: TERM to the process group, a grace, then KILL to the whole tree; `kill`: at once),
- when the worker dies (its end of the control socket closes), whatever it died of,
- when the lease runs out (`until`, on the system-wide monotonic clock), so also when the worker is only stopped,
- when the command itself ends: nothing it left in the background lives on.

Standard library only and no import of the project: it must start in milliseconds and stay small, for it forks often.
Messages are lines of JSON. Worker to supervisor: one `{"argv","env","cwd","until"}`, then `{"do":"until","at":time}`,
`{"do":"stop","grace":seconds}`, `{"do":"kill"}`; back: `{"pid"}` or `{"error"}`, then `{"exit","signal","left"}`.
"""

import array
import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
KILL_SECONDS = 10.0
"""How long to insist on processes that do not go after SIGKILL (in uninterruptible sleep) before reporting them."""

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere processes are ended by their process group alone."""
    if sys.platform == "linux":
        _libc.prctl(option, value, 0, 0, 0)


def _process_tree() -> dict[int, list[int]]:
    """Children of every process that lives, from one walk over /proc; empty where there is none."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The command may hold spaces and brackets: the fields start after the last bracket.
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(name))
    return children


def descendants(root: int) -> list[int]:
    """Every process below `root`, parents first."""
    children, found = _process_tree(), [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found[1:]


def _become_reaper() -> int:
    """Adopt orphans, ignore signals meant for the worker; a descriptor that becomes readable when a child ends."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, _noticed)
    return wake_read


def _send_signal(pid: int, number: int, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def _reap(also: int = 0) -> Iterator[tuple[int, int]]:
    """The children that have ended, without waiting. Raises ChildProcessError once none is left at all."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG | also)
        if pid == 0:
            return
        yield pid, status


class Supervisor:
    """One command and everything it starts."""

    def __init__(self, control: socket.socket, output: int, errors: int) -> None:
        self._control = control
        self._streams = (output, errors)
        self._inbox = b""
        self._main = 0
        self._status: int | None = None
        self._until: float | None = None
        self._kill_at: float | None = None

    def run(self) -> None:
        wake_read = _become_reaper()
        order = self._next_message()
        if order is None:
            return
        self._until = order.get("until")
        if error := self._start(order):
            self._say({"error": error})
            return
        for stream in self._streams:
            os.close(stream)
        self._say({"pid": self._main})
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        self._watch(poll, wake_read)
        left = self._kill_all()
        code, number = _decode(self._status)
        self._say({"exit": code, "signal": number, "left": left})

    def _start(self, order: dict[str, Any]) -> str | None:
        """Fork and exec; the words for why it could not be started, or None."""
        report_read, report_write = os.pipe()
        self._main = os.fork()
        if self._main == 0:
            try:
                os.setsid()
                # If the supervisor itself is killed, the command at least goes with it.
                prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
                    signal.signal(number, signal.SIG_DFL)
                nothing = os.open(os.devnull, os.O_RDONLY)
                os.dup2(nothing, 0)
                os.dup2(self._streams[0], 1)
                os.dup2(self._streams[1], 2)
                os.chdir(order["cwd"])
                os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606
            except BaseException as error:
                number = error.errno if isinstance(error, OSError) and error.errno else 0
                reason = os.strerror(number) if number else repr(error)
                os.write(report_write, f"{order['argv'][0]!r} can not be started: {reason}".encode())
            finally:
                os._exit(127)
        os.close(report_write)
        with open(report_read, "rb") as report:
            return report.read().decode(errors="replace") or None

    def _watch(self, poll: select.poll, wake_read: int) -> None:
        """Until the command has ended or has to."""
        while self._status is None:
            poll.poll(self._patience())
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 4096)
            with contextlib.suppress(ChildProcessError):
                for pid, status in _reap():
                    if pid == self._main:
                        self._status = status
            now = time.monotonic()
            if any(limit is not None and now >= limit for limit in (self._until, self._kill_at)) or not self._obey():
                return

    def _patience(self) -> int | None:
        limits = [limit for limit in (self._until, self._kill_at) if limit is not None]
        return max(0, int((min(limits) - time.monotonic()) * 1000) + 1) if limits else None

    def _obey(self) -> bool:
        """Read what the worker wants; False when everything has to end now."""
        while b"\n" in self._inbox or select.select([self._control], [], [], 0)[0]:
            message = self._next_message()
            if message is None or message["do"] == "kill":
                return False
            if message["do"] == "until":
                self._until = message["at"]
            elif message["do"] == "stop" and self._kill_at is None:
                self._kill_at = time.monotonic() + message["grace"]
                _send_signal(self._main, signal.SIGTERM, group=True)
                _send_signal(self._main, signal.SIGCONT, group=True)  # a stopped process would not see the TERM
        return True

    def _next_message(self) -> dict[str, Any] | None:
        while b"\n" not in self._inbox:
            try:
                data = self._control.recv(1 << 20)
            except ConnectionError:
                return None
            if not data:
                return None
            self._inbox += data
        line, _, self._inbox = self._inbox.partition(b"\n")
        return json.loads(line)

    def _kill_all(self) -> int:
        """KILL to the whole tree, again and again: a fork bomb makes new ones meanwhile. How many would not go."""
        give_up, pause = time.monotonic() + KILL_SECONDS, 0.0005
        while True:
            try:
                for pid, status in _reap():
                    if pid == self._main and self._status is None:
                        self._status = status
            except ChildProcessError:
                return 0
            tree = descendants(os.getpid())
            for pid in tree:
                _send_signal(pid, signal.SIGKILL)
            if self._status is None:  # once the leader is reaped, its number may name somebody else's group
                _send_signal(self._main, signal.SIGKILL, group=True)
            if time.monotonic() > give_up:
                return len(tree)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the worker may be gone: then nobody needs to know
            self._control.sendall(json.dumps(message).encode() + b"\n")


def _noticed(number: int, frame: object) -> None:
    """SIGCHLD only has to wake the poll, by the wake-up descriptor."""


def _decode(status: int | None) -> tuple[int, int | None]:
    """Exit code as a shell gives it (128 + signal for a killed command) and the signal, if any."""
    if status is None:
        return 137, signal.SIGKILL
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status), os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None


class Nursery:
    """The program itself: forks supervisors, and ends what a killed one left behind."""

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self._supervisors: set[int] = set()

    def serve(self) -> None:
        """Fork a supervisor for every control socket that arrives, until the worker closes the door."""
        wake_read = _become_reaper()
        poll = select.poll()
        poll.register(self._door, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        orphans = False
        while True:
            poll.poll(50 if orphans else None)
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 4096)
            with contextlib.suppress(ChildProcessError):
                for pid, status in _reap(os.WUNTRACED):
                    if os.WIFSTOPPED(status):  # by its own command: it would neither obey nor keep the deadline
                        _send_signal(pid, signal.SIGCONT)
                        continue
                    # One that was killed had children: they are ours now, as we are a subreaper, and nobody's else.
                    orphans |= pid in self._supervisors and os.WIFSIGNALED(status)
                    self._supervisors.discard(pid)
            orphans = orphans and self._kill_orphans()
            if select.select([self._door], [], [], 0)[0] and not self._admit():
                return

    def _kill_orphans(self) -> bool:
        """KILL to every child of ours that is no supervisor, and to what is below; whether there were any."""
        orphans = [pid for pid in _process_tree().get(os.getpid(), []) if pid not in self._supervisors]
        for orphan in orphans:
            for pid in (orphan, *descendants(orphan)):
                _send_signal(pid, signal.SIGKILL)
        return bool(orphans)

    def _admit(self) -> bool:
        """One control socket with the two streams of its command; False when the door is closed."""
        data, ancillary, _, _ = self._door.recvmsg(1, socket.CMSG_SPACE(array.array("i").itemsize * 3))
        if not data:
            return False
        handles = array.array("i")
        for _, _, payload in ancillary:
            handles.frombytes(payload[: len(payload) - len(payload) % handles.itemsize])
        for handle in handles:
            os.set_inheritable(handle, False)
        if len(handles) == 3:
            if (pid := os.fork()) == 0:
                try:
                    self._door.close()
                    Supervisor(socket.socket(fileno=handles[0]), handles[1], handles[2]).run()
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(0)
            self._supervisors.add(pid)
        for handle in handles:
            os.close(handle)
        return True


if __name__ == "__main__":
    Nursery(socket.socket(fileno=int(sys.argv[1]))).serve()
