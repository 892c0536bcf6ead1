"""From two runs side by side, and from a replay's verdict, to what is drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from opsroom.components.compare_views import (
    CellView,
    DifferenceView,
    PairView,
    ReplayRow,
    ReplayView,
    SectionView,
    SideView,
    TextView,
)
from opsroom.components.library_views import Diff, DiffLine
from opsroom.control_plane.comparison import ArtifactPair, ProofPair, Same, SideBySide, StepPair, TextPair
from opsroom.control_plane.models import Card, RunDetail, Step
from opsroom.control_plane.story import Proof
from opsroom.room.diff import compare
from opsroom.room.present import REASON_WORDS, STATUS_WORDS, iso, size, span

WINDOW: Final = 1000
"""Lines of a text that are put side by side, from a little before the first that differs."""
BEFORE: Final = 3
OPEN: Final = 3
"""So many texts that differ are shown without a press."""
SHORT: Final = 8
COUNTED: Final = ("steps", "outputs", "proofs", "artifacts")
WORDS: Final[dict[Same, str]] = {"same": "", "differs": "different", "left": "only left", "right": "only right"}


def side(run: Card) -> SideView:
    """A run in short."""
    return SideView(
        id=run.id,
        short=run.id[:SHORT],
        href=f"/runs/{run.id}",
        title=run.title,
        template=f"{run.template_slug} v{run.template_version}",
        lane=run.lane,
        status=run.status,
        word=STATUS_WORDS[run.status],
        reason=REASON_WORDS.get(run.reason, "") if run.reason else "",
        took=span(run.started_at, run.finished_at),
        at=iso(run.queued_at),
        by=run.created_by_name or "",
        live=run.is_live,
    )


def compare_values(found: SideBySide) -> dict[str, Any]:
    """The vars of the page."""
    texts = [pair.text for pair in found.artifacts if pair.text]
    values: dict[str, Any] = {
        "left": side(found.left.run),
        "right": side(found.right.run),
        "replay": _verdict(found),
        "sections": _sections(found),
        "steps": [_step(pair) for pair in found.steps],
        "proofs": [_proof(pair) for pair in found.proofs],
        "artifacts": [_artifact(pair) for pair in found.artifacts],
        "output_note": found.note or ("Only the first part of the output was compared." if found.cut else ""),
    }
    left = OPEN
    for name, pairs in (
        ("given", [found.params, found.template]),
        ("outputs", found.outputs),
        ("artifact_texts", texts),
    ):
        values[name], left = _texts(pairs, left)
    return values


def _texts(pairs: Iterable[TextPair], left: int) -> tuple[list[TextView], int]:
    """Their views, and how many more may be open."""
    views: list[TextView] = []
    for pair in pairs:
        view = _text(pair)
        if view.word and left > 0:
            view, left = replace(view, open=True), left - 1
        views.append(view)
    return views, left


def _text(pair: TextPair) -> TextView:
    name = {"params": "Parameters", "template": "Template version"}.get(pair.name, pair.name)
    if pair.same == "same":
        return TextView(name=name)
    diff = window(pair.left, pair.right) if pair.told else Diff(note=pair.note)
    counts = f"+{diff.added} −{diff.removed}" if pair.told else ""  # noqa: RUF001 - a real minus sign
    return TextView(name=name, word=WORDS[pair.same], counts=counts, diff=diff)


def window(old: str, new: str) -> Diff:
    """What changed, from the first line that differs on: long texts are cut, so that it takes no time."""
    before, after = old.splitlines(), new.splitlines()
    if max(len(before), len(after)) <= WINDOW:
        return replace(compare(old, new), split=[])
    most = min(len(before), len(after))
    start = max(0, next((n for n in range(most) if before[n] != after[n]), most) - BEFORE)
    stop = start + WINDOW
    found = compare("\n".join(before[start:stop]), "\n".join(after[start:stop]))
    lines = [_moved(line, start) for line in found.unified]
    if start:
        lines.insert(0, DiffLine("fold", old=[f"{start} unchanged lines", "", ""]))
    rest = max(len(before), len(after)) - stop
    if rest > 0:
        lines.append(DiffLine("fold", old=[f"{rest} more lines are not compared here", "", ""]))
    return replace(found, unified=lines, split=[])


def _moved(line: DiffLine, by: int) -> DiffLine:
    left, right = (str(int(number) + by) if number else "" for number in (line.left, line.right))
    return replace(line, left=left, right=right)


def _sections(found: SideBySide) -> list[SectionView]:
    left, right = found.left.run, found.right.run
    outcome = (left.status, left.reason) != (right.status, right.reason)
    told = [SectionView("Outcome", "#sides", "different" if outcome else "the same", outcome)]
    parts: list[tuple[str, str, Sequence[Any]]] = [
        ("Parameters", "#given", [found.params]),
        ("Template", "#given", [found.template]),
        ("Steps", "#steps", found.steps),
        ("Output", "#output", found.outputs),
        ("Proofs", "#proofs", found.proofs),
        ("Artifacts", "#artifacts", found.artifacts),
    ]
    for name, href, pairs in parts:
        count = sum(pair.same != "same" for pair in pairs)
        if name == "Output" and found.note:
            word = "expired"
        elif len(pairs) > 1 and count:
            word = f"{count} of {len(pairs)} different"
        else:
            word = "different" if count else "the same" if pairs else "none"
        told.append(SectionView(name, href, word, count > 0))
    return told


def _step(pair: StepPair) -> PairView:
    return PairView(pair.step_id, pair.title, WORDS[pair.same], _done(pair.left), _done(pair.right))


def _done(step: Step | None) -> CellView:
    if step is None:
        return CellView("–")  # noqa: RUF001
    code = f", exit code {step.exit_code}" if step.exit_code else ""
    carried = ", carried over" if step.carried_from else ""
    took = span(step.started_at, step.finished_at)
    return CellView(step.status.replace("_", " ") + code + carried, step.status, took)


def _proof(pair: ProofPair) -> PairView:
    return PairView(pair.name, f"after {pair.step}", WORDS[pair.same], _judged(pair.left), _judged(pair.right))


def _judged(proof: Proof | None) -> CellView:
    if proof is None:
        return CellView("–")  # noqa: RUF001
    return CellView("passed" if proof.passed else "did not pass", "succeeded" if proof.passed else "failed")


def _artifact(pair: ArtifactPair) -> PairView:
    cells = [
        CellView(a.url or (a.sha256 or "")[:12], sub=size(a.size_bytes)) if a else CellView("–")  # noqa: RUF001
        for a in (pair.left, pair.right)
    ]
    return PairView(pair.name, "", WORDS[pair.same], *cells)


def _verdict(found: SideBySide) -> ReplayView:
    """If one of the two replays the other: what was found when it had ended."""
    for one, other in ((found.right, found.left), (found.left, found.right)):
        if one.run.replay_of == other.run.id:
            return replay_view(one)
    return ReplayView()


def replay_view(detail: RunDetail) -> ReplayView:
    """What a run is a replay of, and the verdict."""
    run, result = detail.run, detail.replay
    if run.replay_of is None:
        return ReplayView()
    view = ReplayView(
        of_href=f"/runs/{run.replay_of}",
        of_short=run.replay_of[:SHORT],
        compare=f"/compare?left={run.replay_of}&right={run.id}",
    )
    if result is None:
        return view
    counted = (
        f"{n} {what.removesuffix('s') if n == 1 else what}" for what in COUNTED if (n := result.compared.get(what))
    )
    return replace(
        view,
        verdict=result.verdict,
        state="succeeded" if result.verdict == "REPRODUCED" else "failed",
        compared=", ".join(counted),
        differences=[DifferenceView(d.place, d.message, d.diff) for d in result.differences],
        more=f"and {result.more} more" if result.more else "",
        left_out=list(result.left_out),
    )


def replay_rows(detail: RunDetail) -> list[ReplayRow]:
    """The replays of a run, the latest first."""
    states = {"REPRODUCED": "succeeded", "DIVERGED": "failed", None: "pending"}
    return [
        ReplayRow(
            href=f"/runs/{replay.id}",
            short=replay.id[:SHORT],
            word=(replay.verdict or STATUS_WORDS[replay.status]).capitalize(),
            state=states[replay.verdict],
            status=replay.status,
            at=iso(replay.queued_at),
        )
        for replay in detail.replays
    ]
