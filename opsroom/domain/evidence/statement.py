"""The signed statement of a run: an in-toto Statement v1, in a DSSE envelope, by an Ed25519 key.

The predicate's `buildDefinition` and `runDetails` have the shape of SLSA Provenance v1; the rest is our own, described
in `docs/evidence.md`. Sources: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md,
https://slsa.dev/spec/v1.0/provenance, https://github.com/secure-systems-lab/dsse.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, cast

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey  # pyright: ignore[reportPrivateImportUsage]

from opsroom.domain.evidence.record import RunRecord
from opsroom.domain.evidence.trust import keyid_of
from opsroom.domain.evidence.verify import EVENTS, PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE

BUILD_TYPE: Final = "urn:ops-control-room:template:v1"


def canonical(value: object) -> bytes:
    """Canonical JSON (RFC 8785)."""
    return rfc8785.dumps(value)  # pyright: ignore[reportArgumentType] - plain JSON


def statement(
    record: RunRecord, subjects: Mapping[str, str], included: frozenset[str], signed_at: str
) -> dict[str, Any]:
    """What is signed about `record`. `subjects` are SHA-256 by the name of each file; `included` are the names of the
    artifacts whose bytes are in the bundle, the others are there by digest only.
    """
    run, template = record.run, record.template
    worker = record.worker
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": subjects[name]}} for name in sorted(subjects)],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "signed_at": signed_at,
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"template": template.slug, "version": template.version, "params": record.params},
                "internalParameters": {"session": run.session_id, "lane": run.lane, "attempt": run.attempt},
                "resolvedDependencies": [
                    {"name": f"{template.slug} v{template.version}", "digest": {"sha256": template.digest}}
                ],
            },
            "runDetails": {
                "builder": {
                    "id": f"urn:uuid:{worker.id}" if worker else "urn:ops-control-room:no-worker",
                    "version": {"opsroom": worker.version} if worker else {},
                },
                "metadata": {
                    "invocationId": f"urn:uuid:{run.id}",
                    "startedOn": run.started_at,
                    "finishedOn": run.finished_at,
                },
                "byproducts": [{"name": EVENTS, "digest": {"sha256": subjects[EVENTS]}}],
            },
            "run": run.model_dump(),
            "template": {"slug": template.slug, "version": template.version, "digest": template.digest},
            "worker": worker.model_dump() if worker else None,
            "steps": [step.model_dump() for step in record.steps],
            "artifacts": [
                {**artifact.model_dump(exclude={"object_path"}), "included": artifact.name in included}
                for artifact in record.artifacts
            ],
            "proofs": [proof.model_dump() for proof in record.proofs],
            "approvals": [approval.model_dump() for approval in record.approvals],
            "attempts": [attempt.model_dump() for attempt in record.attempts],
            "chain": {"events": len(record.events), "head": record.events[-1].hash},
        },
    }


def envelope(payload: bytes, key: Ed25519PrivateKey, kind: str = PAYLOAD_TYPE) -> bytes:
    """`payload` signed, as DSSE JSON."""
    public = key.public_key()
    signer = CryptoSigner(key, SSlibKey.from_crypto(public, keyid_of(public)))
    signed = Envelope(payload, kind, {})
    signed.sign(signer)
    told = cast("dict[str, Any]", signed.to_dict())  # pyright: ignore[reportUnknownMemberType]
    return json.dumps(told, separators=(",", ":")).encode()


def sha256(data: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(data).hexdigest()
