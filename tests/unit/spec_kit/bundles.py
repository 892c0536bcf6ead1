"""A small valid bundle, and a way to break it."""

from pathlib import Path

CONSTITUTION = """# Constitution: Export

## 1. Purpose

Exports invoices every night.

## 2. Core Principles (non-negotiable)

- Evidence first.

## 3. Scope boundaries

Invoices only.

## 4. Security + keys policy

No secrets in git. A placeholder is only named here: `TODO`, and `spec/<slug>/` is a path.
"""

PRD = """# PRD: Export

## Overview

Nightly export.

## Users

Accountants.

## Functional requirements

- **FR-001**: The system exports every invoice
  of the day.
- **FR-002**: The system mails a report.

## Non-functional requirements

- **NFR-001**: An export takes at most a minute.

## Success criteria

A month of exports without a missing invoice.
"""

PLAN = """# Plan: Export

## Summary

One job.

## Architecture

A worker and a mailer.

## Constitution check

Evidence: the report.

## Decisions

CSV, because the accountants ask for it.

## Testing

Against a real database.

## Risks

Mail may be down.
"""

TASKS = """# Tasks: Export

## Format

`- [ ] T001 text (FR-001) depends: T000`

## Phase 1: Build

- [x] T001 Write the export (FR-001), in
  `src/export.py` and `src/`
- [ ] T002 Mail the report (FR-002) depends: T001
- [ ] T003 Measure (NFR-001) depends: T001, T002
"""

SLUG = "export"


def write(repository: Path, **changed: str | bytes | None) -> Path:
    """Writes the valid bundle with some files replaced; None leaves a file out. Returns the repository."""
    texts: dict[str, str | bytes | None] = {"constitution": CONSTITUTION, "prd": PRD, "plan": PLAN, "tasks": TASKS}
    folder = repository / "spec" / SLUG
    folder.mkdir(parents=True)
    (repository / "src").mkdir()
    (repository / "src" / "export.py").write_text("")
    for name, text in (texts | changed).items():
        if text is not None:
            (folder / f"{name}.md").write_bytes(text.encode() if isinstance(text, str) else text)
    return repository
