"""The report of a bundle: what an auditor reads in two minutes, as Markdown and as one HTML file without scripts."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785

from opsroom.domain.evidence.record import RunRecord

OUTCOMES = {"succeeded": "Succeeded", "failed": "Failed", "cancelled": "Cancelled", "timed_out": "Timed out"}


@dataclass(frozen=True)
class Section:
    """A heading, then facts or a table, or a sentence that says why there is none."""

    title: str
    facts: Sequence[tuple[str, str]] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default=())
    none: str = ""


@dataclass(frozen=True)
class Report:
    title: str
    outcome: str
    status: str
    summary: str
    sections: Sequence[Section]


def report(record: RunRecord, signed_at: str) -> Report:
    """What is told of `record`."""
    run, template = record.run, record.template
    passed = sum(proof.passed for proof in record.proofs)
    done = sum(step.status == "succeeded" for step in record.steps)
    summary = (
        f"{run.created_by_name} queued it at {_time(run.queued_at)}; it ended at {_time(run.finished_at)}"
        f"{f' after {_between(run.started_at, run.finished_at)}' if run.started_at else ' and never started'}. "
        f"{done} of {len(record.steps)} steps succeeded, {passed} of {len(record.proofs)} proofs passed, "
        f"{len(record.artifacts)} artifacts, {len(record.events)} events."
    )
    return Report(
        title=run.title,
        outcome=OUTCOMES.get(run.status, run.status),
        status=run.status,
        summary=summary,
        sections=[
            Section(
                "Run",
                facts=[
                    ("Run", run.id),
                    ("Session", run.session_title),
                    ("Lane", run.lane),
                    ("Template", f"{template.slug} v{template.version}"),
                    ("Template digest", f"sha256:{template.digest}"),
                    (
                        "Worker",
                        f"{record.worker.name} ({record.worker.host}, {record.worker.version})"
                        if record.worker
                        else "none",
                    ),
                    ("Reason", _join(run.reason, run.message)),
                    ("Cancelled by", _join(run.cancel_requested_by_name, run.cancel_reason)),
                ],
            ),
            Section(
                "Parameters",
                head=("Name", "Value"),
                rows=[(k, _json(v)) for k, v in record.params.items()],
                none="None.",
            ),
            Section(
                "Approvals",
                head=("Gate", "Decision", "By", "At", "Comment"),
                rows=[
                    (a.step, a.decision, f"{a.by_name} ({a.role})", _time(a.at), a.comment) for a in record.approvals
                ],
                none="The template asks for none.",
            ),
            Section(
                "Steps",
                head=("Step", "Kind", "Outcome", "Took", "Message"),
                rows=[
                    (
                        s.title,
                        s.kind,
                        s.status + (" (carried over)" if s.carried_from else ""),
                        _between(s.started_at, s.finished_at),
                        s.message or "",
                    )
                    for s in record.steps
                ],
            ),
            Section(
                "Proofs",
                head=("Step", "Proof", "Passed", "Expected", "Seen"),
                rows=[
                    (
                        p.step,
                        p.name,
                        ("yes" if p.passed else "NO") + ("" if p.required else " (optional)"),
                        _json(p.expected),
                        _json(p.seen),
                    )
                    for p in record.proofs
                ],
                none="The template declares no verifiers.",
            ),
            Section(
                "Artifacts",
                head=("Name", "Kind", "Bytes", "SHA-256"),
                rows=[(a.name, a.kind, str(a.size_bytes or ""), a.sha256 or a.url or "") for a in record.artifacts],
                none="None.",
            ),
            Section(
                "Attempts",
                head=("Attempt", "Run", "Outcome"),
                rows=[(str(a.attempt), a.id, _join(a.status, a.reason)) for a in record.attempts],
            ),
            Section(
                "What holds this together",
                facts=[
                    ("Signed at", signed_at),
                    ("Events", str(len(record.events))),
                    ("Chain head", record.events[-1].hash),
                    ("Check it", "python verify.py bundle.zip --trust root.json"),
                ],
            ),
        ],
    )


def as_markdown(told: Report) -> str:
    """CommonMark with tables."""
    lines = [f"# {_md(told.title)}: {told.outcome}", "", _md(told.summary)]
    for section in told.sections:
        lines += ["", f"## {section.title}", ""]
        facts = [(name, value) for name, value in section.facts if value]
        if facts:
            lines += [f"- **{name}**: {_md(value)}" for name, value in facts]
        elif section.rows:
            lines += [f"| {' | '.join(section.head)} |", f"|{' --- |' * len(section.head)}"]
            lines += [f"| {' | '.join(map(_md, row))} |" for row in section.rows]
        else:
            lines.append(section.none)
    return "\n".join(lines) + "\n"


def as_html(told: Report) -> str:
    """One file: no script, nothing loaded from anywhere."""
    body = [f"<p class=state data-state={told.status}>{told.outcome}</p><h1>{html.escape(told.title)}</h1>"]
    body.append(f"<p>{html.escape(told.summary)}</p>")
    for section in told.sections:
        body.append(f"<h2>{section.title}</h2>")
        facts = [(name, value) for name, value in section.facts if value]
        if facts:
            body.append("<dl>" + "".join(f"<dt>{n}</dt><dd>{html.escape(v)}</dd>" for n, v in facts) + "</dl>")
        elif section.rows:
            head = "".join(f"<th>{name}</th>" for name in section.head)
            rows = "".join("<tr>" + _cells(row) + "</tr>" for row in section.rows)
            body.append(f"<div><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>")
        else:
            body.append(f"<p>{section.none}</p>")
    return PAGE.replace("TITLE", html.escape(told.title)).replace("BODY", "\n".join(body))


PAGE = Path(__file__).with_name("report.html").read_text()


def _cells(row: Iterable[str]) -> str:
    return "".join(f"<td>{html.escape(cell)}</td>" for cell in row)


def _md(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text).replace("\r", " ").replace("\n", " ")


def _json(value: Any) -> str:
    text = value if isinstance(value, str) else rfc8785.dumps(value).decode()
    return text if len(text) <= 400 else text[:399] + "…"


def _join(*parts: str | None) -> str:
    return ": ".join(part for part in parts if part)


def _time(at: str | None) -> str:
    return at[:19].replace("T", " ") + " UTC" if at else ""


def _between(start: str | None, end: str | None) -> str:
    if not start or not end:
        return ""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min {int(seconds % 60):02d} s"
