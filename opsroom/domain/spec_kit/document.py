"""Reads the structure of one Markdown file: headings, requirements, tasks, and the text that is not code.

Block structure comes from markdown-it-py. Its inline parser stays off: we need no inline tree, and the block
parser alone is linear on hostile input.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PARSER = MarkdownIt("commonmark").disable("inline")
_CODE = re.compile(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_TASK = re.compile(r"\[(?P<mark>[ xX])\](?:\s+(?P<id>\S+))?(?P<text>.*)", re.DOTALL)
_TASK_WITHOUT_BOX = re.compile(r"(?:\[[^\]\s]?\]\s*)?(?P<id>T\d{3,4})\b(?!\s*(?:->|\u2192))")
_REQUIREMENT = re.compile(
    r"[*_]*(?P<id>N?FR[-_ ]?\d+\w*|N?FR-\w+)[*_]*\s*[:.\u2013\u2014-]?\s*[*_]*(?P<text>.*)", re.DOTALL | re.IGNORECASE
)
_REFERENCE = re.compile(r"\bN?FR-\d+\b")
_DEPENDS = re.compile(r"\bdepends:[ \t]*(?P<ids>(?:T\d+(?:\s*,\s*)?)*)", re.IGNORECASE)


@dataclass(frozen=True)
class Text:
    """A run of source lines outside code blocks; `line` is the first one's number, from 1."""

    line: int
    source: str

    @cached_property
    def prose(self) -> str:
        """The source with code spans blanked out, line breaks kept."""
        return _CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), self.source)


@dataclass(frozen=True)
class Heading:
    level: int
    line: int
    text: str

    @property
    def key(self) -> str:
        """The heading without numbering, emphasis and case, for comparing."""
        plain = re.sub(r"[*_`]", "", self.text)
        return " ".join(re.sub(r"^[\d.)\s]+", "", plain).casefold().split())


@dataclass(frozen=True)
class Requirement:
    id: str
    line: int
    text: str


@dataclass(frozen=True)
class Task:
    id: str
    line: int
    done: bool
    text: str
    requirements: tuple[str, ...]
    depends: tuple[str, ...]
    depends_on_nothing: bool  # `depends:` is written but names no task
    paths: tuple[str, ...]


@dataclass
class Document:
    headings: list[Heading] = field(default_factory=list[Heading])
    texts: list[Text] = field(default_factory=list[Text])
    items: list[Text] = field(default_factory=list[Text])
    content_lines: list[int] = field(default_factory=list[int])  # lines on which something other than a heading starts

    def requirements(self) -> list[Requirement]:
        sources = [(h.line, h.text) for h in self.headings] + [(i.line, i.source) for i in self.items]
        found: list[Requirement] = []
        for line, source in sorted(sources):
            if match := _REQUIREMENT.match(source):
                found.append(Requirement(id=match["id"].rstrip("_"), line=line, text=match["text"].strip(" *_\n")))
        return found

    def tasks(self) -> list[Task]:
        return [_task(item, match) for item in self.items if (match := _TASK.match(item.source))]

    def tasks_without_checkbox(self) -> list[tuple[int, str]]:
        return [
            (item.line, match["id"])
            for item in self.items
            if not _TASK.match(item.source) and (match := _TASK_WITHOUT_BOX.match(item.source))
        ]


def parse(source: str) -> Document:
    document = Document()
    tokens = _PARSER.parse(source)
    items: list[Text | None] = []  # the list items we are inside of
    for index, token in enumerate(tokens):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "list_item_open":
            items.append(None)
        elif token.type == "list_item_close":
            closed = items.pop()
            if closed is not None:
                document.items.append(closed)
        elif token.type == "inline":
            text = Text(line, token.content)
            document.texts.append(text)
            if index and tokens[index - 1].type == "heading_open":
                document.headings.append(Heading(int(tokens[index - 1].tag[1:]), line, token.content))
                continue
            document.content_lines.append(line)
            _add_to_item(items, text)
        elif token.type in ("fence", "code_block", "html_block"):
            if not _is_comment(token):
                document.content_lines.append(line)
            if token.type == "html_block":
                document.texts.append(Text(line, token.content))
    document.items.sort(key=lambda item: item.line)
    return document


def _add_to_item(items: list[Text | None], text: Text) -> None:
    """A nested list belongs to the item above it, unless it is a task or requirement of its own."""
    if not items:
        return
    if items[-1] is None and (len(items) == 1 or items[-2] is None or _starts_something(text.source)):
        items[-1] = text
        return
    owner = next(i for i in reversed(range(len(items))) if items[i] is not None)
    above = items[owner]
    if above is not None:
        items[owner] = Text(above.line, f"{above.source}\n{text.source}")


def _starts_something(source: str) -> bool:
    return any(pattern.match(source) for pattern in (_TASK, _TASK_WITHOUT_BOX, _REQUIREMENT))


def _is_comment(token: Token) -> bool:
    return token.type == "html_block" and token.content.lstrip().startswith("<!--")


def _task(item: Text, match: re.Match[str]) -> Task:
    prose = item.prose
    clauses = list(_DEPENDS.finditer(prose))
    return Task(
        id=match["id"] or "",
        line=item.line,
        done=match["mark"] in "xX",
        text=match["text"].strip(),
        requirements=tuple(dict.fromkeys(_REFERENCE.findall(prose))),
        depends=tuple(dict.fromkeys(id_ for clause in clauses for id_ in re.findall(r"T\d+", clause["ids"]))),
        depends_on_nothing=any(not clause["ids"] for clause in clauses),
        paths=tuple(
            dict.fromkeys(m[2].strip() for m in _CODE.finditer(item.source) if not re.search(r"\s", m[2].strip()))
        ),
    )
