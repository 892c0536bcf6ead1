"""`python -m workers.programs.spec_kit ORDER`: what a spec_kit step does, with its reports in the working directory.

validate: `report.json` and `report.md`; exit 1 when the bundle has an error, with every finding printed.
generate: `spec/<slug>/*.md`, `<slug>.zip`, and the reports of the validation of what was written.
"""

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from opsroom.domain.spec_kit import Report, SpecInputError, generate_bundle, validate_bundle, write_bundle
from workers.programs.repository import CloneFailed, is_remote, obtain

ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The same in every archive: the same bundle gives the same bytes."""


class Order(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["validate", "generate"]
    repository: str = "."
    slug: str | None = None
    name: str | None = None
    description: str = ""
    goals: tuple[str, ...] = ()


def main(order: Order, workdir: Path) -> int:
    """Exit code 0: fine; 1: the bundle or the input is not."""
    try:
        report = _validate(order, workdir) if order.action == "validate" else _generate(order, workdir)
    except (SpecInputError, CloneFailed) as error:
        say(f"error: {error}")
        return 1
    (workdir / "report.json").write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (workdir / "report.md").write_text(report.to_markdown(), encoding="utf-8")
    for finding in report.findings:
        place = finding.file or "bundle"
        line = f":{finding.line}" if finding.line else ""
        say(f"{place}{line}: {finding.severity} {finding.rule}: {finding.message} ({finding.fix})")
    counts = report.counts
    say(
        f"spec/{report.slug}: {'passed' if report.ok else 'FAILED'}, "
        f"{counts.errors} errors, {counts.warnings} warnings; "
        f"{counts.requirements_covered} of {counts.requirements} requirements covered, "
        f"{counts.tasks_done} of {counts.tasks} tasks done"
    )
    return 0 if report.ok else 1


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _validate(order: Order, workdir: Path) -> Report:
    if order.slug is None:
        raise SpecInputError("no slug is given: say which bundle, spec/<slug>/, to validate")
    repository = obtain(order.repository, workdir / "repository")
    if not is_remote(order.repository) and not repository.is_dir():
        raise SpecInputError(f"the repository {order.repository} is not a directory on this worker")
    return validate_bundle(repository, order.slug)


def _generate(order: Order, workdir: Path) -> Report:
    bundle = generate_bundle(order.name or "", order.description, order.goals, order.slug)
    paths = write_bundle(workdir, bundle)
    with zipfile.ZipFile(workdir / f"{bundle.slug}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(paths):
            name = str(path.relative_to(workdir.resolve()))
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), path.read_bytes(), zipfile.ZIP_DEFLATED)
            say(f"wrote {name}")
    return validate_bundle(workdir, bundle.slug)


if __name__ == "__main__":
    sys.exit(
        main(
            Order.model_validate(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), Path(os.environ["WORKDIR"])
        )
    )
