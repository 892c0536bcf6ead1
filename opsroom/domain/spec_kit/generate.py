"""Writes a new bundle from a name, a description and goals: the same input gives the same bytes."""

import re
import unicodedata
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from opsroom.domain.spec_kit.names import (
    FILES,
    SLUG_RULE,
    SpecInputError,
    forbidden_character,
    is_slug,
    printable,
    slug_from,
)
from opsroom.domain.spec_kit.validate import PLACEHOLDER

NAME_MAX, DESCRIPTION_MAX, GOAL_MAX, GOALS_MAX = 120, 4000, 300, 50  # characters, and number of goals

_EACH_GOAL = "@each-goal "


class Bundle(dict[str, str]):
    """File name -> text, of the four files, and the slug they belong under."""

    def __init__(self, slug: str, contents: dict[str, str]) -> None:
        super().__init__(contents)
        self.slug = slug


def generate_bundle(name: str, description: str, goals: Sequence[str], slug: str | None = None) -> Bundle:
    """A bundle that passes validation with no finding. Text comes out as plain text: no markup in it stays alive.

    Raises SpecInputError, naming the field, for text that cannot be used: empty, too long, with control or
    text-reordering characters, or a placeholder such as TBD, which a finished spec may not contain.
    """
    if isinstance(goals, str):
        raise SpecInputError("goals is a list of sentences, not one text: give each goal as an item")
    if not 1 <= len(goals) <= GOALS_MAX:
        raise SpecInputError(f"{len(goals)} goals were given: give between 1 and {GOALS_MAX}")
    plain_name = _clean("name", name, NAME_MAX)
    values = {
        "name": _escape("name", plain_name),
        "description": _escape("description", _clean("description", description, DESCRIPTION_MAX)),
    }
    plain_goals = [_clean(f"goal {n}", goal, GOAL_MAX) for n, goal in enumerate(goals, start=1)]
    if len(set(map(str.casefold, plain_goals))) < len(plain_goals):
        raise SpecInputError("two goals are the same: each goal becomes a requirement of its own")
    rows = [
        {"goal": _escape(f"goal {n}", goal), "fr": f"FR-{n:03}", "build": f"T{100 + n}", "check": f"T{200 + n}"}
        for n, goal in enumerate(plain_goals, start=1)
    ]
    values["slug"] = slug if slug is not None else slug_from(plain_name)
    if not is_slug(values["slug"]):
        raise SpecInputError(f"the slug {printable(values['slug'])} has the wrong form: {SLUG_RULE}")
    values["all_fr"] = ", ".join(row["fr"] for row in rows)
    values["all_check"] = ", ".join(row["check"] for row in rows)
    return Bundle(values["slug"], {file: _render(file, values, rows) for file in FILES})


def _render(file: str, values: dict[str, str], rows: list[dict[str, str]]) -> str:
    """Fills templates/<file>; a line that starts with @each-goal is written once for each goal."""
    source = files(__package__ or "").joinpath("templates", file).read_text(encoding="utf-8")
    lines: list[str] = []
    for line in source.splitlines():
        if line.startswith(_EACH_GOAL):
            lines += [Template(line.removeprefix(_EACH_GOAL)).substitute(values | row) for row in rows]
        else:
            lines.append(Template(line).substitute(values))
    return "\n".join(lines) + "\n"


def _clean(field: str, text: str, limit: int) -> str:
    """One line of visible text in Unicode's composed form."""
    if len(text) > limit:
        raise SpecInputError(f"the {field} is {len(text)} characters long: at most {limit} fit")
    if bad := forbidden_character(text):
        position, character = bad
        raise SpecInputError(f"the {field} has {character} at character {position + 1}: remove it")
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    if not re.search(r"\w", plain):
        raise SpecInputError(f"the {field} is empty: say it in words")
    return plain


def _escape(field: str, text: str) -> str:
    """Makes Markdown, HTML and the words that the validator reads (ids, `depends:`) plain text."""
    text = re.sub(r"([\\*_\[\]|~])", r"\\\1", text)
    text = re.sub(r"^([-+=])|(?<!\S)(#)", r"\\\1\2", text)
    text = re.sub(r"^(\d+)([.)])", r"\1\\\2", text)
    text = re.sub(r"(?i)\b(N?FR)-(?=\w)", r"\1\\-", text)
    text = re.sub(r"(?i)\b(depends):", r"\1\\:", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "&#96;")
    if match := PLACEHOLDER.search(text):
        raise SpecInputError(f"the {field} has the placeholder {printable(match[0])}: write what is meant")
    return text
