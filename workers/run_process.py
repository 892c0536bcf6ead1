"""A step's command: its output becomes events while it runs, and it ends when the step has to."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from workers.output import OutputBudget, read_text
from workers.process import Exit, Process, ProcessNotStarted
from workers.services import RunScope
from workers.steps.context import Outcome

STREAMS_SECONDS: Final = 5.0
"""How long a stopped command's last words are waited for."""


class ProcessRunner:
    """Runs commands for the steps of one run."""

    def __init__(self, scope: RunScope) -> None:
        self._leash = scope.services.leash
        self._lease = scope.lease
        self._evidence = scope.evidence
        self._masker = scope.services.masker
        self._metrics = scope.services.metrics
        self._workdir = scope.workdir
        self._budget = OutputBudget(scope.services.settings.output_limit)
        self._grace = scope.grace
        self._running: set[Process] = set()
        scope.lease.on_extend = self._extend

    async def run(self, step_id: str, argv: Sequence[str], env: Mapping[str, str]) -> Outcome:
        """To the end of the command and of all that it started."""
        # Whatever was asked for so far, a process is only started by a worker that holds the run.
        if self._lease.expired():
            raise asyncio.CancelledError
        try:
            process = await self._leash.spawn(argv, env, self._workdir, self._lease.deadline)
        except ProcessNotStarted as error:
            return Outcome("failed", str(error), 127)
        self._running.add(process)
        dropped = self._budget.dropped
        pumps = [
            asyncio.create_task(self._pump(step_id, "stdout", process.stdout)),
            asyncio.create_task(self._pump(step_id, "stderr", process.stderr)),
        ]
        try:
            ended = await self._wait(process)
            if self._lease.expired():
                # The supervisor ended it for that, while this process was stopped: no outcome of the step.
                raise asyncio.CancelledError
            # Back-pressure may hold the reading back for long: the pipes are finite, so it is waited for.
            await asyncio.gather(*pumps)
        except asyncio.CancelledError:
            if not self._lease.lost.is_set():
                await asyncio.wait(pumps, timeout=STREAMS_SECONDS)
            raise
        finally:
            self._running.discard(process)
            for pump in pumps:
                pump.cancel()
            process.close()
            await self._tell_dropped(step_id, self._budget.dropped - dropped)
        return _outcome(ended)

    async def _tell_dropped(self, step_id: str, count: int) -> None:
        if count and not self._lease.lost.is_set():
            self._metrics.output_bytes_dropped.inc(count)
            data: dict[str, JsonValue] = {"bytes_dropped": count}
            await self._evidence.emit("truncated", step_id, f"{count} bytes dropped", level="warn", data=data)

    async def _wait(self, process: Process) -> Exit:
        try:
            return await process.wait()
        except asyncio.CancelledError:
            grace = self._grace()
            if grace <= 0:
                process.kill()
            else:
                process.stop(grace)
            try:
                await process.wait()
            except asyncio.CancelledError:
                # A second, harder wish while the first one's grace was running.
                process.kill()
                await process.wait()
            raise

    async def _pump(self, step_id: str, stream: str, reader: asyncio.StreamReader) -> None:
        async def on_cap() -> None:
            said = f"The run's output has reached its cap of {self._budget.limit} bytes; the rest is dropped."
            await self._evidence.emit("log", step_id, said, level="warn")

        async for text, partial in read_text(reader, self._masker, self._budget, on_cap):
            await self._evidence.output(step_id, stream, text, partial)

    def _extend(self, until: float) -> None:
        for process in self._running:
            process.extend(until)


def _outcome(ended: Exit) -> Outcome:
    left = f"; {ended.left} process(es) could not be ended" if ended.left else ""
    if ended.code == 0:
        return Outcome("succeeded", left.removeprefix("; "), 0)
    how = f"ended by signal {ended.signal}" if ended.signal else f"exit code {ended.code}"
    return Outcome("failed", how + left, ended.code)
