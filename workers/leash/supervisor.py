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
from workers.leash.system import DEFAULT_SIGNALS, become_reaper, descendants, exit_of, program, reap, send_signal

KILL_SECONDS = 10.0
"""How long to insist on processes that do not go after SIGKILL (in uninterruptible sleep) before reporting them."""


class Supervisor:
    """Ends when the worker lets go of it, or when something that its command started can not be ended."""

    def __init__(self, control: socket.socket, group: Group | None) -> None:
        self._control = control
        self._group = group
        self._outside = True
        """Whether it is out of its group: a command starts where its supervisor is, and a group dies as a whole."""
        self._inbox = b""
        self._attached: list[int] = []
        self._main = 0
        self._status: int | None = None
        self._until: float | None = None
        self._kill_at: float | None = None
        self._nothing = os.open(os.devnull, os.O_RDONLY)

    def run(self) -> None:
        wake_read = become_reaper()
        self._make_group()
        self._enter_group()
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        try:
            while self._one_command(poll, wake_read):
                self._enter_group()
        finally:
            self._kill_all()
            if self._group:
                self._leave_group()
                self._group.remove()

    def _one_command(self, poll: select.poll, wake_read: int) -> bool:
        """False when there is no other to come."""
        self._main, self._status, self._until, self._kill_at = 0, None, None, None
        while (order := self._next_message()) is not None and "argv" not in order:
            pass  # what was meant for the command before
        if order is None:
            return False
        self._until = order.get("until")
        if error := self._start(order):
            self._say({"error": error, "left": 0})
            return True
        self._say({"pid": self._main})
        self._watch(poll, wake_read)
        left = self._kill_all()
        code, number = exit_of(self._status)
        self._say({"exit": code, "signal": number, "left": left})
        return left == 0

    def _start(self, order: dict[str, Any]) -> str | None:
        """The words for why it could not be started, or None.

        By posix_spawn and not by fork, which copies what this interpreter has in memory: that took longer than the
        start itself. So the command starts in the directory that this process is in at that moment, and in its group.
        """
        output, errors = self._attached
        streams = [
            (os.POSIX_SPAWN_DUP2, self._nothing, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, errors, 2),
        ]
        name = order["argv"][0]
        try:
            os.chdir(order["cwd"])
            self._main = os.posix_spawn(
                program(name, order["env"]), order["argv"], order["env"],
                file_actions=streams, setsid=True, setsigdef=DEFAULT_SIGNALS,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else repr(error)
            return f"{name!r} can not be started: {reason}"
        finally:
            os.chdir("/")
            for handle in self._attached:
                os.close(handle)
            self._attached = []
        return None

    def _make_group(self) -> None:
        if self._group:
            try:
                self._group.make()
            except OSError:
                self._group = None  # without it, its commands are still below it

    def _enter_group(self) -> None:
        # Once, not with every command: the kernel lets a process change its group only when every processor has passed
        # a quiescent state, which takes 10 to 20 ms.
        if self._group and self._outside:
            try:
                self._group.enter()
                self._outside = False
            except OSError:
                self._group.remove()
                self._group = None

    def _leave_group(self) -> None:
        if self._group and not self._outside:
            with contextlib.suppress(OSError):
                self._group.leave()
                self._outside = True

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
            members = [pid for pid in self._group.members() if pid != os.getpid()] if self._group else []
            if childless and not members:
                return 0
            self._leave_group()
            if self._group and self._outside:
                self._group.kill()
            tree = [] if childless else descendants(os.getpid())
            for pid in (*tree, *members):
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
