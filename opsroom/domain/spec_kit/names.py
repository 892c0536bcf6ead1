"""Names and text of a bundle: file names, slugs, and what may stand in text a person typed."""

import re
import unicodedata

from opsroom.domain.errors import InvalidArgument

FILES = ("constitution.md", "prd.md", "plan.md", "tasks.md")

SLUG_MAX = 64
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
SLUG_RULE = f"lower-case letters, digits and single hyphens, at most {SLUG_MAX} characters, such as `billing-export`"

# Text that reorders what a reader sees (https://trojansource.codes); joiners stay, Persian and emoji need them.
_JOINERS = "\u200c\u200d"


class SpecInputError(InvalidArgument, ValueError):
    """What a person gave cannot become a spec bundle; the message says which field, why, and what to do."""


class BundleExistsError(SpecInputError):
    """Writing would replace files that are already there, and nobody asked for that."""


def is_slug(text: str) -> bool:
    return len(text) <= SLUG_MAX and SLUG.fullmatch(text) is not None


def slug_from(name: str) -> str:
    """The slug of a name: accents dropped, everything else that is not a letter or digit becomes a hyphen."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:SLUG_MAX].strip("-")
    if not slug:
        raise SpecInputError(f"no slug can be made from the name {printable(name)}: give one ({SLUG_RULE})")
    return slug


def forbidden_character(text: str) -> tuple[int, str] | None:
    """Position and description of the first control, invisible or text-reordering character, if any."""
    for position, character in enumerate(text):
        if character in "\n\r\t" or (character.isascii() and character.isprintable()):
            continue
        if unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in _JOINERS:
            name = unicodedata.name(character, "CONTROL CHARACTER")
            return position, f"U+{ord(character):04X} {name}"
    return None


def printable(text: str, limit: int = 80) -> str:
    """`text` quoted for a message: one line, nothing invisible, never long."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return ascii(short) if forbidden_character(short) else "'" + " ".join(short.split()) + "'"
