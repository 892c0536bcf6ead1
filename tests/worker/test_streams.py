"""A command's streams on the worker's own event loop."""

import asyncio
import io
import os
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from workers.supervision import Stream


def on_the_workers_loop(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def test_streams_that_are_closed_leave_no_descriptor() -> None:
    async def open_and_close() -> int:
        for stream in [await Stream.open() for _ in range(20)]:
            stream.close()
        await asyncio.sleep(0.05)
        return len(os.listdir("/proc/self/fd"))

    async def twice() -> None:
        assert await open_and_close() == await open_and_close()

    on_the_workers_loop(twice())


def test_what_another_thread_opens_while_a_stream_is_closed_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    class Interrupted(io.FileIO):
        """A file that another thread opens something before, once the loop has closed its descriptor."""

        def close(self) -> None:
            if not self.closed:
                opened.append(os.open(os.devnull, os.O_RDONLY))
            super().close()

    def fdopen(handle: int, mode: str, buffering: int, closefd: bool = True) -> Interrupted:
        return Interrupted(handle, mode, closefd=closefd)

    monkeypatch.setattr("workers.supervision.os.fdopen", fdopen)

    async def open_and_close() -> None:
        (await Stream.open()).close()
        await asyncio.sleep(0.05)

    on_the_workers_loop(open_and_close())
    assert opened
    for handle in opened:
        os.close(handle)  # OSError where it was closed already
