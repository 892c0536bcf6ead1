"""Two texts compared line by line, for `opsroom.components.diff`."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

from opsroom.components.library_views import Diff, DiffLine

CONTEXT: Final = 4
MOST_LINES: Final = 4000
"""More lines on one side are not compared here: it would take seconds, and nobody would read it."""

Block = tuple[str, Sequence[str], Sequence[str], int, int]


def compare(old: str, new: str) -> Diff:
    """What changed from `old` to `new`. Lines far from any change are folded."""
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        return Diff(note="There is no difference.")
    if max(len(before), len(after)) > MOST_LINES:
        return Diff(note=f"The texts have more than {MOST_LINES:,} lines: too long to be compared here.")
    groups = list(difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(CONTEXT))
    blocks: list[Block] = []
    seen = 0
    for group in groups:
        start = group[0][1]
        if start > seen:
            blocks.append(("fold", [f"{start - seen} unchanged lines"], [], 0, 0))
        blocks += [(tag, before[a:b], after[c:d], a, c) for tag, a, b, c, d in group]
        seen = group[-1][2]
    if seen < len(before):
        blocks.append(("fold", [f"{len(before) - seen} unchanged lines"], [], 0, 0))
    split, unified = [*_split(blocks)], [*_unified(blocks)]
    added = sum(line.kind == "added" for line in unified)
    return Diff(unified, split, added, sum(line.kind == "removed" for line in unified))


def _split(blocks: Sequence[Block]) -> Iterator[DiffLine]:
    for tag, old, new, a, c in blocks:
        if tag == "fold":
            yield DiffLine("fold", old=[old[0], "", ""])
            continue
        for i in range(max(len(old), len(new))):
            has_old, has_new = i < len(old), i < len(new)
            left, right = _parts(old[i] if has_old else None, new[i] if has_new else None)
            kind = "same" if tag == "equal" else "changed" if has_old and has_new else "removed" if has_old else "added"
            yield DiffLine(kind, str(a + i + 1) if has_old else "", str(c + i + 1) if has_new else "", left, right)


def _unified(blocks: Sequence[Block]) -> Iterator[DiffLine]:
    for tag, old, new, a, c in blocks:
        if tag == "fold":
            yield DiffLine("fold", old=[old[0], "", ""])
        elif tag == "equal":
            for i, text in enumerate(old):
                yield DiffLine("same", str(a + i + 1), str(c + i + 1), [text, "", ""])
        else:
            for i, text in enumerate(old):
                yield DiffLine("removed", str(a + i + 1), "", _parts(text, new[i] if i < len(new) else None)[0])
            for i, text in enumerate(new):
                yield DiffLine("added", "", str(c + i + 1), new=_parts(old[i] if i < len(old) else None, text)[1])


def _parts(old: str | None, new: str | None) -> tuple[list[str], list[str]]:
    """Both lines cut where they begin and end to differ. Lines with little in common are not cut."""
    if old is None or new is None or old == new:
        return [old or "", "", ""], [new or "", "", ""]
    most = min(len(old), len(new))
    head = next((i for i in range(most) if old[i] != new[i]), most)
    tail = next((i for i in range(most - head) if old[-1 - i] != new[-1 - i]), most - head)
    if len((old[:head] + old[len(old) - tail :]).strip()) * 3 < most:
        return [old, "", ""], [new, "", ""]
    return _cut(old, head, tail), _cut(new, head, tail)


def _cut(text: str, head: int, tail: int) -> list[str]:
    end = len(text) - tail
    return [text[:head], text[head:end], text[end:]]
