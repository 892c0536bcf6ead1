"""A supervisor: one command at a time, and everything that the command starts."""

import contextlib
import json
import os
import select
import signal
import socket
import time
from typing import Any

from workers.leash.control_groups import Group
from workers.leash.system import (
    PR_SET_PDEATHSIG,
    become_reaper,
    descendants,
    exit_of,
    prctl,
    reap,
    send_signal,
)

KILL_SECONDS = 10.0
"""How long to insist on processes that do not go after SIGKILL (in uninterruptible sleep) before reporting them."""


class Supervisor:
    """Ends when the worker lets go of it, or when something that its command started can not be ended."""

    def __init__(self, control: socket.socket, group: Group | None) -> None:
        self._control = control
        self._group = group
        self._inbox = b""
        self._attached: list[int] = []
        self._main = 0
        self._status: int | None = None
        self._until: float | None = None
        self._kill_at: float | None = None
        self._order, self._report = -1, -1

    def run(self) -> None:
        wake_read = become_reaper()
        if self._group:
            try:
                self._group.make()
            except OSError:
                self._group = None
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        try:
            while self._one_command(poll, wake_read):
                pass
        finally:
            self._kill_all()
            if self._group:
                self._group.remove()

    def _one_command(self, poll: select.poll, wake_read: int) -> bool:
        """False when there is no other to come."""
        self._main, self._status, self._until, self._kill_at = 0, None, None, None
        while not self._main:
            if self._next_message() is None:
                return False
            if len(self._attached) == 2:
                # Most of a start is done before the command is known: only its exec is not.
                self._fork()
        while (order := self._next_message()) is not None and "argv" not in order:
            pass  # what was meant for the command before
        if order is None:
            return False
        self._until = order.get("until")
        if error := self._start(order):
            left = self._kill_all()
            self._say({"error": error, "left": left})
            return left == 0
        self._say({"pid": self._main})
        self._watch(poll, wake_read)
        left = self._kill_all()
        code, number = exit_of(self._status)
        self._say({"exit": code, "signal": number, "left": left})
        return left == 0

    def _fork(self) -> None:
        order_read, self._order = os.pipe()
        self._report, report_write = os.pipe()
        self._main = os.fork()
        if self._main == 0:
            try:
                self._become_command(order_read, report_write)
            finally:
                os._exit(127)
        for handle in (order_read, report_write, *self._attached):
            os.close(handle)
        self._attached = []

    def _become_command(self, order_read: int, report_write: int) -> None:
        """In the child: wait for the order, then be it."""
        os.setsid()
        # If the supervisor itself is killed, the command at least goes with it.
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(self._order)
        self._control.close()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(self._attached[0], 1)
        os.dup2(self._attached[1], 2)
        if self._group:
            with contextlib.suppress(OSError):  # without it, it is still below its supervisor
                self._group.enter()
        with open(order_read, "rb") as file:
            text = file.read()
        if not text:
            return
        order = json.loads(text)
        try:
            os.chdir(order["cwd"])
            os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606
        except BaseException as error:
            number = error.errno if isinstance(error, OSError) and error.errno else 0
            reason = os.strerror(number) if number else repr(error)
            os.write(report_write, f"{order['argv'][0]!r} can not be started: {reason}".encode())

    def _start(self, order: dict[str, Any]) -> str | None:
        """The words for why it could not be started, or None."""
        with contextlib.suppress(BrokenPipeError), open(self._order, "wb") as file:
            file.write(json.dumps(order).encode())
        with open(self._report, "rb") as report:
            return report.read().decode(errors="replace") or None

    def _watch(self, poll: select.poll, wake_read: int) -> None:
        """Until the command has ended or has to."""
        while self._status is None:
            poll.poll(self._patience())
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 4096)
            with contextlib.suppress(ChildProcessError):
                for pid, status in reap():
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
            if message is None or message.get("do") == "kill":
                return False
            if message.get("do") == "until":
                self._until = message["at"]
            elif message.get("do") == "stop" and self._kill_at is None:
                self._kill_at = time.monotonic() + message["grace"]
                send_signal(self._main, signal.SIGTERM, group=True)
                send_signal(self._main, signal.SIGCONT, group=True)  # a stopped process would not see the TERM
        return True

    def _next_message(self) -> dict[str, Any] | None:
        while b"\n" not in self._inbox:
            try:
                data, handles, _, _ = socket.recv_fds(self._control, 1 << 20, 2)
            except ConnectionError:
                return None
            for handle in handles:
                os.set_inheritable(handle, False)
            self._attached += handles
            if not data:
                return None
            self._inbox += data
        line, _, self._inbox = self._inbox.partition(b"\n")
        return json.loads(line)

    def _kill_all(self) -> int:
        """KILL to everything, again and again: a fork bomb makes new ones meanwhile. How many would not go."""
        give_up, pause = time.monotonic() + KILL_SECONDS, 0.0005
        while True:
            childless = self._reap_all()
            members = self._group.members() if self._group else []
            if childless and not members:
                return 0
            if self._group:
                self._group.kill()
            tree = [] if childless else descendants(os.getpid())
            for pid in tree:
                send_signal(pid, signal.SIGKILL)
            if self._main and self._status is None:  # once it is reaped, its number may name somebody else's group
                send_signal(self._main, signal.SIGKILL, group=True)
            if time.monotonic() > give_up:
                return len({*tree, *members})
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def _reap_all(self) -> bool:
        """Whether no child is left."""
        try:
            for pid, status in reap():
                if pid == self._main and self._status is None:
                    self._status = status
        except ChildProcessError:
            return True
        return False

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the worker may be gone: then nobody needs to know
            self._control.sendall(json.dumps(message).encode() + b"\n")
