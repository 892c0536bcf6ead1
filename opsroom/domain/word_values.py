"""Which words of a line mean which params: by name first, then by what the schema says a value looks like."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from opsroom.domain.lifecycle import LANES, Lane
from opsroom.domain.param_text import types_of
from opsroom.domain.params import FORMATS, validate

_FILLERS: Final = (
    "a an the in on of to for with at by from into onto and it its this that now my our please run launch start do"
)
FILLERS: Final = frozenset(_FILLERS.split())
"""Words that say nothing by themselves."""

_SHAPES: Final = {
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*://\S+",
    "email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "date": r"\d{4}-\d\d-\d\d",
    "date-time": r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d\S*",
    "secret-ref": r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)+|[A-Z][A-Z0-9]+",
}


@dataclass
class Clause:
    """The words for one run of a template with `schema`, while they are being read. `named`: the stems of the words
    that name the template; `given` and `flags`: what was understood.
    """

    schema: Mapping[str, Any]
    named: set[str]
    words: list[str]
    lane: Lane | None = None
    given: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    flags: dict[str, bool] = field(default_factory=dict[str, bool])
    unmatched: list[str] = field(default_factory=list[str])

    @property
    def properties(self) -> Mapping[str, Any]:
        """The schemas of the params."""
        return self.schema.get("properties", {})


def take_values(clause: Clause) -> None:
    """Read all words of `clause`."""
    _take_named(clause)
    _take_shaped(clause)


def stems(text: str) -> set[str]:
    """The words of a text, to be compared."""
    return {stem(word) for word in re.findall(r"\w+", text.lower()) if word not in FILLERS}


def stem(word: str) -> str:
    """`snapshots`, `checking`, `upgraded` as the word itself; crude on purpose, as both sides are cut alike."""
    word = word.lower().strip("\"'.!?:")
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending).removesuffix("e")
    return word.removesuffix("e") if len(word) > 4 else word


def _take_named(clause: Clause) -> None:
    """Take what is said with its name: `name=value`, "lane B", "seconds 5", "no dry run", "dry run"."""
    words, rest, properties = clause.words, list[str](), clause.properties
    spoken = _spoken_names(properties)
    at = 0
    while at < len(words):
        word = words[at]
        following = words[at + 1] if at + 1 < len(words) else ""
        name, separator, value = word.partition("=")
        if separator and name:
            clause.given.setdefault(_called(name, properties), []).append(_unquoted(value))
            at += 1
        elif word.lower() == "lane" and following.upper() in LANES:
            clause.lane = cast(Lane, following.upper())
            at += 2
        elif (found := _longest(words, at, spoken)) and not _names_the_template(clause, at, found[1]):
            named, length = found
            at = _take_after(clause, named, properties[named], at + length, negated=_negated(rest))
        else:
            rest.append(word)
            at += 1
    clause.words = rest


def _names_the_template(clause: Clause, at: int, length: int) -> bool:
    """Whether the words, which are a param's name too, belong to the template's: "repository checks"."""
    own = [stem(word) in clause.named for word in clause.words[at : at + length + 1]]
    return len(own) > length and all(own)


def _negated(before: list[str]) -> bool:
    """Whether "no" or "without" stands just before; the word has done its work then."""
    if before and before[-1].lower() in ("no", "not", "without"):
        before.pop()
        return True
    return False


def _take_after(clause: Clause, name: str, schema: Mapping[str, Any], at: int, *, negated: bool) -> int:
    if "boolean" in types_of(schema):
        clause.flags[name] = not negated
        return at
    if at < len(clause.words):
        value = clause.words[at]
        if value.lower() in ("is", "as", "=", ":") and at + 1 < len(clause.words):
            at, value = at + 1, clause.words[at + 1]
        clause.given.setdefault(name, []).append(_fit(_unquoted(value), schema))
        return at + 1
    return at


def _spoken_names(properties: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    """How each param may be called: by its name or its title, as words."""
    spoken: dict[tuple[str, ...], str] = {}
    for name, schema in properties.items():
        for label in (schema.get("title") or "", name):
            if parts := tuple(re.findall(r"\w+", str(label).lower().replace("_", " "))):
                spoken[parts] = name
    return spoken


def _longest(words: Sequence[str], at: int, spoken: Mapping[tuple[str, ...], str]) -> tuple[str, int] | None:
    for length in range(min(5, len(words) - at), 0, -1):
        heard = tuple(word.lower().rstrip(":") for word in words[at : at + length])
        if heard in spoken:
            return spoken[heard], length
    return None


def _called(name: str, properties: Mapping[str, Any]) -> str:
    return next((known for known in properties if known.lower() == name.lower().replace("-", "_")), name)


def _take_shaped(clause: Clause) -> None:
    """Give the words that are left to the params that they can be meant for."""
    properties = clause.properties
    for word in clause.words:
        value = _unquoted(word)
        target = _target(value, clause)
        names = value == word and bool({stem(value), value.lower()} & clause.named)
        if names and not (target and "enum" in properties[target]):
            continue  # it is the template's name
        if target:
            clause.given.setdefault(target, []).append(_fit(value, properties[target]))
        elif value.lower() not in FILLERS:
            clause.unmatched.append(value)


def _target(value: str, clause: Clause) -> str | None:
    """The param that takes `value`: by its enum first, then its format, its type, its pattern. What is required comes
    before what is not.
    """
    if value.lower() in FILLERS:
        return None
    properties, required = clause.properties, clause.schema.get("required", [])
    order = sorted(properties, key=lambda name: name not in required)
    open_ = [name for name in order if _is_open(name, clause, properties[name])]
    for fits in (_is_option, _has_shape, _is_number, _fits_pattern):
        for name in open_:
            schema = properties[name]
            if fits(value, schema.get("items", {}) if "array" in types_of(schema) else schema):
                return name
    free = [name for name in open_ if name in required and _is_free_text(properties[name])]
    return free[0] if free else None


def _is_open(name: str, clause: Clause, schema: Mapping[str, Any]) -> bool:
    return name not in clause.flags and (name not in clause.given or "array" in types_of(schema))


def _is_option(value: str, schema: Mapping[str, Any]) -> bool:
    return any(str(option).lower() == value.lower() for option in schema.get("enum", ()))


def _has_shape(value: str, schema: Mapping[str, Any]) -> bool:
    shape = _SHAPES.get(schema.get("format", ""))
    return shape is not None and re.fullmatch(shape, value) is not None and _keeps_pattern(_fit(value, schema), schema)


def _is_number(value: str, schema: Mapping[str, Any]) -> bool:
    kinds = types_of(schema)
    return ("integer" in kinds and re.fullmatch(r"[+-]?\d+", value) is not None) or (
        "number" in kinds and re.fullmatch(r"[+-]?\d+(\.\d+)?", value) is not None
    )


def _fits_pattern(value: str, schema: Mapping[str, Any]) -> bool:
    known = "pattern" in schema and "enum" not in schema and schema.get("format") not in FORMATS
    return known and "default" not in schema and _keeps_pattern(value, schema)


def _keeps_pattern(value: str, schema: Mapping[str, Any]) -> bool:
    return not validate({"properties": {"value": {**schema, "default": None}}}, {"value": value})


def _is_free_text(schema: Mapping[str, Any]) -> bool:
    return types_of(schema) == {"string"} and not {"enum", "format", "pattern", "default"} & set(schema)


def _fit(value: str, schema: Mapping[str, Any]) -> str:
    """`value` as the schema spells it: an enum's own case, a secret's capitals."""
    inner: Mapping[str, Any] = schema.get("items", {}) if "array" in types_of(schema) else schema
    options = [str(option) for option in inner.get("enum", ()) if str(option).lower() == value.lower()]
    if options:
        return options[0]
    return value.upper() if inner.get("format") == "secret-ref" else value


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] in "\"'" and word[-1] == word[0] else word
