"""Spec Kit bundles, wherever they live: beside this program (`spec/<slug>`), and in the control plane."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from opsroom.components.library_views import BundleRow, FileTab, FindingRow, SourceLine
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.config import REPOSITORY
from opsroom.control_plane.library import Spec, SpecSummary
from opsroom.domain.errors import SpecNotFound
from opsroom.domain.spec_kit import FILES, Finding, Report, validate_bundle
from opsroom.domain.spec_kit.files import FileRead, PathState, read_bundle
from opsroom.domain.spec_kit.names import is_slug
from opsroom.domain.spec_kit.validate import check
from opsroom.room.present import iso

Source = Literal["repository", "room"]
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: the same bundle gives the same bytes."""


@dataclass(frozen=True)
class Shown:
    """A bundle with its text and what a validation says."""

    slug: str
    source: Source
    files: Mapping[str, str]
    report: Report
    version: int = 0
    newest: int = 0
    by: str = ""
    at: str = ""


def in_repository(repository: Path = REPOSITORY) -> list[str]:
    """Slugs of the bundles beside this program; none where it was installed without them."""
    folder = repository / "spec"
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return sorted(name for name in names if is_slug(name))


def from_repository(slug: str, repository: Path = REPOSITORY) -> Shown:
    """A bundle of the repository. Raises SpecNotFound."""
    if slug not in in_repository(repository):
        raise SpecNotFound(f"There is no spec/{slug[:64]} beside this program.", hint="Choose one of the list.")
    files = {
        name: (read.content or b"").decode(errors="replace") for name, read in read_bundle(repository, slug).items()
    }
    return Shown(slug, "repository", files, validate_bundle(repository, slug))


def from_room(spec: Spec) -> Shown:
    """A bundle that the control plane keeps. Its tasks name files of a repository that is not here: those are taken as
    given.
    """
    files = {name: spec.files.get(name, "") for name in FILES}
    report = check(spec.slug, {name: FileRead(text.encode()) for name, text in files.items()}, _given)
    by = spec.created_by_name or ""
    return Shown(spec.slug, "room", files, report, spec.version, spec.newest, by, iso(spec.created_at))


def _given(path: str) -> PathState:
    return "outside" if path.startswith(("/", "~")) or ".." in path.split("/") else "exists"


async def find(room: ControlPlane, slug: str, source: str, version: str) -> Shown:
    """The bundle that an address names. Raises SpecNotFound."""
    if source == "repository" or (not source and slug in in_repository()):
        return from_repository(slug)
    return from_room(await room.spec(slug, int(version) if version.isdecimal() else None))


def zipped(files: Mapping[str, str], slug: str) -> bytes:
    """The four files as `spec/<slug>/…` in a zip; the same text gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            archive.writestr(zipfile.ZipInfo(f"spec/{slug}/{name}", EPOCH), files[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def address(slug: str, source: str, *, version: int = 0, file: str = "", line: int | None = None) -> str:
    """Where a bundle is shown, at a file and a line of it."""
    parts = [f"source={source}", f"version={version}" if version else "", f"file={file}" if file else ""]
    parts.append(f"line={line}" if line else "")
    return f"/spec-kit/{slug}?" + "&".join(filter(None, parts))


def repository_row(shown: Shown) -> BundleRow:
    """A bundle of the repository in the list."""
    counts = shown.report.counts
    return BundleRow(
        slug=shown.slug,
        href=address(shown.slug, "repository"),
        source="repository",
        where=f"spec/{shown.slug}",
        state=state_of(shown.report),
        verdict=verdict_of(shown.report),
        tasks=f"{counts.tasks_done} of {counts.tasks} tasks",
        requirements=f"{counts.requirements_covered} of {counts.requirements} covered",
    )


def room_row(spec: SpecSummary) -> BundleRow:
    """A bundle of the control plane in the list: its text is read when it is opened."""
    return BundleRow(
        slug=spec.slug,
        href=address(spec.slug, "room"),
        source="room",
        where=f"version {spec.version}",
        state="pending",
        at=iso(spec.created_at),
        by=spec.created_by_name or "",
    )


def state_of(report: Report) -> str:
    """The state of the design system that stands for a report."""
    return "failed" if not report.ok else "warn" if report.findings else "succeeded"


def verdict_of(report: Report) -> str:
    """A report in a few words."""
    errors, warnings = report.counts.errors, report.counts.warnings
    words = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    return ", ".join(words) or "Valid"


def tabs(shown: Shown) -> list[FileTab]:
    """The four files, each with how much was found in it."""
    tabs: list[FileTab] = []
    for name in FILES:
        found = [finding for finding in shown.report.findings if _file(finding) == name]
        worst = "failed" if any(f.severity == "error" for f in found) else "warn" if found else "succeeded"
        href = address(shown.slug, shown.source, version=shown.version, file=name)
        tabs.append(FileTab(name, href, len(found), worst))
    return tabs


def finding_rows(shown: Shown) -> list[FindingRow]:
    """All findings, each with the way to its line."""
    return [
        FindingRow(
            rule=finding.rule,
            state=_state(finding),
            where=f"{_file(finding)}:{finding.line}" if finding.line else _file(finding),
            href=address(shown.slug, shown.source, version=shown.version, file=_file(finding), line=finding.line),
            message=finding.message,
            fix=finding.fix,
        )
        for finding in shown.report.findings
    ]


def source_lines(shown: Shown, file: str) -> list[SourceLine]:
    """A file line by line, with what was found at each."""
    found: dict[int, list[Finding]] = {}
    for finding in shown.report.findings:
        if _file(finding) == file:
            found.setdefault(finding.line or 1, []).append(finding)
    return [
        SourceLine(
            number,
            text,
            _state(found[number][0]) if number in found else "",
            [f"{f.rule}: {f.message}. {f.fix[:1].upper()}{f.fix[1:]}." for f in found.get(number, ())],
        )
        for number, text in enumerate(shown.files[file].splitlines() or [""], start=1)
    ]


def _file(finding: Finding) -> str:
    return (finding.file or "").rsplit("/", 1)[-1]


def _state(finding: Finding) -> str:
    return "failed" if finding.severity == "error" else "warn"
