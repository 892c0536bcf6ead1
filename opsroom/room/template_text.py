"""A template as text: YAML for the editor, and back, with everything that is wrong at its line and column."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml

from opsroom.components.library_views import Problem
from opsroom.domain.errors import FieldError, InvalidTemplate
from opsroom.domain.template import Template, parse

MOST_CHARACTERS: Final = 200_000
LONG: Final = 90
"""A text with more characters is folded over several lines."""

MOST_VALUES: Final = 20_000
"""How many values a text may stand for: aliases of aliases would else grow without end."""

_KINDS = ("map", "seq", "str", "int", "float", "bool", "null")
JSON_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)
MERGE: Final = "tag:yaml.org,2002:merge"


BEGINNING: Final = """\
slug: my-runbook
title: My runbook
description: Says what it does, and what it needs.
risk: info
params:
  type: object
  required: [name]
  properties:
    name: {type: string, title: Name, maxLength: 40}
steps:
  - id: greet
    title: Greet
    kind: shell
    timeout_seconds: 60
    with:
      argv: [echo, "{{ params.name }}"]
"""
"""What a new template begins as."""


@dataclass(frozen=True)
class Reading:
    """What a text says: the template if it is one, the plain value if it is at least YAML, and what is wrong."""

    template: Template | None
    value: Any
    problems: tuple[Problem, ...]


def as_yaml(spec: Any) -> str:
    """A definition as YAML: keys in their order, longer texts as blocks."""
    return yaml.dump(spec, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def read_text(text: str) -> Reading:
    """Read a template's text. Never raises for what it contains."""
    if len(text) > MOST_CHARACTERS:
        return _broken(f"The text has {len(text):,} characters; a template has at most {MOST_CHARACTERS:,}.")
    try:
        return _read(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return _broken(f"Not YAML: {error.problem or error.context or 'cannot be read'}.", line, column)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        return _broken(f"Not YAML: {error}.")
    except RecursionError:
        return _broken("The text is nested too deeply.")


def _read(text: str) -> Reading:
    loader = yaml.SafeLoader(text)
    root = loader.get_single_node()
    if root is None:
        return _broken("The text is empty. A template has a slug, a title and steps.")
    if found := tuple(_strange(root)):
        return Reading(None, None, found)
    value = loader.construct_document(root)
    try:
        return Reading(parse(value), value, ())
    except InvalidTemplate as error:
        return Reading(None, value, tuple(located(root, error.fields)) or _broken(error.message).problems)


def locate(text: str, errors: tuple[FieldError, ...]) -> tuple[Problem, ...]:
    """Errors that the control plane found, at their places in a text that was read before."""
    return tuple(located(yaml.SafeLoader(text).get_single_node(), errors))


def located(root: yaml.Node | None, errors: tuple[FieldError, ...]) -> Iterator[Problem]:
    """Each error at the key or value that its pointer names; where that is missing, at what should hold it."""
    deeper = [error.path + "/" for error in errors]
    for error in errors:
        if error.code == "too_short" and any(path.startswith(error.path + "/") for path in deeper):
            continue  # pydantic counts only the items that are good
        node, whole = _find(root, error.path.split("/")[1:])
        start, end = (node.start_mark, node.end_mark) if node else (None, None)
        first = start.line + 1 if start else 1
        last = end.line + 1 if end and whole and end.line == (start.line if start else 0) else first
        yield Problem(
            line=first,
            column=start.column + 1 if start else 1,
            end_line=last,
            end_column=end.column + 1 if end and whole and last == end.line + 1 else 0,
            message=_sentence(error),
            path=error.path,
        )


def _find(node: yaml.Node | None, path: list[str]) -> tuple[yaml.Node | None, bool]:
    """The node that a pointer names, and whether it was found to its end. A key stands for its whole entry."""
    shown = node
    for name in path:
        if isinstance(node, yaml.MappingNode):
            entries = cast(list[tuple[yaml.Node, yaml.Node]], node.value)
            wanted = name.replace("~1", "/").replace("~0", "~")
            entry = next((entry for entry in entries if str(entry[0].value) == wanted), None)
            if entry is None:
                return shown, False
            shown, node = entry
        elif isinstance(node, yaml.SequenceNode) and name.isdecimal() and int(name) < len(node.value):
            shown = node = cast(list[yaml.Node], node.value)[int(name)]
        else:
            return shown, False
    return (node if isinstance(node, yaml.ScalarNode) else shown), True


def _sentence(error: FieldError) -> str:
    name = error.path.rsplit("/", 1)[-1]
    match error.code:
        case "missing" | "required":
            return f"`{name}` is missing here."
        case "extra_forbidden" | "additional":
            return f"`{name}` is not a key that may stand here."
        case _:
            text = error.message.replace("Tuple", "List")
            return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _strange(root: yaml.Node) -> Iterator[Problem]:
    """What YAML can say and a template can not: dates, keys that are no text or come twice, aliases without end."""
    count, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        count += 1
        if count > MOST_VALUES:
            yield _at(root, f"The text stands for more than {MOST_VALUES:,} values.")
            return
        if node.tag not in JSON_TAGS and node.tag != MERGE:
            kind = node.tag.rsplit(":", 1)[-1]
            yield _at(node, f"This reads as a {kind}, which JSON does not have. Put it in quotes.")
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in cast(list[tuple[yaml.Node, yaml.Node]], node.value):
                if key.tag not in ("tag:yaml.org,2002:str", MERGE):
                    yield _at(key, f"A key must be text: put {key.value} in quotes.")
                elif str(key.value) in seen:
                    yield _at(key, f"`{key.value}` stands here twice.")
                seen.add(str(key.value))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(cast(list[yaml.Node], node.value))


def _at(node: yaml.Node, message: str) -> Problem:
    start, end = node.start_mark, node.end_mark
    same = end.line == start.line
    return Problem(start.line + 1, start.column + 1, start.line + 1, end.column + 1 if same else 0, message)


def _broken(message: str, line: int = 1, column: int = 1) -> Reading:
    return Reading(None, None, (Problem(line, column, line, 0, message),))


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    lines = text.split("\n")
    plain = all(line == line.rstrip() for line in lines) and not text.startswith((" ", "\n"))
    style = "|" if plain and len(lines) > 1 else ">" if plain and len(text) > LONG and "  " not in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
