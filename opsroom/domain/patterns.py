"""Patterns of template authors, as RE2 takes them: matching is linear in the text, whatever the pattern is.

Syntax: https://github.com/google/re2/wiki/Syntax. It knows no look-around and no back-references.
"""

import functools
from typing import Any, Final, Protocol, cast

import re2  # pyright: ignore[reportMissingTypeStubs]

_RE2: Final = cast("Any", re2)  # it has no types of its own


class Pattern(Protocol):
    """A compiled pattern."""

    def sub(self, repl: Any, text: str) -> str: ...
    def fullmatch(self, text: str) -> Any: ...


class InvalidPattern(ValueError):
    """RE2 does not take it; the message says why."""


@functools.lru_cache(256)
def compiled(pattern: str) -> Pattern:
    """Raises InvalidPattern."""
    options = _RE2.Options()
    options.log_errors = False
    try:
        return _RE2.compile(pattern, options)
    except _RE2.error as error:
        said = error.args[0]
        raise InvalidPattern(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from None


def replaced(pattern: str, replacement: str, text: str) -> str:
    """`text` with every match replaced by a text that is taken as it is."""
    return compiled(pattern).sub(lambda _match: replacement, text)  # pyright: ignore[reportUnknownLambdaType]
