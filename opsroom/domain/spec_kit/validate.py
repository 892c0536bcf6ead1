"""Checks a bundle against the rules. Everything but `validate_bundle` is pure."""

import codecs
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from opsroom.domain.spec_kit.document import Document, Requirement, Task, parse
from opsroom.domain.spec_kit.files import FileRead, PathLookup, path_lookup, read_bundle
from opsroom.domain.spec_kit.names import SLUG_RULE, forbidden_character, is_slug, printable
from opsroom.domain.spec_kit.order import find_cycle
from opsroom.domain.spec_kit.report import Counts, Finding, Report
from opsroom.domain.spec_kit.rules import RULES, SECTIONS

_HTML_TAGS = (
    "a|abbr|b|blockquote|br|code|dd|del|details|div|dl|dt|em|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|pre|q|s|samp|small"
    "|span|strong|sub|summary|sup|table|tbody|td|th|thead|tr|u|ul|var"
)
PLACEHOLDER = re.compile(
    r"\b(?:TODO|TBD|FIXME)\b"
    r"|\[\s*NEEDS[ _]CLARIFICATION[^\]\n]*"
    r"|\[[A-Z]{2,}(?:[ _-][A-Z]{2,})+\](?![(:\[])"
    r"|<(?!(?:" + _HTML_TAGS + r")\b)[A-Za-z][A-Za-z0-9_-]*(?:[ /][A-Za-z0-9_-]+)*>"
    r"|(?i:\blorem\s+ipsum\b)"
)
_REQUIREMENT_ID = re.compile(r"N?FR-\d{3,4}")
_TASK_ID = re.compile(r"T\d{3,4}")


def validate_bundle(repository: Path, slug: str) -> Report:
    """Validates spec/<slug>/ of the repository. Reads files, never writes, never raises for what they contain."""
    if not is_slug(slug):
        finding = _finding("SK001", None, None, f"{printable(slug)} is not a slug: {SLUG_RULE}")
        return _report(slug if len(slug) <= 200 else slug[:199] + "…", [finding], 0, [], [])
    return check(slug, read_bundle(repository, slug), path_lookup(repository))


def check(slug: str, files: Mapping[str, FileRead], look: PathLookup) -> Report:
    """The whole check on files that were read already; `look` answers for the paths named in tasks."""
    findings: list[Finding] = []
    documents: dict[str, Document] = {}
    for name, read in files.items():
        place = f"spec/{slug}/{name}"
        source, problems = _decode(place, read)
        findings += problems
        if source is not None:
            documents[name] = parse(source)
            findings += _check_sections(place, documents[name], SECTIONS[name])
            findings += _check_placeholders(place, documents[name])
    prd, plan_of_work = documents.get("prd.md"), documents.get("tasks.md")
    requirements = prd.requirements() if prd else []
    tasks = plan_of_work.tasks() if plan_of_work else []
    if prd:
        findings += _check_requirements(f"spec/{slug}/prd.md", requirements)
    if plan_of_work:
        place = f"spec/{slug}/tasks.md"
        findings += _check_tasks(place, tasks, plan_of_work.tasks_without_checkbox())
        findings += _check_files(place, tasks, look)
        findings += _check_order(place, tasks)
    if prd and plan_of_work:  # coverage against an unread file would only repeat that it could not be read
        findings += _check_coverage(slug, requirements, tasks)
    order = {f"spec/{slug}/{name}": position for position, name in enumerate(files)}
    findings.sort(key=lambda f: (order.get(f.file or "", -1), f.line or 0, f.rule))
    return _report(slug, findings, len(documents), requirements, tasks)


def _finding(rule: str, file: str | None, line: int | None, message: str) -> Finding:
    return Finding(rule=rule, severity=RULES[rule].severity, file=file, line=line, message=message, fix=RULES[rule].fix)


def _report(
    slug: str, findings: list[Finding], files: int, requirements: list[Requirement], tasks: list[Task]
) -> Report:
    covering: dict[str, list[str]] = {r.id: [] for r in requirements}
    for task in tasks:
        for id_ in task.requirements:
            covering.get(id_, []).append(task.id)
    coverage = {id_: tuple(ids) for id_, ids in covering.items()}
    errors = sum(f.severity == "error" for f in findings)
    return Report(
        slug=slug,
        ok=errors == 0,
        findings=tuple(findings),
        coverage=coverage,
        counts=Counts(
            files=files,
            requirements=len(coverage),
            requirements_covered=sum(bool(ids) for ids in coverage.values()),
            tasks=len(tasks),
            tasks_done=sum(t.done for t in tasks),
            errors=errors,
            warnings=len(findings) - errors,
        ),
    )


def _decode(place: str, read: FileRead) -> tuple[str | None, list[Finding]]:
    if read.content is None:
        rule = read.broken_rule or "SK002"
        words = {"SK002": "is missing", "SK003": "is not a readable regular file of the repository"}
        return None, [_finding(rule, place, None, f"{place} {words.get(rule, 'is larger than 256 KiB')}")]
    content = read.content.removeprefix(codecs.BOM_UTF8)
    try:
        source = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return None, [_finding("SK005", place, line, f"byte 0x{content[error.start]:02x} is not UTF-8")]
    if not source.strip():
        return None, [_finding("SK007", place, None, f"{place} is empty")]
    if bad := forbidden_character(source):
        position, character = bad
        return None, [_finding("SK006", place, source.count("\n", 0, position) + 1, f"{character} in the text")]
    return source, []


def _check_sections(place: str, document: Document, names: tuple[str, ...]) -> Iterator[Finding]:
    headings = document.headings
    if not any(h.level == 1 for h in headings):
        yield _finding("SK010", place, 1, "no `# Title` heading")
    for name in names:
        matching = [i for i, h in enumerate(headings) if h.level > 1 and _meets(h.key, name.casefold())]
        if not matching:
            yield _finding("SK011", place, None, f"section {name!r} is missing")
        elif not any(_has_content(document, i) for i in matching):
            yield _finding("SK012", place, headings[matching[0]].line, f"section {name!r} is empty")


def _meets(heading: str, section: str) -> bool:
    return heading.startswith(section) and not heading[len(section) : len(section) + 1].isalnum()


def _has_content(document: Document, index: int) -> bool:
    heading = document.headings[index]
    # Deeper headings belong to the section; a requirement may be written as one.
    following = (h.line for h in document.headings[index + 1 :] if h.level <= heading.level)
    end = next(following, None)
    return any(heading.line < line and (end is None or line < end) for line in document.content_lines)


def _check_placeholders(place: str, document: Document) -> Iterator[Finding]:
    for text in document.texts:
        for match in PLACEHOLDER.finditer(text.prose):
            line = text.line + text.prose.count("\n", 0, match.start())
            yield _finding("SK020", place, line, f"placeholder {printable(match[0])}")


def _check_requirements(place: str, requirements: list[Requirement]) -> Iterator[Finding]:
    if not requirements:
        yield _finding("SK030", place, None, "no requirement found")
    first: dict[str, int] = {}
    for requirement in requirements:
        id_, line = requirement.id, requirement.line
        if not _REQUIREMENT_ID.fullmatch(id_):
            yield _finding("SK031", place, line, f"requirement id {printable(id_)}")
        elif id_ in first:
            yield _finding("SK032", place, line, f"{id_} is already on line {first[id_]}")
        elif not re.search(r"\w", requirement.text):
            yield _finding("SK033", place, line, f"{id_} has no text")
        first.setdefault(id_, line)


def _check_tasks(place: str, tasks: list[Task], without_checkbox: list[tuple[int, str]]) -> Iterator[Finding]:
    for line, id_ in without_checkbox:
        yield _finding("SK043", place, line, f"{id_} has no valid checkbox")
    if not tasks and not without_checkbox:
        yield _finding("SK040", place, None, "no task found")
    first: dict[str, int] = {}
    for task in tasks:
        if not _TASK_ID.fullmatch(task.id):
            said = printable(task.id) if task.id else "nothing"
            yield _finding("SK041", place, task.line, f"{said} stands where a task id such as T001 should")
            continue
        if task.id in first:
            yield _finding("SK042", place, task.line, f"{task.id} is already on line {first[task.id]}")
        elif not _says_something(task.text):
            yield _finding("SK044", place, task.line, f"{task.id} has no text")
        elif not task.requirements:
            yield _finding("SK052", place, task.line, f"{task.id} names no requirement")
        first.setdefault(task.id, task.line)


def _says_something(text: str) -> bool:
    bare = re.sub(r"N?FR-\d+|\bT\d+|\bdepends:|\[[A-Z0-9]+\]", "", text)
    return re.search(r"\w", bare) is not None


def _check_coverage(slug: str, requirements: list[Requirement], tasks: list[Task]) -> Iterator[Finding]:
    known = {r.id for r in requirements}
    covered = {id_ for task in tasks for id_ in task.requirements}
    for requirement in requirements:
        if requirement.id not in covered and _REQUIREMENT_ID.fullmatch(requirement.id):
            yield _finding("SK050", f"spec/{slug}/prd.md", requirement.line, f"no task names {requirement.id}")
    for task in tasks:
        for id_ in task.requirements:
            if id_ not in known:
                message = f"{task.id} names {id_}, which prd.md does not state"
                yield _finding("SK051", f"spec/{slug}/tasks.md", task.line, message)


def _check_files(place: str, tasks: list[Task], look: PathLookup) -> Iterator[Finding]:
    for task in (t for t in tasks if t.done):
        if not task.paths:
            yield _finding("SK060", place, task.line, f"{task.id} is done but names no file in backticks")
        for path in task.paths:
            match look(path):
                case "missing":
                    message = f"{task.id} is done, but {printable(path)} is not in the repository"
                    yield _finding("SK061", place, task.line, message)
                case "outside":
                    message = f"{task.id} names {printable(path)}, outside the repository"
                    yield _finding("SK062", place, task.line, message)
                case "exists":
                    pass


def _check_order(place: str, tasks: list[Task]) -> Iterator[Finding]:
    by_id = {task.id: task for task in tasks}
    for task in tasks:
        if task.depends_on_nothing:
            yield _finding("SK070", place, task.line, f"{task.id}: no task id follows `depends:`")
        for id_ in task.depends:
            if id_ not in by_id:
                yield _finding("SK070", place, task.line, f"{task.id} depends on {id_}, which does not exist")
            elif task.done and not by_id[id_].done:
                yield _finding("SK072", place, task.line, f"{task.id} is done, but {id_} before it is not")
    if cycle := find_cycle({task.id: task.depends for task in tasks}):
        yield _finding("SK071", place, by_id[cycle[0]].line, f"cycle: {' → '.join(cycle)}")
