"""The worker: claims runs, keeps their leases, executes them, sweeps, and drains when it is asked to stop."""

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import random
import signal
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, TypeVar

from opsroom.domain.errors import OpsRoomError, WorkerNotFound
from workers import immediate
from workers.afterwards import Afterwards
from workers.config import ConfigurationError, Settings
from workers.execution import RunExecution
from workers.gates import Gates
from workers.health import Health
from workers.lease import Lease, LeaseKeeper
from workers.metrics import Metrics
from workers.process import Leash
from workers.secrets import Masker, Vault
from workers.services import Services
from workers.slots import Slots
from workers.store import LARGEST_GROUP, Alike, Claim, Claims, Hold, Objects, Refused, Unavailable, open_store
from workers.sweep import Sweeper

log = logging.getLogger(__name__)

UNANSWERED_SECONDS: Final = 15.0
SKIPPED_SECONDS: Final = 0.1
"""A claim skips lanes that another worker is claiming from in that moment: it looks again so soon."""
GOODBYE_SECONDS: Final = 5.0

T = TypeVar("T")


class Worker:
    """One worker process. `run` returns when it has drained."""

    def __init__(self, settings: Settings, masker: Masker) -> None:
        self.id = str(uuid.uuid4())
        self._settings = settings
        self._metrics = Metrics()
        self._metrics.capacity.set(settings.concurrency)
        self._slots = Slots(settings.concurrency, self._metrics)
        self._store = open_store(settings, self.id, self._slots.enough)
        self._leash = Leash(settings.control_groups, settings.concurrency)
        self._services = Services(
            settings, self._store, Objects(settings.supabase_url, settings.service_key), self._leash,
            Vault(settings.secrets), masker, self._metrics, Gates(self._store),
        )  # fmt: skip
        self._keeper = LeaseKeeper(self._store, settings.heartbeat_seconds, self._metrics, self._register)
        self._afterwards = Afterwards(self._services)
        self._draining = asyncio.Event()
        self._patience: asyncio.Timeout | None = None
        """With what is not waited for any longer once the worker drains."""
        self._registered = False
        self._metrics.attached.set_function(lambda: self._store.losses == "connection")
        self.health = Health(self._metrics, self._not_ready, self._remark)

    async def run(self) -> None:
        """Work until drained. SIGTERM or SIGINT drains; the second one stops the runs as well."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        await self._start_leash()
        if self._settings.port is not None:
            await self.health.start(self._settings.host, self._settings.port)
        await self._store.open()
        background: list[asyncio.Task[None]] = []
        try:
            await self._until_draining(self._register(), None)
            if not self._draining.is_set():
                about = {"worker": self.id, "transport": self._store.transport, "held_by": self._leash.held_by}
                log.info("worker started", extra=about)
                background = [
                    asyncio.create_task(work, name=name)
                    for name, work in (
                        ("heartbeats", self._keeper.run()),
                        ("hints", self._listen()),
                        ("sweep", Sweeper(self._store, self._settings.sweep_seconds, self._metrics).run()),
                        *self._afterwards.work(),
                    )
                ]
                for task in background:
                    task.add_done_callback(self._on_background_end)
                await self._claim_until_draining()
            await self._drain()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._services.objects.close()
            await self._store.close()
            await self._leash.close()
            await self.health.close()

    async def _start_leash(self) -> None:
        """Raises ConfigurationError when the control groups that were asked for can not be had."""
        await self._leash.start()
        if self._settings.control_groups not in ("auto", "off", self._leash.groups):
            await self._leash.close()
            raise ConfigurationError(
                f"OPSROOM_WORKER_CONTROL_GROUPS asks for {self._settings.control_groups}, and this worker can not make "
                "such groups here: give it a writable subtree (systemd: Delegate=yes), or set auto"
            )
        self._leash.prepare()

    def drain(self) -> None:
        """First call: no new claims. Second call: stop the runs."""
        if not self._draining.is_set():
            log.info("draining", extra={"worker": self.id, "active": self._slots.active})
            self._draining.set()
            if self._patience:
                # A claim that is under way may be committed: its runs would have to wait for their leases to run out.
                self._patience.reschedule(asyncio.get_running_loop().time() + GOODBYE_SECONDS)
            self._metrics.draining.set(1)
            self._slots.wake.set()
            return
        log.warning("stopping the runs", extra={"worker": self.id, "active": self._slots.active})
        for execution in self._slots.runs.values():
            execution.stop()

    def _not_ready(self) -> str | None:
        if self._draining.is_set():
            return "draining"
        answered = self._keeper.answered_at
        if answered is None or time.monotonic() - answered > UNANSWERED_SECONDS + self._settings.heartbeat_seconds:
            return "the control plane does not answer"
        return None

    def _remark(self) -> str:
        """What /readyz says besides."""
        return f"losses are noticed by the {self._store.losses}\nprocesses are held by {self._leash.held_by}"

    def _on_background_end(self, task: asyncio.Task[None]) -> None:
        """A worker without heartbeats or sweeps must not go on as if nothing had happened."""
        if not task.cancelled() and (error := task.exception()):
            log.critical("a background task died", extra={"task": task.get_name()}, exc_info=error)
            self.drain()

    async def _register(self) -> None:
        version = importlib.metadata.version("ops-control-room")
        await self._store.register_worker(
            name=self._settings.name, host=socket.gethostname(), pid=os.getpid(), version=version,
            capacity=self._settings.concurrency,
        )  # fmt: skip
        self._registered = True

    async def _until_draining(self, work: Coroutine[None, None, T], default: T) -> T:
        """The result of `work`; `default` if the worker drains and it is not there soon."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS if self._draining.is_set() else None) as self._patience:
                return await work
        except TimeoutError:
            if not self._draining.is_set():
                raise
            return default
        finally:
            self._patience = None

    async def _claim_until_draining(self) -> None:
        while not self._draining.is_set():
            self._slots.wake.clear()
            # Not all at once: while one batch of short runs ends, the next one is claimed.
            wanted = min(self._slots.free, LARGEST_GROUP)
            claimed = await self._claim(wanted) if wanted > 0 else 0
            self._slots.more = claimed == wanted
            if wanted == 0 or claimed < wanted:
                pause = self._settings.poll_seconds * random.uniform(0.75, 1.25)  # noqa: S311  jitter, not a secret
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SKIPPED_SECONDS if claimed else pause):
                        await self._slots.wake.wait()
            await self._slots.gather(self._draining)

    async def _claim(self, limit: int) -> int:
        sent = time.monotonic()
        try:
            claims = await self._until_draining(self._store.claim_runs(limit, str(uuid.uuid4())), Claims())
        except WorkerNotFound:
            await self._register()
            return 0
        except (OpsRoomError, Refused):
            log.exception("claiming was refused", extra={"worker": self.id})
            return 0
        self._metrics.claim_seconds.observe(time.monotonic() - sent)
        for alike in claims.alike:
            self._begin_together(alike, [self._keeper.hold(hold, sent) for hold in alike.runs], sent)
        for claim in claims.runs:
            self._begin(self._keeper.hold(claim, sent))
        count = len(claims.runs) + sum(len(alike.runs) for alike in claims.alike)
        self._metrics.claims.inc(count)
        return count

    def _begin_together(self, alike: Alike, leases: Sequence[Lease[Hold]], sent: float) -> None:
        async def execute() -> None:
            outcomes = ["error"] * len(leases)
            try:
                outcomes = await immediate.run_together(self._services, alike, leases)
            except Exception:
                # Without heartbeats the leases run out, and the sweep ends the runs.
                log.exception("runs broke the worker's code", extra={"runs": len(leases)})
            seconds = time.monotonic() - sent
            for outcome, count in Counter(outcomes).items():
                self._metrics.runs_finished.labels(outcome).inc(count)
            for lease, outcome in zip(leases, outcomes, strict=True):
                self._keeper.let_go(lease)
                self._metrics.run_seconds.observe(seconds)
                self._afterwards.ended(lease.claim.run_id, outcome)
            log.info("runs ended", extra={"outcomes": dict(Counter(outcomes))})

        task = asyncio.create_task(execute(), name=f"{len(leases)} runs")
        self._slots.take(task, len(leases))

    def _begin(self, lease: Lease[Claim]) -> None:
        claim = lease.claim
        execution = RunExecution(self._services, lease)
        # An answer that took longer than the lease, or than the worker's time: somebody else shall have the run now.
        late = lease.expired()
        if self._draining.is_set():
            execution.stop()

        async def execute() -> None:
            outcome = "error"
            try:
                outcome = await (execution.hand_back() if late else execution.run())
            except Exception:
                # Without a heartbeat the lease runs out, and the sweep ends the run.
                log.exception("a run broke the worker's code", extra={"run_id": claim.run_id})
            finally:
                self._keeper.let_go(lease)
                self._metrics.runs_finished.labels(outcome).inc()
                self._metrics.run_seconds.observe(time.monotonic() - execution.began)
                log.info("run ended", extra={"run_id": claim.run_id, "outcome": outcome})
                self._afterwards.ended(claim.run_id, outcome)

        task = asyncio.create_task(execute(), name=f"run {claim.run_id}")
        self._slots.take(task, execution)

    async def _listen(self) -> None:
        async for hint in self._store.hints():
            if hint.startswith("cancel:"):
                self._keeper.beat_now()
            elif hint.startswith("gate:"):
                self._services.gates.wake(hint.removeprefix("gate:"))
            elif hint.startswith("compare:"):
                self._afterwards.compare_now()
            elif hint == "collect":
                self._afterwards.collect_now()
            else:
                self._slots.wake.set()

    async def _drain(self) -> None:
        await self._tell(self._store.drain_worker)
        while tasks := self._slots.tasks:
            await asyncio.wait(tasks)
        await self._afterwards.finish(GOODBYE_SECONDS)
        await self._tell(self._store.stop_worker)
        log.info("worker stopped", extra={"worker": self.id})

    async def _tell(self, goodbye: Callable[[], Coroutine[None, None, None]]) -> None:
        """Good manners only: whether it is heard changes nothing, so it is not waited for long."""
        with contextlib.suppress(Unavailable, Refused, OpsRoomError, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await (goodbye() if self._registered else asyncio.sleep(0))
