import os
import time
from pathlib import Path

import pytest

from opsroom.domain.spec_kit import RULES, Report, validate_bundle
from tests.unit.spec_kit.bundles import CONSTITUTION, PLAN, PRD, SLUG, TASKS, write


def rules_of(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def test_the_valid_bundle_passes(tmp_path: Path) -> None:
    report = validate_bundle(write(tmp_path), SLUG)
    assert (report.ok, report.findings) == (True, ())
    assert report.counts.model_dump() == {
        "files": 4, "requirements": 3, "requirements_covered": 3,
        "tasks": 3, "tasks_done": 1, "errors": 0, "warnings": 0,
    }  # fmt: skip
    assert report.coverage == {"FR-001": ("T001",), "FR-002": ("T002",), "NFR-001": ("T003",)}


def test_line_ends_and_a_byte_order_mark_of_windows_pass(tmp_path: Path) -> None:
    windows = ("\ufeff" + PRD).replace("\n", "\r\n").encode()
    assert validate_bundle(write(tmp_path, prd=windows), SLUG).ok


def swap(text: str, old: str, new: str) -> str:
    assert old in text, f"{old!r} is not in the valid bundle, so this case breaks nothing"
    return text.replace(old, new, 1)


# name -> (what is changed, rule, file, line)
BROKEN: dict[str, tuple[dict[str, str | bytes | None], str, str, int | None]] = {
    "file missing": ({"plan": None}, "SK002", "plan.md", None),
    "file too large": ({"plan": PLAN + "x" * 300_000}, "SK004", "plan.md", None),
    "latin-1 byte": ({"plan": PLAN.encode() + b"caf\xe9\n"}, "SK005", "plan.md", PLAN.count("\n") + 1),
    "NUL": ({"plan": swap(PLAN, "One job.", "One\0job.")}, "SK006", "plan.md", 5),
    "escape sequence": ({"plan": swap(PLAN, "One job.", "\x1b[2J")}, "SK006", "plan.md", 5),
    "right-to-left override": ({"prd": swap(PRD, "Nightly", "\u202enightly")}, "SK006", "prd.md", 5),
    "zero-width space": ({"prd": swap(PRD, "Nightly", "Night\u200bly")}, "SK006", "prd.md", 5),
    "empty file": ({"constitution": " \n\n"}, "SK007", "constitution.md", None),
    "no title": ({"plan": swap(PLAN, "# Plan: Export\n", "")}, "SK010", "plan.md", 1),
    "constitution without security": (
        {"constitution": swap(CONSTITUTION, "## 4. Security + keys policy", "## 4. Keys")},
        "SK011", "constitution.md", None,
    ),
    "prd without users": ({"prd": swap(PRD, "## Users", "## People")}, "SK011", "prd.md", None),
    "plan with a section that only begins alike": (
        {"plan": swap(PLAN, "## Risks", "## Riskless")}, "SK011", "plan.md", None,
    ),
    "tasks without phases": ({"tasks": swap(TASKS, "## Phase 1: Build", "## Build")}, "SK011", "tasks.md", None),
    "empty section": ({"plan": swap(PLAN, "A worker and a mailer.\n", "")}, "SK012", "plan.md", 7),
    "section of comments only": (
        {"plan": swap(PLAN, "A worker and a mailer.", "<!-- later -->")}, "SK012", "plan.md", 7,
    ),
    "TODO": ({"plan": swap(PLAN, "One job.", "One job.\nTODO: more")}, "SK020", "plan.md", 6),
    "TBD in a list": ({"plan": swap(PLAN, "One job.", "- a\n- TBD")}, "SK020", "plan.md", 6),
    "FIXME in a comment": ({"plan": swap(PLAN, "One job.", "One job.\n\n<!-- FIXME -->")}, "SK020", "plan.md", 7),
    "clarification needed": (
        {"prd": swap(PRD, "Accountants.", "[NEEDS CLARIFICATION: who?]")}, "SK020", "prd.md", 9,
    ),
    "angle brackets": ({"prd": swap(PRD, "Accountants.", "The <user name> reads.")}, "SK020", "prd.md", 9),
    "template words": ({"plan": swap(PLAN, "# Plan: Export", "# Plan: [FEATURE NAME]")}, "SK020", "plan.md", 1),
    "lorem ipsum": ({"plan": swap(PLAN, "One job.", "Lorem ipsum dolor")}, "SK020", "plan.md", 5),
    "placeholder beside code": ({"plan": swap(PLAN, "One job.", "`one` TODO `job`")}, "SK020", "plan.md", 5),
    "requirement id too short": (
        {"prd": swap(PRD, "of the day.", "of the day.\n- **FR-3**: Rest.")}, "SK031", "prd.md", 15,
    ),
    "requirement id without number": (
        {"prd": swap(PRD, "of the day.", "of the day.\n- **FR-ABC**: Rest.")}, "SK031", "prd.md", 15,
    ),
    "requirement id twice": (
        {"prd": swap(PRD, "of the day.", "of the day.\n- **FR-001**: Again.")}, "SK032", "prd.md", 15,
    ),
    "requirement id twice, once as a heading": (
        {"prd": swap(PRD, "## Non-functional", "### FR-002 Mail\n\nAgain.\n\n## Non-functional")},
        "SK032", "prd.md", 17,
    ),
    "requirement without text": ({"prd": swap(PRD, "The system mails a report.", "")}, "SK033", "prd.md", 15),
    "task id malformed": ({"tasks": TASKS + "- [ ] 4 Sweep (FR-001)\n"}, "SK041", "tasks.md", 13),
    "task id missing": ({"tasks": TASKS + "- [ ] Sweep (FR-001)\n"}, "SK041", "tasks.md", 13),
    "task with nothing": ({"tasks": TASKS + "- [ ]\n"}, "SK041", "tasks.md", 13),
    "task id twice": ({"tasks": TASKS + "- [ ] T003 Sweep (FR-001)\n"}, "SK042", "tasks.md", 13),
    "strange checkbox": ({"tasks": TASKS + "- [y] T004 Sweep (FR-001)\n"}, "SK043", "tasks.md", 13),
    "no checkbox": ({"tasks": TASKS + "- T004 Sweep (FR-001)\n"}, "SK043", "tasks.md", 13),
    "task without text": ({"tasks": TASKS + "- [ ] T004 [P] (FR-001) depends: T001\n"}, "SK044", "tasks.md", 13),
    "requirement not covered": (
        {"prd": swap(PRD, "of the day.", "of the day.\n- **FR-003**: It sorts.")}, "SK050", "prd.md", 15,
    ),
    "covered only in code": ({"tasks": swap(TASKS, "(NFR-001)", "(FR-001, `NFR-001`)")}, "SK050", "prd.md", 19),
    "unknown requirement": ({"tasks": swap(TASKS, "(FR-002)", "(FR-002, FR-009)")}, "SK051", "tasks.md", 11),
    "task for nothing": ({"tasks": TASKS + "- [ ] T004 Have fun\n"}, "SK052", "tasks.md", 13),
    "done without a file": (
        {"tasks": swap(TASKS, "`src/export.py` and `src/`", "the source")}, "SK060", "tasks.md", 9,
    ),
    "done, but the file is missing": (
        {"tasks": swap(TASKS, "`src/export.py`", "`src/exprt.py`")}, "SK061", "tasks.md", 9,
    ),
    "done, file named in a nested item": (
        {"tasks": TASKS + "- [x] T004 Sort (FR-001)\n  - `src/sort.py`\n"}, "SK061", "tasks.md", 13,
    ),
    "path that climbs out": (
        {"tasks": swap(TASKS, "`src/export.py`", "`../../etc/passwd`")}, "SK062", "tasks.md", 9,
    ),
    "path that climbs out and back": (
        {"tasks": swap(TASKS, "`src/export.py`", "`src/../src/export.py`")}, "SK062", "tasks.md", 9,
    ),
    "absolute path": ({"tasks": swap(TASKS, "`src/export.py`", "`/etc/passwd`")}, "SK062", "tasks.md", 9),
    "path with 5,000 characters": (
        {"tasks": swap(TASKS, "`src/export.py`", f"`{'a' * 5000}`")}, "SK061", "tasks.md", 9,
    ),
    "depends on an unknown task": (
        {"tasks": swap(TASKS, "depends: T001, T002", "depends: T001, T009")}, "SK070", "tasks.md", 12,
    ),
    "depends on words": ({"tasks": swap(TASKS, "depends: T001, T002", "depends: all")}, "SK070", "tasks.md", 12),
    "depends on itself": ({"tasks": swap(TASKS, "depends: T001, T002", "depends: T003")}, "SK071", "tasks.md", 12),
    "circle of three": (
        {"tasks": swap(TASKS, "(FR-002) depends: T001", "(FR-002) depends: T003")}, "SK071", "tasks.md", 11,
    ),
    "done before what it needs": (
        {"tasks": swap(TASKS, "Write the export", "Write the export depends: T004")
         + "- [ ] T004 Design (FR-001)\n"},
        "SK072", "tasks.md", 9,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_bundle_gives_exactly_its_rule(tmp_path: Path, case: str) -> None:
    changed, rule, file, line = BROKEN[case]
    report = validate_bundle(write(tmp_path, **changed), SLUG)
    assert [(f.rule, f.file, f.line) for f in report.findings] == [(rule, f"spec/{SLUG}/{file}", line)]
    finding = report.findings[0]
    assert finding.message and finding.fix == RULES[rule].fix and finding.severity == RULES[rule].severity
    assert report.ok is (finding.severity == "warning")


def test_no_requirements_at_all(tmp_path: Path) -> None:
    prd = "".join(line for line in PRD.splitlines(True) if "FR-00" not in line and "of the day" not in line)
    prd = prd.replace("requirements\n", "requirements\n\nNone yet.\n")
    tasks = TASKS.replace(" (FR-001)", "").replace(" (FR-002)", "").replace(" (NFR-001)", "")
    report = validate_bundle(write(tmp_path, prd=prd, tasks=tasks), SLUG)
    assert rules_of(report) == ["SK030", "SK052", "SK052", "SK052"]


def test_no_tasks_at_all(tmp_path: Path) -> None:
    tasks = TASKS[: TASKS.index("- [x]")] + "Nothing planned.\n"
    report = validate_bundle(write(tmp_path, tasks=tasks), SLUG)
    assert rules_of(report) == ["SK050", "SK050", "SK050", "SK040"]


def test_the_table_and_the_tests_around_it_break_every_rule() -> None:
    elsewhere = {"SK001", "SK003", "SK030", "SK040"}
    assert {rule for _, rule, _, _ in BROKEN.values()} | elsewhere == set(RULES)


def test_a_cycle_is_printed_in_its_order(tmp_path: Path) -> None:
    tasks = TASKS.replace("(FR-002) depends: T001", "(FR-002) depends: T003")
    [finding] = validate_bundle(write(tmp_path, tasks=tasks), SLUG).findings
    assert finding.message == "cycle: T002 → T003 → T002"


def test_every_finding_of_a_bundle_is_reported_in_the_order_of_the_files(tmp_path: Path) -> None:
    report = validate_bundle(write(tmp_path, constitution=None, prd=PRD + "TBD\n", tasks=TASKS + "- [ ] T9 x\n"), SLUG)
    assert rules_of(report) == ["SK002", "SK020", "SK041"]


@pytest.mark.parametrize("slug", ["", "Export", "a b", "../etc", "a/b", "a--b", "-a", "ä", "a" * 65, "a\0b", "a\n"])
def test_a_slug_of_the_wrong_form_is_refused_before_the_disk_is_touched(tmp_path: Path, slug: str) -> None:
    assert rules_of(validate_bundle(tmp_path / "absent", slug)) == ["SK001"]


def test_a_link_out_of_the_repository_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text(PLAN)
    repository = write(tmp_path / "repository", plan=None)
    (repository / "spec" / SLUG / "plan.md").symlink_to(tmp_path / "secret.md")
    assert rules_of(validate_bundle(repository, SLUG)) == ["SK003"]


def test_a_linked_file_of_a_done_task_must_lie_inside(tmp_path: Path) -> None:
    repository = write(tmp_path / "repository", tasks=TASKS.replace("src/export.py", "src/link"))
    (repository / "src" / "link").symlink_to("/etc/passwd")
    assert rules_of(validate_bundle(repository, SLUG)) == ["SK062"]


@pytest.mark.parametrize("kind", ["directory", "pipe", "dangling link", "circle"])
def test_what_is_not_a_regular_file_is_never_opened(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, plan=None) / "spec" / SLUG / "plan.md"
    match kind:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)  # opening it for reading would wait for ever
        case "dangling link":
            path.symlink_to("nowhere.md")
        case _:
            path.symlink_to(path)
    assert rules_of(validate_bundle(tmp_path, SLUG)) == ["SK003"]


HOSTILE = [
    "> ",
    "- ",
    "``````` ",
    "[",
    "<",
    "<a ",
    "*",
    "- [x] T001 `a` FR-001 depends: T001\n",
    "- FR-001 \n",
    "<!-- ",
    "1. ",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_of_full_size_is_checked_quickly(tmp_path: Path, piece: str) -> None:
    hostile = (piece * (256 * 1024 // len(piece) + 1))[: 256 * 1024]
    repository = write(tmp_path, prd=PRD[:20] + hostile[20:], tasks=hostile)
    started = time.process_time()
    assert not validate_bundle(repository, SLUG).ok
    assert time.process_time() - started < 20


def test_thousands_of_requirements_and_tasks_are_checked_quickly(tmp_path: Path) -> None:
    prd = PRD + "".join(f"- FR-{n:04}: x\n" for n in range(1000, 9999))
    tasks = TASKS + "".join(f"- [ ] T{n:04} x FR-{n:04} depends: T{n + 1:04}\n" for n in range(1000, 5999))
    started = time.process_time()
    report = validate_bundle(write(tmp_path, prd=prd, tasks=tasks), SLUG)
    assert time.process_time() - started < 20
    assert set(rules_of(report)) == {"SK050", "SK070"} and report.counts.requirements == 8999 + 3


def test_the_report_as_markdown_quotes_without_markup(tmp_path: Path) -> None:
    tasks = TASKS + "- [ ] <img/src=x|onerror=alert(1)> x (FR-001)\n"
    report = validate_bundle(write(tmp_path, tasks=tasks), SLUG)
    text = report.to_markdown()
    assert "**FAILED**: 1 errors" in text and "SK041" in text and f"spec/{SLUG}/tasks.md:13" in text
    assert "<img" not in text and "\\|onerror" in text
    assert "| FR-001 | T001," in text


def test_the_report_survives_its_json(tmp_path: Path) -> None:
    report = validate_bundle(write(tmp_path, plan=None), SLUG)
    assert Report.model_validate_json(report.model_dump_json()) == report
