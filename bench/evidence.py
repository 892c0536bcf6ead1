"""Making and checking an evidence bundle of 1,000 events and 10 artifacts.

The reference for making is a zip of the same files without proof of anything; for checking, reading that zip and the
SHA-256 of each file.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from bench.report import Row
from opsroom.domain.evidence.bundle import write_bundle
from opsroom.domain.evidence.verify import verify
from tests.unit.evidence.made import DAY, contents_of, key, record, trust_root

EVENTS, ARTIFACTS = 1000, 10


async def run(*, quick: bool) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="opsroom-bench-") as folder:
        return measure(Path(folder), rounds=3, samples=5 if quick else 20)


def measure(folder: Path, rounds: int, samples: int) -> list[Row]:
    made = record(output=EVENTS - 6 - ARTIFACTS - 1, artifacts=ARTIFACTS)
    assert len(made.events) in range(EVENTS - 5, EVENTS + 5), len(made.events)
    files, target, plain, root = contents_of(made, folder), folder / "b.zip", folder / "p.zip", folder / "root.json"
    root.write_text(trust_root().text())

    def make() -> None:
        write_bundle(target, made, files, key(), f"{DAY}T10:02:00Z")

    make()
    with zipfile.ZipFile(target) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}

    def zip_plain() -> None:
        with zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in contents.items():
                archive.writestr(name, data)

    def read_plain() -> None:
        with zipfile.ZipFile(plain) as archive:
            for name in archive.namelist():
                hashlib.sha256(archive.read(name)).digest()

    def timed(work: Callable[[], object]) -> list[list[float]]:
        return [[_milliseconds(work) for _ in range(samples)] for _ in range(rounds)]

    return [
        Row("bundle made", timed(make), "plain zip of the same files", timed(zip_plain), limit_ms=300),
        Row(
            "bundle checked",
            timed(lambda: verify(str(target), str(root))),
            "unzip, SHA-256",
            timed(read_plain),
            limit_ms=300,
        ),
    ]


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
