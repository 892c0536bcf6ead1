"""Secrets: resolved from the worker's environment, masked where they would show.

Masking is a net under the feet, not a guarantee: a command that prints a secret backwards prints it. What is known is
masked in all forms of `workers.encodings`, also where it is broken over lines, as `base64` and others break long text.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

from workers.encodings import SHORTEST, forms

MASK: Final = "•••"
_BREAK: Final = re.compile(r"(?:\r?\n|\r)[ \t]{0,64}(?![ \t\r\n])")
"""A line break, with the indentation of the next line, that may stand anywhere inside of a secret."""

Span = tuple[int, int]


class UnknownSecret(Exception):
    """A run asks for a secret that this worker does not have or that its template does not name."""


class Vault:
    """The secrets of this worker. A run sees the ones its template names and the ones its params refer to."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def resolve(self, name: str) -> str:
        """The secret's value. Raises UnknownSecret."""
        try:
            return self._values[name]
        except KeyError:
            raise UnknownSecret(
                f"this worker has no secret {name}: set OPSROOM_SECRET_{name} in its environment and restart it"
            ) from None


class Masker:
    """Replaces every known secret by •••: one pass of one expression, whatever their number."""

    def __init__(self, secrets: Iterable[str]) -> None:
        flat = {_BREAK.sub("", form).strip() for secret in secrets for form in forms(secret)}
        known = sorted(form for form in flat if len(form) >= SHORTEST)
        self._pattern = re.compile(_tree(known)) if known else None
        self._longest = max(map(len, known), default=0)
        self._by_start = {start: list(all_of) for start, all_of in groupby(known, key=lambda form: form[:SHORTEST])}
        self._starts = {start[:n] for start in self._by_start for n in range(1, SHORTEST)}

    def mask(self, text: str) -> str:
        """`text` without the known secrets."""
        flat, spans = self.find(text)
        return _masked(text, spans, _Places(text, flat)) if spans else text

    def find(self, text: str) -> tuple[str, list[Span]]:
        """`text` without line breaks, and where in that the secrets are; those that overlap are one."""
        if self._pattern is None:
            return text, []
        flat = _BREAK.sub("", text) if "\n" in text or "\r" in text else text
        spans: list[Span] = []
        at = 0
        while found := self._pattern.search(flat, at):
            start, end = found.span()
            at = start + 1
            if spans and start < spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            else:
                spans.append((start, end))
        return flat, spans

    def open_end(self, flat: str) -> int:
        """Where the first secret begins that may be whole only when more text comes; the length of `flat` if none."""
        length = len(flat)
        for at in range(max(0, length - self._longest + 1), length):
            start = flat[at : at + SHORTEST]
            if len(start) < SHORTEST:
                if start in self._starts:
                    return at
            elif start in self._by_start:
                tail = flat[at:]
                if any(len(form) > len(tail) and form.startswith(tail) for form in self._by_start[start]):
                    return at
        return length


class StreamMasker:
    """A Masker for text that arrives in pieces: wherever it is cut, what is shown is the same.

    It holds back no more than the beginning of what may become a secret.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = ""

    def feed(self, text: str) -> str:
        """What is safe to show now."""
        text = self._held + text
        flat, spans = self._masker.find(text)
        end = self._masker.open_end(flat)
        # Not through the middle of a secret that is whole already: its end may look like the beginning of another one.
        end = next((start for start, stop in spans if start < end < stop), end)
        if not spans and end == len(flat):
            self._held = ""
            return text
        places = _Places(text, flat)
        whole = len(text) if end == len(flat) else places.of(end)
        self._held = text[whole:]
        return _masked(text[:whole], [span for span in spans if span[0] < end], places)

    @property
    def holds_lines(self) -> bool:
        """Whether a whole line is held back, because a secret may go on in the next one."""
        return "\n" in self._held

    def release_lines(self) -> str:
        """The whole lines that are held back, when no more text comes for a while."""
        end = self._held.rfind("\n") + 1
        text, self._held = self._held[:end], self._held[end:]
        return self._masker.mask(text)

    def finish(self) -> str:
        """The rest."""
        text, self._held = self._held, ""
        return self._masker.mask(text)


class _Places:
    """Where the characters of a text without its line breaks stand in that text."""

    def __init__(self, text: str, flat: str) -> None:
        self._at: list[int] = []
        self._removed = [0]
        if len(text) != len(flat):
            for found in _BREAK.finditer(text):
                self._at.append(found.start() - self._removed[-1])
                self._removed.append(self._removed[-1] + len(found[0]))

    def of(self, position: int) -> int:
        return position + self._removed[bisect_right(self._at, position)]


def _masked(text: str, spans: Iterable[Span], places: _Places) -> str:
    parts: list[str] = []
    shown = 0
    for start, end in spans:
        parts += text[shown : places.of(start)], MASK
        shown = places.of(end - 1) + 1
    return "".join((*parts, text[shown:]))


def _tree(known: Iterable[str]) -> str:
    """An expression for the longest of the forms, given in order, that stands at a place."""
    all_of = list(known)
    first, last = all_of[0], all_of[-1]
    common = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    rest = [form[common:] for form in all_of]
    branches = [_tree(group) for _, group in groupby(filter(None, rest), key=lambda form: form[0])]
    optional = "?" if "" in rest else ""
    return re.escape(first[:common]) + (f"(?:{'|'.join(branches)}){optional}" if branches else "")
