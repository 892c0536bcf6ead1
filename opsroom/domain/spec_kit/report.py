"""The result of a validation, for machines (JSON) and people (Markdown)."""

import re

from pydantic import BaseModel, ConfigDict

from opsroom.domain.spec_kit.rules import Severity


class Finding(BaseModel):
    """One broken rule. `file` is relative to the repository, `line` counts from 1 and is None for a whole file."""

    model_config = ConfigDict(frozen=True)

    rule: str
    severity: Severity
    file: str | None
    line: int | None
    message: str
    fix: str


class Counts(BaseModel):
    model_config = ConfigDict(frozen=True)

    files: int = 0
    requirements: int = 0
    requirements_covered: int = 0
    tasks: int = 0
    tasks_done: int = 0
    errors: int = 0
    warnings: int = 0


class Report(BaseModel):
    """`ok` is true when no finding is an error. `coverage` maps each requirement to the tasks that name it."""

    model_config = ConfigDict(frozen=True)

    slug: str
    ok: bool
    findings: tuple[Finding, ...]
    counts: Counts
    coverage: dict[str, tuple[str, ...]]

    def to_markdown(self) -> str:
        counts = self.counts
        lines = [
            f"# Spec Kit report: {_cell(self.slug)}",
            "",
            f"**{'PASSED' if self.ok else 'FAILED'}**: {counts.errors} errors, {counts.warnings} warnings.",
            "",
            f"- files: {counts.files} of 4",
            f"- requirements: {counts.requirements}, covered by a task: {counts.requirements_covered}",
            f"- tasks: {counts.tasks}, done: {counts.tasks_done}",
        ]
        if self.findings:
            lines += ["", "## Findings", "", "| rule | severity | where | what | what to do |", "|---|---|---|---|---|"]
            lines += [
                f"| {f.rule} | {f.severity} | {_cell(_where(f))} | {_cell(f.message)} | {_cell(f.fix)} |"
                for f in self.findings
            ]
        if self.coverage:
            lines += ["", "## Coverage", "", "| requirement | tasks |", "|---|---|"]
            lines += [f"| {_cell(id_)} | {_cell(', '.join(tasks) or 'none')} |" for id_, tasks in self.coverage.items()]
        return "\n".join(lines) + "\n"


def _where(finding: Finding) -> str:
    if finding.file is None:
        return "bundle"
    return finding.file if finding.line is None else f"{finding.file}:{finding.line}"


def _cell(text: str) -> str:
    """Text as a table cell: messages quote what a stranger wrote, so no markup of theirs may come alive."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", " ".join(text.split()))
