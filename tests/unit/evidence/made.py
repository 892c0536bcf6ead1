"""An ended run, made up and whole, and its bundle."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsroom.domain.events import FIRST_PREV_HASH, Event, event_hash
from opsroom.domain.evidence.bundle import write_bundle
from opsroom.domain.evidence.record import RunRecord
from opsroom.domain.evidence.statement import canonical, envelope, sha256
from opsroom.domain.evidence.trust import TrustRoot

RUN = "6f1f5a2e-9f57-4a0e-8a7e-2f8b6f0c1d11"
WORKER = "0e0f77f1-7b0a-4b58-9a6f-5b7f6b1a2c33"
APPROVER = "b7d1a9d4-52b1-4c5c-9d1f-0e6f3a4b5c66"
DAY = "2026-11-24"
SPEC: dict[str, Any] = {
    "slug": "upgrade",
    "title": "Upgrade",
    "steps": [{"id": "load", "kind": "shell", "title": "Load"}],
}
PARAMS: dict[str, Any] = {"module": "sale", "files": 3, "ratio": 0.25}
REPORT = b"# Upgraded\n"
DUMP = b"\x00\x01" * 512


def key(seed: int = 1) -> Ed25519PrivateKey:
    """The same key each time."""
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def trust_root(*keys: Ed25519PrivateKey, **changes: Any) -> TrustRoot:
    """A root that trusts `keys`, all from the same day on, with `changes` in each."""
    root = TrustRoot()
    for number, private in enumerate(keys or (key(),), 1):
        root = root.trusting(private.public_key(), f"worker {number}", f"{DAY}T00:00:00Z")
    return root.model_copy(
        update={"keys": tuple(k.model_copy(update={"valid_until": None, **changes}) for k in root.keys)}
    )


def chained(story: list[tuple[str, str | None, Mapping[str, Any]]], run_id: str = RUN) -> tuple[Event, ...]:
    """Events numbered and hashed."""
    events: list[Event] = []
    for number, (kind, step, data) in enumerate(story, 1):
        event = Event(
            run_id=run_id, seq=number, at=f"{DAY}T10:00:{number % 60:02d}.000000Z", type=kind, step=step, level="info",
            message=f"{kind} naïve ✓", data=data, prev_hash=events[-1].hash if events else FIRST_PREV_HASH, hash="",
        )  # fmt: skip
        events.append(event.model_copy(update={"hash": event_hash(event)}))
    return tuple(events)


def record(*, run_id: str = RUN, output: int = 3, status: str = "succeeded", artifacts: int = 2) -> RunRecord:
    """A run with two proofs, an approval, artifacts and `output` events of output."""
    contents = [REPORT, DUMP, *(f"{n}\n".encode() * 2000 for n in range(2, artifacts))][:artifacts]
    files = [
        {"name": f"out/{n}.bin", "step": "load", "kind": "file", "media_type": "text/plain", "sha256": sha256(data),
         "size_bytes": len(data), "object_path": f"{run_id}/{sha256(data)}", "url": None, "carried_from": None}
        for n, data in enumerate(contents)
    ]  # fmt: skip
    digests = {"template_digest": sha256(canonical(SPEC)), "params_digest": sha256(canonical(PARAMS))}
    proofs = [
        {"step": "load", "name": name, "kind": "http", "phase": "after", "required": required, "passed": passed,
         "expected": {"status": 200}, "seen": {"status": 200}, "message": "", "at": f"{DAY}T10:00:07.000000Z"}
        for name, required, passed in (("answers", True, True), ("is fast", False, False))
    ]  # fmt: skip
    approval = {"step": "gate", "decision": "approved", "by": APPROVER, "by_name": "Ada", "role": "approver",
                "comment": "seen the plan", "subject_digest": sha256(canonical(digests)), "at": f"{DAY}T10:00:03.000000Z"}  # fmt: skip
    events = chained(
        [
            ("run.queued", None, digests),
            ("run.claimed", None, {"worker": WORKER}),
            ("run.started", None, {}),
            ("gate.decided", "gate", {k: approval[k] for k in ("step", "decision", "by", "subject_digest")}),
            *(("output", "load", {"stream": "stdout", "n": n / 4}) for n in range(output)),
            *(("artifact.added", "load", {"name": f["name"], "sha256": f["sha256"]}) for f in files),
            *(("proof.recorded", "load", {k: p[k] for k in ("step", "name", "passed")}) for p in proofs),
            (f"run.{status}", None, {}),
        ],
        run_id,
    )
    times = {"started_at": f"{DAY}T10:00:02.000000Z", "finished_at": f"{DAY}T10:01:03.500000Z"}
    return RunRecord.model_validate({
        "run": {"id": run_id, "title": "Upgrade module sale", "session_id": APPROVER, "session_title": "Odoo 19", "lane": "A",
                "status": status, "reason": None if status == "succeeded" else "step_failed", "message": None, "exit_code": 0,
                "attempt": 1, "retry_of": None, "root_run_id": run_id, "rerun_of": None, "created_by": APPROVER,
                "created_by_name": "Grace", "cancel_requested_by_name": None, "cancel_reason": None,
                "queued_at": f"{DAY}T10:00:00.000000Z", "claimed_at": f"{DAY}T10:00:01.000000Z", **times},
        "template": {"slug": "upgrade", "version": 4, "digest": digests["template_digest"], "spec": SPEC},
        "params": PARAMS,
        "worker": {"id": WORKER, "name": "vm", "host": "vm", "version": "0.1.0"},
        "steps": [{"id": "load", "title": "Load | the data", "kind": "shell", "required": True, "status": "succeeded", **times,
                   "exit_code": 0, "message": None, "carried_from": None}],
        "artifacts": files, "proofs": proofs, "approvals": [approval],
        "attempts": [{"id": run_id, "attempt": 1, "status": status, "reason": None}],
        "events": [event.model_dump() for event in events],
    })  # fmt: skip


def contents_of(made: RunRecord, folder: Path) -> dict[str, Path]:
    """The artifacts' files, by name."""
    known = {sha256(data): data for data in (REPORT, DUMP, *(f"{n}\n".encode() * 2000 for n in range(2, 50)))}
    paths: dict[str, Path] = {}
    for artifact in made.artifacts:
        path = folder / hashlib.sha256(artifact.name.encode()).hexdigest()
        path.write_bytes(known[str(artifact.sha256)])
        paths[artifact.name] = path
    return paths


@dataclass
class Bundle:
    """A bundle taken apart, to be changed and put together again."""

    files: dict[str, bytes]
    trust: TrustRoot = field(default_factory=trust_root)
    doubled: str | None = None

    def lines(self) -> list[bytes]:
        return self.files["events.jsonl"].splitlines()

    def set_lines(self, lines: list[bytes]) -> None:
        self.files["events.jsonl"] = b"\n".join(lines) + b"\n"

    def statement(self) -> dict[str, Any]:
        import base64

        return json.loads(base64.b64decode(json.loads(self.files["statement.dsse.json"])["payload"]))

    def sign(self, change: Callable[[dict[str, Any]], object], private: Ed25519PrivateKey | None = None) -> None:
        """Change the statement and sign it again: what only the holder of a key can do."""
        told = self.statement()
        change(told)
        self.files["statement.dsse.json"] = envelope(canonical(told), private or key())

    def sign_files(self) -> None:
        """Sign again, with the digests of the files as they are now."""
        self.sign(lambda told: [
            entry["digest"].update(sha256=sha256(self.files[entry["name"]]))
            for entry in told["subject"] if entry["name"] in self.files
        ])  # fmt: skip

    def write(self, folder: Path) -> tuple[str, str]:
        """The paths of the zip and of the trust root."""
        target, root = folder / "bundle.zip", folder / "root.json"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.files.items():
                archive.writestr(name, data)
            if self.doubled:
                archive.writestr(self.doubled, b"another")
        root.write_text(self.trust.text())
        return str(target), str(root)


def bundle(folder: Path, made: RunRecord | None = None, private: Ed25519PrivateKey | None = None) -> Bundle:
    """A whole bundle, taken apart."""
    told = made or record()
    write_bundle(folder / "made.zip", told, contents_of(told, folder), private or key(), f"{DAY}T10:02:00Z")
    with zipfile.ZipFile(folder / "made.zip") as archive:
        return Bundle({name: archive.read(name) for name in archive.namelist()})
