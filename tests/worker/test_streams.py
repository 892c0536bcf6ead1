"""A command's streams on the worker's own event loop."""

import asyncio
import os

import uvloop

from workers.supervision import Stream


def test_streams_that_are_closed_leave_no_descriptor() -> None:
    async def open_and_close() -> int:
        for stream in [await Stream.open() for _ in range(20)]:
            stream.close()
        await asyncio.sleep(0.05)
        return len(os.listdir("/proc/self/fd"))

    async def twice() -> None:
        assert await open_and_close() == await open_and_close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(twice())
