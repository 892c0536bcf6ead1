"""The workers of a soak: each behind a wire of its own, started again whenever it is dead."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from dataclasses import dataclass, field

from tests.faults.ward import Ward
from tests.support.wire import Wire
from tests.worker.room import WorkerProcess


@dataclass
class Slot:
    """A place for a worker; `process` is whoever has it now."""

    number: int
    wire: Wire
    process: WorkerProcess
    stopped: bool = False


@dataclass
class Fleet:
    ward: Ward
    size: int
    slots: list[Slot] = field(default_factory=list[Slot])
    restarts: int = 0
    _keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Fleet:
        for number in range(self.size):
            wire = await Wire(self.ward.stack).__aenter__()
            self.slots.append(Slot(number, wire, await self._start(number, wire)))
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeper:
            self._keeper.cancel()
        for slot in self.slots:
            with contextlib.suppress(ProcessLookupError):
                slot.process.send(signal.SIGCONT)
            await slot.process.kill()
            await slot.wire.__aexit__()

    async def drain(self) -> None:
        """SIGTERM to all, and until they have gone."""
        if self._keeper:
            self._keeper.cancel()
        for slot in self.slots:
            with contextlib.suppress(ProcessLookupError):
                slot.process.send(signal.SIGTERM)
        for slot in self.slots:
            with contextlib.suppress(TimeoutError):
                await slot.process.ended(30)

    def any(self, choice: random.Random) -> Slot:
        return choice.choice(self.slots)

    async def _start(self, number: int, wire: Wire) -> WorkerProcess:
        environment = self.ward.environment(
            OPSROOM_DATABASE_URL=wire.url, OPSROOM_WORKER_NAME=f"soak-{number}", OPSROOM_LOG_LEVEL="WARNING"
        )
        return await WorkerProcess.start(environment, self.ward.folder / f"worker-{number}-{self.restarts}.log")

    async def _keep(self) -> None:
        while True:
            for slot in self.slots:
                if slot.process.process.returncode is not None:
                    self.restarts += 1
                    slot.stopped = False
                    slot.process = await self._start(slot.number, slot.wire)
            await asyncio.sleep(0.3)
