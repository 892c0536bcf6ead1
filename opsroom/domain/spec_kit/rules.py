"""Every rule of the validator, by id. docs/spec-kit.md lists the same ids; a test compares them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["error", "warning"]


class Rule(BaseModel):
    """One thing a bundle must hold; `fix` says what to do when it does not."""

    model_config = ConfigDict(frozen=True)

    id: str
    severity: Severity
    title: str
    fix: str


def _rules(*rows: tuple[str, Severity, str, str]) -> dict[str, Rule]:
    return {id_: Rule(id=id_, severity=severity, title=title, fix=fix) for id_, severity, title, fix in rows}


RULES = _rules(
    ("SK001", "error", "slug has the right form", "use lower-case letters, digits and single hyphens, at most 64"),
    ("SK002", "error", "all four files exist", "add the file; `opsroom spec generate` writes a complete bundle"),
    ("SK003", "error", "files are regular files inside the repository", "replace it by a regular file"),
    ("SK004", "error", "files are at most 256 KiB", "split the spec into several slugs"),
    ("SK005", "error", "files are UTF-8", "save the file as UTF-8"),
    ("SK006", "error", "no control, invisible or text-reordering characters", "delete the character"),
    ("SK007", "error", "files are not empty", "write the file; docs/spec-kit.md shows what belongs in it"),
    ("SK010", "error", "each file has a title", "start the file with one `# Title` line"),
    ("SK011", "error", "mandatory sections are there", "add the section as a `##` heading"),
    ("SK012", "error", "mandatory sections have content", "write the section"),
    ("SK020", "error", "no placeholders", "write what is meant, or put the word in backticks if you only name it"),
    ("SK030", "error", "prd.md states requirements", "add list items such as `- **FR-001**: …`"),
    ("SK031", "error", "requirement ids have the form FR-001 or NFR-001", "write the id with three or four digits"),
    ("SK032", "error", "requirement ids are unique", "give one of them the next free number"),
    ("SK033", "error", "requirements say something", "write the requirement after its id"),
    ("SK040", "error", "tasks.md has tasks", "add list items such as `- [ ] T001 … (FR-001)`"),
    ("SK041", "error", "task ids have the form T001", "write the id after the checkbox, with three or four digits"),
    ("SK042", "error", "task ids are unique", "give one of them the next free number"),
    ("SK043", "error", "tasks have a checkbox", "write `- [ ] T001 …` or, when it is done, `- [x] T001 …`"),
    ("SK044", "error", "tasks say something", "write after the id what is to be done"),
    ("SK050", "error", "every requirement is covered by a task", "name the requirement's id in the task that meets it"),
    ("SK051", "error", "tasks name existing requirements only", "correct the id, or add the requirement to prd.md"),
    ("SK052", "warning", "every task serves a requirement", "name the requirement, such as (FR-001), or drop the task"),
    ("SK060", "error", "done tasks name their files", "name what was made in backticks, or open the task again"),
    (
        "SK061",
        "error",
        "files of done tasks exist",
        "correct the path from the repository's root, or open the task again",
    ),
    ("SK062", "error", "paths stay inside the repository", "write the path relative to the repository's root"),
    ("SK070", "error", "dependencies name existing tasks", "correct the id after `depends:`"),
    ("SK071", "error", "the order of tasks has no cycle", "drop one `depends:` of the circle"),
    ("SK072", "warning", "done tasks rest on done tasks", "finish the other task first, or open this one again"),
)

# A heading meets a section when it starts with these words, numbering and emphasis aside.
SECTIONS: dict[str, tuple[str, ...]] = {
    "constitution.md": ("Purpose", "Core principles", "Scope", "Security"),
    "prd.md": ("Overview", "Users", "Functional requirements", "Non-functional requirements", "Success criteria"),
    "plan.md": ("Summary", "Architecture", "Constitution check", "Decisions", "Testing", "Risks"),
    "tasks.md": ("Format", "Phase 1"),
}
