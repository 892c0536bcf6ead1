"""Whether a replay left the same as the run that it repeats: REPRODUCED, or DIVERGED with what differs.

Compared are outcome, steps, output by step and stream, proofs and artifacts. What `docs/templates.md` calls `compare`
says what does not count.
"""

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from opsroom.domain.events import Event
from opsroom.domain.evidence.record import ArtifactFacts, RunRecord
from opsroom.domain.normalising import Normaliser, matches
from opsroom.domain.template import Compare

MOST_DIFFERENCES: Final = 10
WINDOW_LINES: Final = 120
"""Lines from the first that differs on that are put side by side: to compare long texts whole takes for ever."""
LONGEST_DIFF: Final = 3000
CONTEXT: Final = 3
LARGEST_COMPARED: Final = 4 << 20
"""Bytes of a text beyond which it has to be the same byte by byte."""


class Difference(BaseModel):
    """One thing that is not as it was: where, in words, and for texts a unified diff from where they part."""

    model_config = ConfigDict(frozen=True)

    what: Literal["outcome", "step", "output", "proof", "artifact"]
    place: str
    message: str
    diff: str = ""


class Result(BaseModel):
    """The verdict as it is recorded. `compared` counts what was; `left_out` says what was not, and why; `more` is how
    many differences there are besides those told. `of_head` is the last event's hash of the run that was repeated.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Literal["REPRODUCED", "DIVERGED"]
    of: str
    of_head: str
    compared: Mapping[str, int]
    differences: tuple[Difference, ...] = ()
    left_out: tuple[str, ...] = ()
    more: int = 0


Contents = Mapping[str, bytes]
"""The bytes of artifacts, by digest."""


def to_read(original: RunRecord, replay: RunRecord, rules: Compare) -> list[ArtifactFacts]:
    """The artifacts whose bytes the comparison needs: those that are there on both sides and differ."""
    there = {artifact.name: artifact for artifact in replay.artifacts}
    pairs = ((artifact, there.get(artifact.name)) for artifact in original.artifacts if _counts(artifact.name, rules))
    return [
        side
        for left, right in pairs
        if right and left.sha256 and right.sha256 and left.sha256 != right.sha256
        for side in (left, right)
        if (side.size_bytes or 0) <= LARGEST_COMPARED
    ]


def compare(original: RunRecord, replay: RunRecord, rules: Compare, contents: Contents) -> Result:
    """The verdict. Artifacts that differ and are not in `contents` are different."""
    sides = tuple(
        _Side(record, Normaliser(rules, {record.run.id: "<run>", record.run.root_run_id: "<run>"}))
        for record in (original, replay)
    )
    comparison = _Comparison(sides[0], sides[1], rules, contents)
    differences = [*comparison.all()]
    return Result(
        verdict="DIVERGED" if differences else "REPRODUCED",
        of=original.run.id,
        of_head=original.events[-1].hash,
        compared=comparison.compared,
        differences=tuple(differences[:MOST_DIFFERENCES]),
        left_out=tuple(comparison.left_out[:100]),
        more=max(0, len(differences) - MOST_DIFFERENCES),
    )


def rules_of(spec: Mapping[str, object]) -> Compare:
    """The template's `compare`, or its defaults."""
    return Compare.model_validate_json(json.dumps(spec.get("compare") or {}))


def outputs(events: Iterable[Event]) -> dict[tuple[str, str], str]:
    """What the steps said, by step and stream, as they said it but for the last newline."""
    said: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in events:
        if event.type == "output":
            chunk = event.message + ("" if event.data.get("partial") else "\n")
            said[event.step or "", str(event.data.get("stream", "stdout"))].append(chunk)
    return {key: "".join(chunks) for key, chunks in said.items()}


def unified(
    old: str,
    new: str,
    names: tuple[str, str] = ("original", "replay"),
    *,
    lines: int = WINDOW_LINES,
    longest: int = LONGEST_DIFF,
) -> tuple[int, str]:
    """The number of the first line that differs, from 1, and a unified diff of as many lines from there on."""
    before, after = old.split("\n"), new.split("\n")
    most = min(len(before), len(after))
    first = next((n for n in range(most) if before[n] != after[n]), most)
    start = max(0, first - CONTEXT)
    window = slice(start, first + lines)
    told = list(difflib.unified_diff(before[window], after[window], *names, lineterm="", n=CONTEXT))
    if told and told[-1] == " ":  # what stands after the last newline
        told.pop()
    shown = "\n".join(_renumbered(line, start) for line in told)
    return first + 1, shown if len(shown) <= longest else shown[:longest] + "…"


class _Side:
    def __init__(self, record: RunRecord, normaliser: Normaliser) -> None:
        self.record = record
        self.normaliser = normaliser
        self.steps = {step.id: step for step in record.steps}
        self.outputs = outputs(record.events)
        self.proofs = {(proof.step, proof.phase, proof.name): proof for proof in record.proofs}
        self.artifacts = {artifact.name: artifact for artifact in record.artifacts}


class _Comparison:
    def __init__(self, left: _Side, right: _Side, rules: Compare, contents: Contents) -> None:
        self._left, self._right = left, right
        self._rules = rules
        self._contents = contents
        # An earlier attempt did them, and its own events tell how.
        self._carried = {step.id for step in left.record.steps if step.carried_from}
        self.left_out = [
            f"output and proofs of step {step}: an earlier attempt did it" for step in sorted(self._carried)
        ]
        self.compared: dict[str, int] = {"steps": len(left.steps), "outputs": 0, "proofs": 0, "artifacts": 0}

    def all(self) -> Iterator[Difference]:
        yield from self._outcome()
        yield from self._steps()
        if self._rules.output:
            yield from self._outputs()
        else:
            self.left_out.append("output: the template says so")
        yield from self._proofs()
        yield from self._artifacts()

    def _outcome(self) -> Iterator[Difference]:
        left, right = self._left.record.run, self._right.record.run
        was, now = (f"{run.status} ({run.reason})" if run.reason else run.status for run in (left, right))
        if was != now:
            yield Difference(what="outcome", place="outcome", message=f"was {was}, is {now}")

    def _steps(self) -> Iterator[Difference]:
        for step in self._left.steps.values():
            again = self._right.steps[step.id]
            was, now = (
                s.status if s.exit_code is None else f"{s.status}, exit code {s.exit_code}" for s in (step, again)
            )
            if step.status != again.status or (step.exit_code != again.exit_code and step.id not in self._carried):
                yield Difference(what="step", place=f"step {step.id}", message=f"was {was}, is {now}")

    def _outputs(self) -> Iterator[Difference]:
        for step, stream in sorted({*self._left.outputs, *self._right.outputs}):
            if step in self._carried:
                continue
            self.compared["outputs"] += 1
            old, new = (side.outputs.get((step, stream), "") for side in (self._left, self._right))
            yield from self._texts("output", f"step {step}, {stream}", old, new)

    def _texts(self, what: Literal["output", "artifact"], place: str, old: str, new: str) -> Iterator[Difference]:
        if old == new:
            return
        if max(len(old), len(new)) <= LARGEST_COMPARED:
            old, new = self._left.normaliser.text(old), self._right.normaliser.text(new)
        if old != new:
            line, diff = unified(old, new)
            yield Difference(what=what, place=place, message=f"differs from line {line} on", diff=diff)

    def _proofs(self) -> Iterator[Difference]:
        for key in sorted({*self._left.proofs, *self._right.proofs}):
            step, _, name = key
            if step in self._carried:
                continue
            self.compared["proofs"] += 1
            was, now = (
                _judged(side.proofs[key].passed if key in side.proofs else None) for side in (self._left, self._right)
            )
            if was != now:
                yield Difference(what="proof", place=f"step {step}, proof {name}", message=f"{was}, and now {now}")

    def _artifacts(self) -> Iterator[Difference]:
        for name in sorted({*self._left.artifacts, *self._right.artifacts}):
            if not _counts(name, self._rules):
                self.left_out.append(f"artifact {name}: the template says so")
                continue
            self.compared["artifacts"] += 1
            old, new = self._left.artifacts.get(name), self._right.artifacts.get(name)
            if old is None or new is None:
                message = "is new" if old is None else "is missing"
                yield Difference(what="artifact", place=f"artifact {name}", message=message)
            else:
                yield from self._artifact(old, new)

    def _artifact(self, old: ArtifactFacts, new: ArtifactFacts) -> Iterator[Difference]:
        place = f"artifact {old.name}"
        if old.kind == "link" or new.kind == "link":
            yield from self._texts("artifact", place, old.url or "", new.url or "")
            return
        if old.sha256 == new.sha256:
            return
        texts = [
            side.normaliser.content(data, facts.media_type, facts.kind)
            for side, facts in ((self._left, old), (self._right, new))
            if (data := self._contents.get(facts.sha256 or "")) is not None
        ]
        if len(texts) < 2 or None in texts:
            message = f"was {old.size_bytes} bytes, sha256 {old.sha256}; is {new.size_bytes} bytes, sha256 {new.sha256}"
            yield Difference(what="artifact", place=place, message=message)
        elif texts[0] != texts[1]:
            line, diff = unified(texts[0] or "", texts[1] or "")
            yield Difference(what="artifact", place=place, message=f"differs from line {line} on", diff=diff)


def _judged(passed: bool | None) -> str:
    return "not made" if passed is None else "passed" if passed else "not passed"


def _counts(name: str, rules: Compare) -> bool:
    return any(matches(glob, name) for glob in rules.artifacts)


def _renumbered(line: str, start: int) -> str:
    """A hunk's head with the numbers of the whole text."""
    return re.sub(r"([-+])(\d+)", lambda m: f"{m[1]}{int(m[2]) + start}", line) if line.startswith("@@") else line
