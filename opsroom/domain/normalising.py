"""What of an output does not count when a run is compared with its replay: the template's `compare`, applied.

Patterns come from the authors of templates, so `opsroom.domain.patterns` bounds their time.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from opsroom.domain.patterns import compiled, replaced
from opsroom.domain.template import Compare

WORKDIR: Final = r"(?:/[^\s:'\"]*)?/opsroom-run-[a-z0-9_]{8}(?:/work|/staging)?"
"""Each run has a working directory of its own, and programs print where they are."""
JSON_TYPES: Final = ("application/json", "text/json")


class Normaliser:
    """Texts and JSON without what does not count. `names` are replaced too: the run's own id stands for any run's."""

    def __init__(self, rules: Compare, names: Mapping[str, str]) -> None:
        self._names = {name: word for name, word in names.items() if name}
        self._ignored = [_segments(pointer) for pointer in rules.ignore]
        self._rules = [(WORKDIR, "<workdir>"), *((rule.pattern, rule.replace) for rule in rules.normalise)]

    def text(self, text: str) -> str:
        """`text` with every pattern's matches replaced."""
        for name, word in self._names.items():
            text = text.replace(name, word)
        for pattern, replacement in self._rules:
            text = replaced(pattern, replacement, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value without what its pointers ignore, its texts as `text` leaves them."""
        for segments in self._ignored:
            value = _without(value, segments)
        return self._texts(value)

    def content(self, data: bytes, media_type: str, kind: str) -> str | None:
        """A file as text that can be compared; None when it is none, and its bytes have to be the same."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        if kind == "json" or media_type in JSON_TYPES or media_type.endswith("+json"):
            try:
                value = self.value(json.loads(text))
                return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
            except (ValueError, RecursionError):
                return self.text(text)
        is_text = (
            media_type.startswith("text/") or kind in ("markdown", "diff", "html") or media_type == "image/svg+xml"
        )
        return self.text(text) if is_text else None

    def _texts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._texts(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {key: self._texts(item) for key, item in cast("dict[str, Any]", value).items()}
        return value


def matches(glob: str, name: str) -> bool:
    """Whether a glob names a file, as for a step's artifacts: `**` crosses folders, `*` and `?` do not."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = (part for part in re.split(r"(\*\*/|\*\*|\*|\?)", glob) if part)
    pattern = "".join(words.get(part) or re.escape(part) for part in parts)
    return compiled(f"(?s:{pattern})").fullmatch(name) is not None


def _segments(pointer: str) -> tuple[str, ...]:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _without(value: Any, segments: Sequence[str]) -> Any:
    """`value` without what the segments of a JSON Pointer name; `*` is any key or index. None for the whole."""
    if not segments:
        return None
    first, rest = segments[0], segments[1:]
    if isinstance(value, dict):
        told = cast("dict[str, Any]", value)
        return {
            key: _without(item, rest) if first in ("*", key) else item
            for key, item in told.items()
            if rest or first not in ("*", key)
        }
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [
            _without(item, rest) if first in ("*", str(place)) else item
            for place, item in enumerate(items)
            if rest or first not in ("*", str(place))
        ]
    return value
