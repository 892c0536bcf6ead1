"""Secrets: resolved from the worker's environment, masked where they would show.

Masking is a net under the feet, not a guarantee: a command that prints a secret backwards prints it. What is known is
masked in all forms that ordinary tools produce: plain, line by line, URL-quoted, JSON-escaped and Base64.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK: Final = "•••"
SHORTEST: Final = 4
"""Shorter values are too common in ordinary text to be masked."""


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

    def values(self) -> Iterable[str]:
        return self._values.values()


class Masker:
    """Replaces every known secret by •••."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        # Longest first: a secret that begins with another one is masked whole.
        self._forms = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._forms))) if forms else None
        self._longest = len(self._forms[0]) if forms else 0

    def mask(self, text: str) -> str:
        """`text` without the known secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def safe_length(self, text: str) -> int:
        """How much of `text`, from its beginning, can be masked before more arrives."""
        end = len(text) - next(
            (n for n in range(min(self._longest - 1, len(text)), 0, -1) if self._begins(text[-n:])), 0
        )
        # Not through the middle of a secret that is whole already: its end may look like the beginning of another one.
        for match in self._pattern.finditer(text) if self._pattern else ():
            if match.start() < end < match.end():
                return match.start()
        return end

    def _begins(self, tail: str) -> bool:
        return any(len(form) > len(tail) and form.startswith(tail) for form in self._forms)


class StreamMasker:
    """A Masker for text that arrives in pieces: a secret cut by the border of two chunks is found as well."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = ""

    def feed(self, text: str) -> str:
        """What is safe to show now."""
        text = self._held + text
        end = self._masker.safe_length(text)
        self._held = text[end:]
        return self._masker.mask(text[:end])

    def finish(self) -> str:
        """The rest."""
        text, self._held = self._held, ""
        return self._masker.mask(text)


def _forms(secret: str) -> Iterable[str]:
    plain = {secret, *(line.strip() for line in secret.splitlines() if len(line.strip()) >= 8)}
    if password := _password(secret):
        plain |= {password, unquote(password)}
    for text in plain:
        yield text
        yield quote(text, safe="")
        yield quote_plus(text)
        yield json.dumps(text)[1:-1]
        yield base64.b64encode(text.encode()).decode().rstrip("=")
        yield base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _password(secret: str) -> str | None:
    """The password inside a connection URL: tools print it alone, too."""
    try:
        return urlsplit(secret).password if "://" in secret else None
    except ValueError:
        return None
