"""A line of plain words, read as runs to launch: "snapshot odoo_prod then upgrade sale in lane B".

Nothing is guessed beyond what the templates say of themselves: a template is known by the words of its title and slug,
a value by its name, its enum, its format or its pattern. What is not understood is kept as such. The result is a
proposal; launching it is a person's decision.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opsroom.domain.errors import FieldError, InvalidArgument
from opsroom.domain.lifecycle import Lane
from opsroom.domain.param_text import read_texts
from opsroom.domain.params import validate
from opsroom.domain.word_values import FILLERS, Clause, stem, stems, take_values

MAX_CHARACTERS: Final = 2000
_TOKEN: Final = re.compile(r"""[\w.-]+=(?:"[^"]*"|'[^']*'|\S+)|"[^"]*"|'[^']*'|[^\s,;]+|[,;]""")
_SPLITTERS: Final = {"then": "then", ";": "then", "and": "and", ",": "and"}


@dataclass(frozen=True)
class Runbook:
    """A template, as far as reading needs it."""

    slug: str
    title: str
    schema: Mapping[str, Any]
    description: str = ""


@dataclass(frozen=True)
class ProposedRun:
    """One run of the proposal. `lane` is None where none was said; `follows` says that it comes after the run before
    it, in its lane. `errors` is empty when it may be launched as it is.
    """

    template: str
    title: str
    params: Mapping[str, Any]
    lane: Lane | None = None
    follows: bool = False
    errors: tuple[FieldError, ...] = ()
    unmatched: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What a line was read as. `unmatched`: words that no run could use, and stand before the first one."""

    runs: tuple[ProposedRun, ...] = ()
    unmatched: tuple[str, ...] = ()


def read_line(text: str, runbooks: Sequence[Runbook]) -> Reading:
    """The runs that `text` proposes, in order. Raises InvalidArgument for a text that is too long."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidArgument(f"The line has more than {MAX_CHARACTERS} characters.", hint="Say it in fewer words.")
    found: list[tuple[str, list[str], list[Runbook]]] = []
    lost: list[str] = []
    for joined, words in _pieces(text):
        meant = candidates(words, runbooks)
        if meant:
            found.append((joined, words, meant))
        elif found:  # "upgrade sale and stock": more words for the run before
            found[-1][1].extend(words)
        else:
            lost.extend(word for word in words if word.lower() not in FILLERS)
    return Reading(tuple(_best(*clause) for clause in found), tuple(lost))


def tokens(text: str) -> list[str]:
    """The words of a line; what stands in quotes is one word."""
    return _TOKEN.findall(text)


def candidates(words: Iterable[str], runbooks: Sequence[Runbook]) -> list[Runbook]:
    """The templates that most of `words` name, by title or slug."""
    heard = [word for word in words if "=" not in word]
    if exact := [book for book in runbooks if book.slug in (word.lower() for word in heard)]:
        return exact
    spoken = {stem(word) for word in heard}
    scores = {book.slug: len(spoken & stems(f"{book.title} {book.slug}")) for book in runbooks}
    most = max(scores.values(), default=0)
    return [book for book in runbooks if most and scores[book.slug] == most]


def _best(joined: str, words: list[str], meant: list[Runbook]) -> ProposedRun:
    """Of templates that are named alike, the one that the other words fit, and then that has less left unsaid."""

    def unfit(pair: tuple[Runbook, ProposedRun]) -> tuple[int, int, int]:
        book, run = pair
        names = stems(f"{book.title} {book.slug}")
        return (
            len(run.errors) + len(run.unmatched),
            -len({stem(w) for w in words} & stems(book.description)),
            len(names),
        )

    return min(((book, _propose(joined, words, book)) for book in meant), key=unfit)[1]


def _pieces(text: str) -> Iterable[tuple[str, list[str]]]:
    """Words between the "then"s and "and"s, each with the joint before it."""
    joined, words = "", list[str]()
    for token in tokens(text):
        joint = _SPLITTERS.get(token.lower())
        if joint is None:
            words.append(token)
            continue
        if words:
            yield joined, words
            joined, words = joint, []
        elif joint == "then":
            joined = "then"
    if words:
        yield joined, words


def _propose(joined: str, words: list[str], book: Runbook) -> ProposedRun:
    clause = Clause(book.schema, stems(f"{book.title} {book.slug}") | {book.slug}, list(words))
    take_values(clause)
    params: dict[str, Any] = dict(clause.flags)
    errors: list[FieldError] = []
    for name, texts in clause.given.items():
        try:
            params[name] = read_texts(name, texts, clause.properties.get(name, {}))
        except InvalidArgument as error:
            errors.append(FieldError(path=f"/{name}", code="type", message=error.message))
    return ProposedRun(
        template=book.slug,
        title=book.title,
        params=params,
        lane=clause.lane,
        follows=joined == "then",
        errors=(*errors, *validate(book.schema, params)),
        unmatched=tuple(clause.unmatched),
    )
