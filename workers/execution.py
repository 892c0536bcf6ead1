"""One run, from claim to end: start committed first, then the steps as a graph, then the finish."""

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from opsroom.domain.errors import InvalidTemplate, OpsRoomError
from opsroom.domain.lifecycle import FinishStatus, Reason
from opsroom.domain.template import Template, parse
from workers.evidence import Evidence
from workers.lease import Lease
from workers.services import RunScope, Services
from workers.step_run import StepResult, StepRunner

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """What a run comes to."""

    status: FinishStatus
    reason: Reason | None = None
    message: str | None = None
    exit_code: int | None = None


Ending = Literal["cancelled", "timed_out", "stopped", "lost"]

ENDINGS: dict[Ending, End] = {
    "cancelled": End("cancelled", "cancelled_by_person", "Cancelled on request"),
    "timed_out": End("timed_out", "run_timeout", "The run's timeout is over"),
    "stopped": End("failed", "worker_error", "The worker was stopped before the run had finished"),
}


class RunExecution:
    """Executes one claim. Everything it started is gone when `run` returns."""

    def __init__(self, services: Services, lease: Lease) -> None:
        self._services = services
        self._lease = lease
        self._claim = lease.claim
        self._ending: Ending | None = None
        self._graph: asyncio.Task[End] | None = None
        self._stop_asked = asyncio.Event()

    def stop(self) -> None:
        """The worker has to go: end the run now."""
        self._stop_asked.set()

    async def run(self) -> str:
        """The outcome: a terminal status, or `lost`."""
        work = asyncio.create_task(self._run_held())
        lost = asyncio.create_task(self._lease.lost.wait())
        try:
            await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self._ending = "lost"
                work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                return await work
            return "lost"
        finally:
            lost.cancel()

    async def _run_held(self) -> str:
        claim, store = self._claim, self._services.store
        try:
            template = parse(claim.spec)
        except InvalidTemplate as error:
            return await self._finish(End("failed", "invalid_template", error.message))
        match await store.start_run(claim):
            case "lost":
                return "lost"
            case "cancel":
                return await self._finish(ENDINGS["cancelled"])
            case "started":
                log.info("run started", extra={"run_id": claim.run_id, "template": claim.template_slug})
        evidence = Evidence(store, self._lease, self._services.masker, self._services.metrics)
        try:
            end = await self._execute(template, evidence)
            await evidence.close()
        except OpsRoomError as error:
            end = End("failed", "worker_error", f"The run's evidence was refused: {error.message}")
            log.exception("evidence was refused", extra={"run_id": claim.run_id})
        except Exception as error:
            end = End("failed", "worker_error", f"The worker failed: {type(error).__name__}: {error}")
            log.exception("a run broke the worker's code", extra={"run_id": claim.run_id})
        finally:
            evidence.abandon()
        return await self._finish(end)

    async def _finish(self, end: End) -> str:
        message = self._services.masker.mask(end.message or "") or None
        try:
            held = await self._services.store.finish_run(self._claim, end.status, end.reason, message, end.exit_code)
        except OpsRoomError as error:
            if end.status != "succeeded":
                raise
            # The database knows better, for instance that a required step is not done: then it did not succeed.
            return await self._finish(End("failed", "worker_error", f"The success was refused: {error.message}"))
        return end.status if held.verdict == "ok" else "lost"

    async def _execute(self, template: Template, evidence: Evidence) -> End:
        """The graph, until it is through or has to end: by a person, by time, by the worker, by broken evidence."""
        async with _directories(self._services.settings.work_root) as (workdir, staging):
            runner = StepRunner(
                RunScope(self._services, self._lease, evidence, template, workdir, staging, self._grace)
            )
            graph = asyncio.create_task(self._run_graph(template, runner, evidence))
            signals: dict[asyncio.Task[object], Ending] = {
                asyncio.create_task(self._lease.cancelled.wait()): "cancelled",
                asyncio.create_task(self._stop_asked.wait()): "stopped",
                asyncio.create_task(asyncio.sleep(template.timeout_seconds)): "timed_out",
            }
            broken = asyncio.create_task(evidence.broken.wait())
            try:
                await asyncio.wait({graph, broken, *signals}, return_when=asyncio.FIRST_COMPLETED)
                if not graph.done():
                    self._ending = next((signals[task] for task in signals if task.done()), None)
                return await self._conclude(graph)
            finally:
                for task in (graph, broken, *signals):
                    task.cancel()
                # Nothing of the run may be left when its directory goes.
                await asyncio.wait({graph})

    async def _conclude(self, graph: asyncio.Task[End]) -> End:
        if graph.done():
            return graph.result()
        ending = self._ending or "stopped"
        graph.cancel()
        await asyncio.wait({graph})
        # The last step may have ended well in the very moment: what happened counts.
        if not graph.cancelled() and graph.exception() is None:
            return graph.result()
        return ENDINGS[ending]

    def _grace(self) -> float:
        return 0 if self._ending == "lost" or self._lease.lost.is_set() else self._services.settings.grace_seconds

    async def _run_graph(self, template: Template, runner: StepRunner, evidence: Evidence) -> End:
        results: dict[str, StepResult] = {}
        running: dict[asyncio.Task[StepResult], str] = {}
        waiting = {step.id: step for step in template.steps}
        try:
            while waiting or running:
                for step in [s for s in waiting.values() if results.keys() >= set(s.needs)]:
                    del waiting[step.id]
                    blockers = [name for name in step.needs if results[name].blocks]
                    if blockers:
                        await evidence.emit(
                            "step.skipped", step.id, f"Skipped: needs {', '.join(blockers)}", level="warn"
                        )
                        results[step.id] = StepResult(step, "skipped")
                    else:
                        running[asyncio.create_task(runner.run(step, self._stop_status))] = step.id
                if running:
                    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        results[running.pop(task)] = task.result()
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)
        return _summary(list(results.values()))

    def _stop_status(self) -> Literal["cancelled", "timed_out", "failed"]:
        match self._ending:
            case "cancelled" | "timed_out":
                return self._ending
            case _:
                return "failed"


def _summary(results: list[StepResult]) -> End:
    bad = next((r for r in results if r.step.required and r.status in ("failed", "timed_out")), None)
    if bad is None:
        return End("succeeded", exit_code=0)
    message = f"Step {bad.step.id}: {bad.message or bad.status}"
    if bad.worker_error:
        return End("failed", "worker_error", message, bad.exit_code)
    if bad.status == "timed_out":
        return End("timed_out", "step_timeout", message, bad.exit_code)
    return End("failed", "step_failed", message, bad.exit_code)


@asynccontextmanager
async def _directories(root: Path | None) -> AsyncGenerator[tuple[Path, Path]]:
    """The run's working directory and one of the worker's own beside it, both fresh and gone afterwards."""
    base = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="opsroom-run-", dir=root))
    workdir, staging = base / "work", base / "staging"
    workdir.mkdir(mode=0o700)
    staging.mkdir(mode=0o700)
    try:
        yield workdir, staging
    finally:
        began = time.monotonic()
        await asyncio.to_thread(shutil.rmtree, base, ignore_errors=True)
        if base.exists():
            log.warning(
                "a working directory could not be removed", extra={"path": str(base), "after": time.monotonic() - began}
            )
