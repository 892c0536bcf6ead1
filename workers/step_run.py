"""One step of a run: its inputs resolved, its module called, its artifacts collected, its events written."""

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from opsroom.domain.errors import ArtifactConflict, OpsRoomError
from opsroom.domain.lifecycle import Reason, StepStatus
from opsroom.domain.template import StepDefinition
from workers import artifacts
from workers.environment import base_environment, facts
from workers.expressions import InvalidExpression, Scope
from workers.proofs import Prover
from workers.run_process import ProcessRunner
from workers.secrets import UnknownSecret
from workers.services import RunScope
from workers.steps import KINDS, Outcome, StepContext, StepFailed
from workers.store.objects import UploadRefused

log = logging.getLogger(__name__)

StopStatus = Callable[[], Literal["cancelled", "timed_out", "failed"]]


@functools.cache
def _environment(also: tuple[str, ...]) -> dict[str, str]:
    """Read once: the worker's own does not change."""
    return base_environment(also)


@dataclass(frozen=True)
class StepResult:
    """How a step ended; `blocks` says whether the steps that need it must not run."""

    step: StepDefinition
    status: StepStatus
    message: str = ""
    exit_code: int | None = None
    worker_error: bool = False
    reason: Reason | None = None
    done: bool = False
    """It did its work, whatever its verifiers say: this is what a rollback undoes."""

    @property
    def blocks(self) -> bool:
        return self.status == "skipped" or (self.step.required and self.status != "succeeded")


class StepRunner:
    """Runs the steps of one run."""

    def __init__(self, scope: RunScope) -> None:
        self._scope = scope
        self._services = scope.services
        self._claim = scope.lease.claim
        self._evidence = scope.evidence
        self._workdir = scope.workdir
        self._processes = ProcessRunner(scope)
        self._prover = Prover(scope.evidence, scope.services.masker, self._context)

    async def run(self, step: StepDefinition, stop_status: StopStatus) -> StepResult:
        """To the end of the step. Cancelled from outside, it still reports how it ended, then lets go."""
        await self._evidence.emit("step.started", step.id, step.title)
        try:
            result = await self._attempt(step)
        except asyncio.CancelledError:
            if not self._scope.lease.lost.is_set():
                await self._report(StepResult(step, stop_status(), "Stopped"))
            raise
        await self._report(result)
        return result

    async def _report(self, result: StepResult) -> None:
        data: dict[str, JsonValue] = {"status": result.status, "exit_code": result.exit_code}
        level = "info" if result.status == "succeeded" else "error" if result.step.required else "warn"
        await self._evidence.emit("step.finished", result.step.id, result.message, level=level, data=data)

    async def _attempt(self, step: StepDefinition) -> StepResult:
        try:
            refused = await self._prover.check(step, "before")
            outcome = Outcome("failed", refused, 1, "proof_failed") if refused else await self._call(step)
            refused = await self._store_artifacts(step, outcome.status == "succeeded")
        except (StepFailed, InvalidExpression, UnknownSecret) as error:
            return StepResult(step, "failed", str(error), 1)
        except TimeoutError:
            await self._store_artifacts(step, strict=False)
            return StepResult(step, "timed_out", f"not finished within its {step.timeout_seconds} s")
        except OpsRoomError:
            # The evidence could not be written: that is the run's end, not the step's.
            raise
        except Exception as error:
            log.exception("a step broke the worker's code", extra={"run_id": self._claim.run_id, "step": step.id})
            return StepResult(step, "failed", f"the worker failed: {type(error).__name__}: {error}", worker_error=True)
        if outcome.status != "succeeded":
            return StepResult(step, outcome.status, outcome.message, outcome.exit_code, reason=outcome.reason)
        unproven = None if refused else await self._prover.check(step, "after")
        if why := refused or unproven:
            return StepResult(step, "failed", why, 1, reason="proof_failed" if unproven else None, done=True)
        return StepResult(step, "succeeded", outcome.message, outcome.exit_code, done=True)

    async def roll_back(self, step: StepDefinition) -> None:
        """Undo a step by its rollback, whose end is told whatever it is."""
        assert step.rollback is not None
        await self._evidence.emit("rollback.started", step.id, step.rollback.title, level="warn")
        try:
            async with asyncio.timeout(step.rollback.timeout_seconds):
                outcome = await KINDS[step.rollback.kind](self._context(step, step.rollback.inputs))
        except (StepFailed, InvalidExpression, UnknownSecret) as error:
            outcome = Outcome("failed", str(error), 1)
        except TimeoutError:
            outcome = Outcome("failed", f"not finished within its {step.rollback.timeout_seconds} s")
        data: dict[str, JsonValue] = {"status": outcome.status, "exit_code": outcome.exit_code}
        level = "info" if outcome.status == "succeeded" else "error"
        await self._evidence.emit("rollback.finished", step.id, outcome.message, level=level, data=data)

    async def _call(self, step: StepDefinition) -> Outcome:
        # A gate expires by the database's clock.
        async with asyncio.timeout(None if step.kind == "gate" else step.timeout_seconds):
            return await KINDS[step.kind](self._context(step, step.inputs))

    def _context(self, step: StepDefinition, inputs: dict[str, Any]) -> StepContext:
        """What a step, a check of it or its rollback is given; `inputs` with every expression resolved."""

        async def log_line(message: str) -> None:
            await self._evidence.emit("log", step.id, message)

        async def metric(name: str, value: float) -> None:
            data: dict[str, JsonValue] = {"name": self._services.masker.mask(name), "value": value}
            await self._evidence.emit("metric", step.id, f"{name} {value:g}", data=data)

        async def run_process(argv: Sequence[str], env: Mapping[str, str]) -> Outcome:
            return await self._processes.run(step.id, argv, env)

        async def decision() -> Outcome:
            return await self._decision(step.id)

        settings = self._services.settings
        env = _environment(settings.step_environment) | facts(
            self._claim.run_id, self._claim.attempt, self._workdir, settings.start_directory
        )
        resolved: Any = self._expressions().resolve(inputs)
        return StepContext(
            step.id, resolved, self._claim.params, self._claim.run_id, self._claim.attempt,
            self._workdir, settings.start_directory, env, log_line, metric, run_process, decision,
        )  # fmt: skip

    async def _decision(self, step_id: str) -> Outcome:
        await self._evidence.flush()  # its start opens the gate
        with self._scope.clock.stopped():
            state = await self._services.gates.decision(self._claim, step_id)
        if state.verdict == "lost":
            self._scope.lease.lose()
            raise asyncio.CancelledError
        match state.status:
            case "approved":
                return Outcome("succeeded", state.message or "", 0)
            case "denied":
                return Outcome("failed", state.message or "denied", 1, "denied")
            case _:
                return Outcome("timed_out", "nobody decided in time", None, "gate_timeout")

    def _expressions(self) -> Scope:
        def named(name: str) -> str:
            if name not in self._scope.template.secrets:
                raise UnknownSecret(f"the template does not name the secret {name}: add it to its `secrets`")
            return self._services.vault.resolve(name)

        def of_param(name: str) -> str:
            schema = self._scope.template.params.get("properties", {}).get(name, {})
            value = self._claim.params.get(name)
            if schema.get("format") != "secret-ref" or not isinstance(value, str):
                raise UnknownSecret(f"params.{name} does not refer to a secret: it needs the format secret-ref")
            return self._services.vault.resolve(value)

        run: dict[str, JsonValue] = {"id": self._claim.run_id, "attempt": self._claim.attempt}
        return Scope(self._claim.params, run, named, of_param)

    async def _store_artifacts(self, step: StepDefinition, strict: bool) -> str | None:
        """Store what the step declares; of a failed step, what is there. The words for what was refused."""
        if not step.artifacts:
            return None
        rules = step.artifacts if strict else tuple(r.model_copy(update={"required": False}) for r in step.artifacts)
        services = self._services
        try:
            found = await artifacts.collect(
                rules, self._workdir, self._scope.staging(), services.masker, services.settings.artifact_limit
            )
            for item in found:
                await services.objects.upload(self._claim.run_id, item.sha256, item.path, item.media_type)
                about: dict[str, JsonValue] = {"name": item.name, "kind": item.kind, "media_type": item.media_type}
                about |= {"sha256": item.sha256, "size_bytes": item.size, "step": step.id}
                held = await services.store.put_artifact(self._claim, about)
                if held.verdict == "lost":
                    self._scope.lease.lose()
                    raise asyncio.CancelledError
                services.metrics.artifacts.inc()
                services.metrics.artifact_bytes.inc(item.size)
                item.path.unlink()
        except (artifacts.ArtifactRefused, UploadRefused, ArtifactConflict) as error:
            await self._evidence.emit("log", step.id, str(error), level="error")
            return str(error)
        return None
