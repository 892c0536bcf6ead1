"""Two runs side by side: what they were given, did, said and left. Whether a replay reproduced its run is another
question, which `opsroom.domain.comparison` answers.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final, Literal, TypeVar

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.errors import ArtifactDamaged, ArtifactMissing
from opsroom.control_plane.models import Artifact, RunDetail, Step
from opsroom.control_plane.rows import Row
from opsroom.control_plane.story import Proof
from opsroom.domain.errors import EvidenceExpired

MOST_EVENTS: Final = 5000
MOST_OUTPUT: Final = 2 << 20
"""Characters of a run's output that are compared, and a page more: both texts are held in memory."""
PAGE: Final = 200
LARGEST_TEXT: Final = 256 << 10
"""Bytes of an artifact that are read to be compared."""
MOST_TEXTS: Final = 12

Same = Literal["same", "differs", "left", "right"]
"""`left`, `right`: only there."""
T = TypeVar("T")


class StepPair(Row):
    """A step of both, or of one."""

    step_id: str
    title: str
    same: Same
    left: Step | None = None
    right: Step | None = None


class TextPair(Row):
    """Two texts, empty where a run has none. Without `told` they were not read, and `note` says why."""

    name: str
    same: Same
    told: bool = True
    note: str = ""
    left: str = ""
    right: str = ""


class ProofPair(Row):
    step: str
    name: str
    same: Same
    left: Proof | None = None
    right: Proof | None = None


class ArtifactPair(Row):
    """An artifact of both, or of one, by digest; `text` for those that differ and can be read."""

    name: str
    same: Same
    left: Artifact | None = None
    right: Artifact | None = None
    text: TextPair | None = None


class SideBySide(Row):
    """Two runs. `params` and `template` are JSON texts; `cut`: there was more output than is compared; `note`: why none
    is.
    """

    left: RunDetail
    right: RunDetail
    params: TextPair
    template: TextPair
    steps: tuple[StepPair, ...] = ()
    outputs: tuple[TextPair, ...] = ()
    proofs: tuple[ProofPair, ...] = ()
    artifacts: tuple[ArtifactPair, ...] = ()
    cut: bool = False
    note: str = ""

    @property
    def differing(self) -> tuple[str, ...]:
        """What differs, by name, durations aside."""
        left, right = self.left.run, self.right.run
        names = ["outcome"] if (left.status, left.reason) != (right.status, right.reason) else []
        names += [pair.name for pair in (self.params, self.template) if pair.same != "same"]
        for name, pairs in (
            ("steps", self.steps),
            ("output", self.outputs),
            ("proofs", self.proofs),
            ("artifacts", self.artifacts),
        ):
            if any(pair.same != "same" for pair in pairs):
                names.append(name)
        return tuple(names)


async def side_by_side(room: ControlPlane, left_id: str, right_id: str) -> SideBySide:
    """Raises RunNotFound."""
    left, right = await room.read_run(left_id), await room.read_run(right_id)
    said, answered, cut, note = {}, {}, False, ""
    try:
        (said, cut_left), (answered, cut_right) = await _outputs(room, left_id), await _outputs(room, right_id)
        cut = cut_left or cut_right
    except EvidenceExpired as error:
        note = f"Output can not be compared. {error.message} {error.hint}"
    specs = [_pretty((await room.template(d.run.template_slug, d.run.template_version)).spec) for d in (left, right)]
    return SideBySide(
        left=left,
        right=right,
        params=_text("params", _pretty(left.run.params), _pretty(right.run.params)),
        template=_text("template", *specs),
        steps=tuple(_steps(left, right)),
        outputs=tuple(_text(key, said.get(key), answered.get(key)) for key in _keys(said, answered)),
        proofs=tuple(_proofs(left, right)),
        artifacts=tuple([pair async for pair in _artifacts(room, left, right)]),
        cut=cut,
        note=note,
    )


def _keys(left: Mapping[str, T], right: Mapping[str, T]) -> list[str]:
    """Of both, in the order of the left, then what only the right has."""
    return [*left, *(key for key in right if key not in left)]


def _same(left: object | None, right: object | None, equal: bool) -> Same:
    if left is None:
        return "right"
    return "left" if right is None else "same" if equal else "differs"


def _text(name: str, left: str | None, right: str | None) -> TextPair:
    return TextPair(name=name, same=_same(left, right, left == right), left=left or "", right=right or "")


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _steps(left: RunDetail, right: RunDetail) -> Iterator[StepPair]:
    old, new = ({step.step_id: step for step in detail.steps} for detail in (left, right))
    for key in _keys(old, new):
        was, now = old.get(key), new.get(key)
        equal = bool(was and now and (was.status, was.exit_code) == (now.status, now.exit_code))
        title = (was or now or left.steps[0]).title
        yield StepPair(step_id=key, title=title, same=_same(was, now, equal), left=was, right=now)


def _proofs(left: RunDetail, right: RunDetail) -> Iterator[ProofPair]:
    old, new = ({f"{proof.step}/{proof.name}": proof for proof in detail.proofs} for detail in (left, right))
    for key in _keys(old, new):
        was, now = old.get(key), new.get(key)
        step, _, name = key.partition("/")
        equal = bool(was and now and was.passed == now.passed)
        yield ProofPair(step=step, name=name, same=_same(was, now, equal), left=was, right=now)


async def _artifacts(room: ControlPlane, left: RunDetail, right: RunDetail) -> AsyncIterator[ArtifactPair]:
    old, new = ({artifact.name: artifact for artifact in detail.artifacts} for detail in (left, right))
    read = 0
    for key in sorted({*old, *new}):
        was, now = old.get(key), new.get(key)
        equal = bool(was and now and (was.sha256, was.url) == (now.sha256, now.url))
        text = None
        if was and now and not equal and was.sha256 and now.sha256:
            text, read = await _texts(room, was, now, read), read + 1
        yield ArtifactPair(name=key, same=_same(was, now, equal), left=was, right=now, text=text)


async def _texts(room: ControlPlane, was: Artifact, now: Artifact, read: int) -> TextPair:
    """The texts of two artifacts that differ, unless they are too large, too many, or none."""
    note = ""
    if max(was.size_bytes or 0, now.size_bytes or 0) > LARGEST_TEXT:
        note = "Too large to be shown here."
    elif read >= MOST_TEXTS:
        note = "Too many differ to show them all here."
    else:
        try:
            return _text(was.name, *[(await _bytes(room, side)).decode() for side in (was, now)])
        except UnicodeDecodeError:
            note = "It is not a text."
        except (ArtifactMissing, ArtifactDamaged, EvidenceExpired) as error:
            note = error.message
    return TextPair(name=was.name, same="differs", told=False, note=note)


async def _bytes(room: ControlPlane, artifact: Artifact) -> bytes:
    async with room.open_artifact(artifact) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def _outputs(room: ControlPlane, run_id: str) -> tuple[dict[str, str], bool]:
    """What the steps of a run said, by step and stream, and whether there was more than is read."""
    said: dict[str, list[str]] = defaultdict(list)
    cursor = size = 0
    while cursor < MOST_EVENTS and size < MOST_OUTPUT:
        page = await room.read_events(run_id, after=cursor, limit=PAGE)
        for event in page.events:
            if event.expired_at:
                raise EvidenceExpired(f"The log of run {run_id} has expired.", hint="Its text is in its bundle.")
            if event.type == "output":
                chunk = event.message + ("" if event.data.get("partial") else "\n")
                said[f"{event.step}, {event.data.get('stream', 'stdout')}"].append(chunk)
                size += len(chunk)
            cursor = event.seq
        if not page.events or cursor >= page.last_seq:
            return {key: "".join(chunks) for key, chunks in said.items()}, False
    return {key: "".join(chunks) for key, chunks in said.items()}, True
