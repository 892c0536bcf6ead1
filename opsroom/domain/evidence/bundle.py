"""The evidence bundle: one zip with the signed statement, the events, template, params, artifacts and a report."""

import hashlib
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsroom.domain.evidence import verify
from opsroom.domain.evidence.record import RunRecord
from opsroom.domain.evidence.report import as_html, as_markdown, report
from opsroom.domain.evidence.statement import canonical, envelope, sha256, statement

VERIFIER: Final = "verify.py"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""Every entry has the same time, so that the same evidence gives the same bytes."""


def event_lines(record: RunRecord) -> bytes:
    """The events, one to a line, each as exactly the bytes that its hash was made of."""
    return b"".join(event.hashed() + b"\n" for event in record.events)


def write_bundle(
    target: Path, record: RunRecord, files: Mapping[str, Path], key: Ed25519PrivateKey, signed_at: str
) -> str:
    """Write the bundle of an ended run to `target`; answers its SHA-256. `files` are the artifacts to include, by name;
    the others are named by their digest only. `signed_at` is UTC, `2026-11-24T00:00:00Z`.
    """
    texts = {
        verify.EVENTS: event_lines(record),
        verify.TEMPLATE: canonical(record.template.spec),
        verify.PARAMS: canonical(record.params),
        VERIFIER: Path(verify.__file__).read_bytes(),
    }
    told = report(record, signed_at)
    texts |= {"report.md": as_markdown(told).encode(), "report.html": as_html(told).encode()}
    subjects = {name: sha256(data) for name, data in texts.items()} | {
        f"artifacts/{artifact.name}": artifact.sha256 for artifact in record.artifacts if artifact.sha256
    }
    signed = envelope(canonical(statement(record, subjects, frozenset(files), signed_at)), key)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {verify.ENVELOPE: signed, **texts}.items():
            archive.writestr(_entry(name), data)
        for name in sorted(files):
            with (
                files[name].open("rb") as source,
                archive.open(_entry(f"artifacts/{name}"), "w", force_zip64=True) as to,
            ):
                shutil.copyfileobj(source, to)
    return _digest(target)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
