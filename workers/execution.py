"""One run, from claim to end: start committed first, then the steps as a graph, then the finish."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Literal

from opsroom.domain.errors import InvalidTemplate, OpsRoomError
from opsroom.domain.template import Template
from workers import immediate
from workers.carried import CarryRefused, restore
from workers.clock import RunClock
from workers.ending import ENDINGS, Ending, finish, release, template_of
from workers.evidence import Evidence
from workers.lease import Lease
from workers.services import RunScope, Services
from workers.step_run import StepResult, StepRunner
from workers.store import Claim, End, Started, StartVerdict
from workers.workdir import directories

log = logging.getLogger(__name__)


class RunExecution:
    """Executes one claim. Everything it started is gone when `run` returns."""

    def __init__(self, services: Services, lease: Lease[Claim]) -> None:
        self._services = services
        self._lease = lease
        self._claim = lease.claim
        self.began = time.monotonic()
        self.on_over: Callable[[], object] = lambda: None
        """Called when nothing of the run is left here but its end, which is told then."""
        self._ending: Ending | None = None
        self._stop_asked = False
        self._graph: asyncio.Task[End] | None = None
        self._starting: asyncio.Future[Started] | None = None

    def stop(self) -> None:
        """The worker has to go: end the run now, or hand it back if it was not started."""
        self._stop_asked = True
        if self._starting:
            self._starting.cancel()
        self._end_steps("stopped")

    async def hand_back(self) -> str:
        """Of a run that nothing was done for; given up after another lease, when the sweep has ended it long ago."""
        try:
            async with asyncio.timeout(self._claim.lease_seconds):
                return (await self._services.store.release_run(self._claim)).verdict
        except TimeoutError:
            return "lost"

    async def run(self) -> str:
        """The outcome: a terminal status, `released` or `lost`."""
        task = asyncio.current_task()
        assert task is not None
        self._lease.on_lost = lambda: self._give_up(task)
        if self._lease.lost.is_set():
            return "lost"
        try:
            return await self._run_held()
        except asyncio.CancelledError:
            if self._ending != "lost":
                raise
            task.uncancel()
            return "lost"
        finally:
            self._lease.on_lost = lambda: None

    def _give_up(self, task: "asyncio.Task[object]") -> None:
        self._ending = "lost"
        task.cancel()

    async def _run_held(self) -> str:
        claim = self._claim
        try:
            template = template_of(claim)
        except InvalidTemplate as error:
            return await finish(self._services, claim, End("failed", "invalid_template", error.message))
        match await self._start():
            case "lost":
                return "lost"
            case "cancel":
                return await finish(self._services, claim, ENDINGS["cancelled"])
            case "stopped":
                return await release(self._services, claim)
            case "started":
                log.debug("run started", extra={"run_id": claim.run_id, "template": claim.template_slug})
        evidence = Evidence(self._services.store, self._lease, self._services.masker, self._services.metrics)
        last = None
        try:
            if immediate.fits(template) and not claim.carried:
                end = await immediate.run(template, evidence)
            else:
                end = await self._execute(template, evidence)
            last = await evidence.conclude()
        except CarryRefused as error:
            end = End("failed", "worker_error", str(error))
        except OpsRoomError as error:
            end = End("failed", "worker_error", f"The run's evidence was refused: {error.message}")
            log.exception("evidence was refused", extra={"run_id": claim.run_id})
        except Exception as error:
            end = End("failed", "worker_error", f"The worker failed: {type(error).__name__}: {error}")
            log.exception("a run broke the worker's code", extra={"run_id": claim.run_id})
        finally:
            evidence.abandon()
        self.on_over()
        return await finish(self._services, claim, end, last)

    async def _start(self) -> StartVerdict | Literal["stopped"]:
        """Whether the start is committed; `stopped` when the worker has to go and does not know."""
        if self._claim.started:
            return "started"
        if self._stop_asked:
            return "stopped"
        starting = self._services.store.start_run(self._claim)
        self._starting = starting
        try:
            return (await starting).verdict
        except asyncio.CancelledError:
            if self._ending == "lost" or not self._stop_asked:
                raise
            return "stopped"
        finally:
            self._starting = None

    async def _execute(self, template: Template, evidence: Evidence) -> End:
        """The graph, until it is through or has to end: by a person, by time, by the worker, by broken evidence."""
        async with directories(self._services.settings.work_root) as (workdir, staging):
            clock = RunClock(template.timeout_seconds, lambda: self._end_steps("timed_out"))
            scope = RunScope(self._services, self._lease, evidence, template, workdir, staging, clock, self._grace)
            self._graph = graph = asyncio.create_task(self._run_graph(scope))
            evidence.on_broken = lambda: self._end_steps("stopped")
            self._lease.on_cancelled = lambda: self._end_steps("cancelled")
            # What was asked for before there was anything to end.
            if self._stop_asked:
                self._end_steps("stopped")
            elif self._lease.cancelled.is_set():
                self._end_steps("cancelled")
            try:
                await asyncio.wait({graph})
            finally:
                # Nothing of the run may be left when its directory goes.
                graph.cancel()
                await asyncio.wait({graph})
                clock.close()
                self._lease.on_cancelled = lambda: None
            # The last step may have ended well in the very moment: what happened counts.
            if self._ending and (graph.cancelled() or graph.exception()):
                return ENDINGS[self._ending]
            return graph.result()

    def _end_steps(self, ending: Ending) -> None:
        """Only the first wish counts: it gives the run its end."""
        if self._graph and not self._graph.done() and self._ending is None:
            self._ending = ending
            self._graph.cancel()

    def _grace(self) -> float:
        return 0 if self._ending == "lost" or self._lease.lost.is_set() else self._services.settings.grace_seconds

    async def _run_graph(self, scope: RunScope) -> End:
        template, evidence = scope.template, scope.evidence
        runner = StepRunner(scope)
        results: dict[str, StepResult] = {}
        running: dict[asyncio.Task[StepResult], str] = {}
        waiting = {step.id: step for step in template.steps}
        for carried in self._claim.carried:
            # An earlier attempt has done it; the database counts it as succeeded.
            if step := waiting.pop(carried.step, None):
                results[step.id] = StepResult(step, "succeeded")
        await restore(scope)
        await self._warn_of_secrets(evidence)
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
        await _roll_back(runner, list(results.values()))
        return _summary(list(results.values()))

    async def _warn_of_secrets(self, evidence: Evidence) -> None:
        """Params are kept as they were given: whoever typed a secret there has to know that it must be changed."""
        mask = self._services.masker.mask
        for name, value in self._claim.params.items():
            if mask(told := json.dumps(value, ensure_ascii=False)) != told:
                said = f"The param {name} holds the value of a secret, which stays there: change it, and refer to it"
                await evidence.emit("log", None, said, level="warn")

    def _stop_status(self) -> Literal["cancelled", "timed_out", "failed"]:
        match self._ending:
            case "cancelled" | "timed_out":
                return self._ending
            case _:
                return "failed"


async def _roll_back(runner: StepRunner, results: list[StepResult]) -> None:
    """When a required check did not pass: undo what was done, the last step first. `results` is in order of ends."""
    if any(result.reason == "proof_failed" and result.step.required for result in results):
        for result in reversed(results):
            if result.step.rollback and result.done:
                await runner.roll_back(result.step)


def _summary(results: list[StepResult]) -> End:
    bad = next((r for r in results if r.step.required and r.status in ("failed", "timed_out")), None)
    if bad is None:
        return End("succeeded", exit_code=0)
    message = f"Step {bad.step.id}: {bad.message or bad.status}"
    if bad.worker_error:
        return End("failed", "worker_error", message, bad.exit_code)
    if bad.status == "timed_out":
        return End("timed_out", bad.reason or "step_timeout", message, bad.exit_code)
    return End("failed", bad.reason or "step_failed", message, bad.exit_code)
