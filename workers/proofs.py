"""Checks around a step: preconditions before it, verifiers after it. Each makes a proof: an event that says what was
expected and what was seen, from which the database makes the row.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from pydantic import JsonValue

from opsroom.domain.template import StepDefinition, Verifier
from workers.evidence import Evidence
from workers.expressions import InvalidExpression
from workers.secrets import Masker, UnknownSecret
from workers.steps.context import StepContext, StepFailed
from workers.verifiers import KINDS, Finding

log = logging.getLogger(__name__)

Phase = Literal["before", "after"]
LARGEST: Final = 16 << 10
"""Bytes of what was expected, and of what was seen, that a proof holds."""


class Prover:
    """Runs the checks of one run's steps. `context_of` makes the context of a check from its inputs."""

    def __init__(
        self, evidence: Evidence, masker: Masker, context_of: Callable[[StepDefinition, dict[str, Any]], StepContext]
    ) -> None:
        self._evidence = evidence
        self._masker = masker
        self._context_of = context_of

    async def check(self, step: StepDefinition, phase: Phase) -> str | None:
        """Run the step's checks of a phase, one after the other; the words for the required ones that did not pass."""
        failed: list[str] = []
        for verifier in step.preconditions if phase == "before" else step.verifiers:
            finding = await self._judged(step, verifier)
            await self._record(step, phase, verifier, finding)
            if verifier.required and not finding.passed:
                failed.append(f"{verifier.name}{f' ({finding.message})' if finding.message else ''}")
        what = "precondition" if phase == "before" else "verifier"
        return f"{what} did not pass: {'; '.join(failed)}" if failed else None

    async def _judged(self, step: StepDefinition, verifier: Verifier) -> Finding:
        verify: Callable[[StepContext], Awaitable[Finding]] = KINDS[verifier.kind]
        try:
            async with asyncio.timeout(verifier.timeout_seconds):
                return await verify(self._context_of(step, verifier.inputs))
        except TimeoutError:
            return _unanswered(f"no answer within its {verifier.timeout_seconds} s")
        except (StepFailed, InvalidExpression, UnknownSecret) as error:
            return _unanswered(str(error))
        except Exception as error:
            log.exception("a verifier broke the worker's code", extra={"step": step.id, "verifier": verifier.name})
            return _unanswered(f"the worker failed: {type(error).__name__}: {error}")

    async def _record(self, step: StepDefinition, phase: Phase, verifier: Verifier, finding: Finding) -> None:
        data: dict[str, JsonValue] = {
            "step": step.id,
            "name": verifier.name,
            "kind": verifier.kind,
            "phase": phase,
            "required": verifier.required,
            "passed": finding.passed,
            "expected": self._told(finding.expected),
            "seen": self._told(finding.seen),
        }
        level = "info" if finding.passed else "error" if verifier.required else "warn"
        said = f"{verifier.name}: {'passed' if finding.passed else 'did not pass'}"
        if finding.message:
            said += f": {finding.message}"
        await self._evidence.emit("proof.recorded", step.id, said, level=level, data=data)

    def _told(self, value: JsonValue) -> JsonValue:
        """Masked, and cut where it is long; numbers as JSON carries them exactly."""
        text = self._masker.mask(json.dumps(value, ensure_ascii=False))
        if len(text.encode()) > LARGEST:
            return text.encode()[:LARGEST].decode(errors="ignore") + "…"
        try:
            return json.loads(text)
        except ValueError:  # a mask stands where a number was
            return text


def _unanswered(why: str) -> Finding:
    return Finding(False, None, {"error": why}, why)
