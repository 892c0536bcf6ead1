#!/usr/bin/env python3
"""Checks an evidence bundle offline. One file, Python 3.9 or newer, nothing else: no network, no database, no package.

    python verify.py bundle.zip --trust root.json

`opsroom verify` runs this very file, and every bundle holds a copy of it. Take the verifier and the trust root from
where you trust them, not from the bundle: whoever forges a bundle can forge the copy in it.

Exit status: 0 it holds, 1 it does not (the first thing that does not hold is named), 2 it could not be read.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import sys
import zipfile
from typing import Any, NamedTuple, cast

ENVELOPE = "statement.dsse.json"
EVENTS = "events.jsonl"
TEMPLATE = "template.json"
PARAMS = "params.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:ops-control-room:run-evidence:v1"
TRUST_TYPE = "urn:ops-control-room:trust-root:v1"
FIRST_PREV_HASH = "0" * 64
SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410)."""
MAX_BYTES = 4 << 30
"""More than this, unpacked, is refused unread."""


class DoesNotHold(Exception):
    """The first thing that does not hold. `check` names the kind of thing, the message says what and where."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


class Verdict(NamedTuple):
    """What a bundle proves, once everything in it holds."""

    run_id: str
    title: str
    status: str
    template: str
    keyid: str
    owner: str
    signed_at: str
    events: int
    chain_head: str
    artifacts: int
    left_out: int
    proofs: int
    approvals: int


def summary(verdict: Verdict) -> str:
    """The verdict in one sentence."""
    return (
        f"run {verdict.run_id} ({verdict.title}, {verdict.template}) {verdict.status}; {verdict.events} events, "
        f"{verdict.artifacts} artifacts, {verdict.left_out} of them by digest only, {verdict.proofs} proofs, "
        f"{verdict.approvals} approvals; signed {verdict.signed_at} by {verdict.owner or verdict.keyid[:16]}"
    )


def verify(bundle: str, trust: str) -> Verdict:
    """Check everything. Raises DoesNotHold, OSError, or ValueError for a trust root that can not be read."""
    keys = trusted(trust)
    try:
        with zipfile.ZipFile(bundle) as archive:
            return _verify(archive, keys)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, binascii.Error) as error:
        raise DoesNotHold("zip", f"the bundle is not a whole zip file: {error}") from error


def _verify(archive: zipfile.ZipFile, keys: dict[str, dict[str, Any]]) -> Verdict:
    names = _names(archive)
    if ENVELOPE not in names:
        raise DoesNotHold("envelope", f"{ENVELOPE} is missing: nothing in the bundle is signed")
    payload, keyid = opened(archive.read(ENVELOPE), keys)
    statement = _json(payload, "statement", "the signed statement")
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        raise DoesNotHold("statement", f"the statement is not an in-toto Statement v1 of type {PREDICATE_TYPE}")
    try:
        subjects = {entry["name"]: entry["digest"]["sha256"] for entry in statement["subject"]}
        predicate = statement["predicate"]
        signed_at, run = predicate["signed_at"], predicate["run"]
        key_may_sign(keys[keyid], keyid, signed_at)
        events = _chain(archive, names, predicate)
        _files(archive, names, subjects, {a["name"]: a for a in predicate["artifacts"]})
        _story(events, archive, predicate)
        _approved(events[0], predicate["approvals"])
        _outcome(predicate)
        return Verdict(
            run_id=run["id"],
            title=run["title"],
            status=run["status"],
            template=f"{predicate['template']['slug']} v{predicate['template']['version']}",
            keyid=keyid,
            owner=keys[keyid].get("owner", ""),
            signed_at=signed_at,
            events=len(events),
            chain_head=predicate["chain"]["head"],
            artifacts=len(predicate["artifacts"]),
            left_out=sum(1 for a in predicate["artifacts"] if not a["included"]),
            proofs=len(predicate["proofs"]),
            approvals=len(predicate["approvals"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DoesNotHold("statement", f"the statement lacks what it must say: {error!r}") from error


def _names(archive: zipfile.ZipFile) -> set[str]:
    names = [entry.filename for entry in archive.infolist()]
    for name in names:
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or names.count(name) > 1:
            raise DoesNotHold("zip", f"the bundle holds an entry that it must not: {name!r}")
    if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
        raise DoesNotHold("zip", f"the bundle unpacks to more than {MAX_BYTES} bytes")
    return set(names)


def _json(data: bytes, check: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise DoesNotHold(check, f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise DoesNotHold(check, f"{what} is not a JSON object")
    return cast("dict[str, Any]", value)


# The envelope: DSSE, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md


def opened(
    data: bytes, keys: dict[str, dict[str, Any]], name: str = ENVELOPE, expected: str = PAYLOAD_TYPE
) -> tuple[bytes, str]:
    """What an envelope signs, and the id of the trusted key that did. Raises DoesNotHold."""
    payload, kind, signatures = _taken_apart(data, name)
    if kind != expected:
        raise DoesNotHold("envelope", f"{name} carries {kind!r} and not {expected}")
    known = [(keyid, signature) for keyid, signature in signatures if keyid in keys]
    if not known:
        by = ", ".join(str(keyid)[:16] for keyid, _ in signatures) or "nobody"
        raise DoesNotHold("key", f"{name} is signed by {by}, which is not a key of the trust root")
    for keyid, signature in known:
        if is_signed(
            keys[keyid]["raw"], b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload), signature
        ):
            return payload, keyid
    raise DoesNotHold("signature", f"the signature by {known[0][0][:16]} does not fit {name}")


def unsigned(data: bytes, name: str = ENVELOPE) -> tuple[bytes, str]:
    """What an envelope carries, and whose signature it claims to have: nothing is checked but its form."""
    payload, _, signatures = _taken_apart(data, name)
    return payload, signatures[0][0] if signatures else ""


def _taken_apart(data: bytes, name: str) -> tuple[bytes, str, list[tuple[str, bytes]]]:
    envelope = _json(data, "envelope", name)
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [(s["keyid"], base64.b64decode(s["sig"], validate=True)) for s in envelope["signatures"]]
        return payload, envelope["payloadType"], signatures
    except (KeyError, TypeError, ValueError) as error:
        raise DoesNotHold("envelope", f"{name} is not a DSSE envelope: {error!r}") from error


def trusted(path: str) -> dict[str, dict[str, Any]]:
    """The keys of a trust root by their ids. Raises OSError, or ValueError for what is none."""
    with open(path, "rb") as file:
        root: dict[str, Any] = json.loads(file.read())
    if root.get("type") != TRUST_TYPE:
        raise ValueError(f"{path} is not a trust root: its type must be {TRUST_TYPE}")
    keys: dict[str, dict[str, Any]] = {}
    for entry in cast("list[dict[str, Any]]", root["keys"]):
        pem: str = entry["public_key"]
        der = base64.b64decode("".join(line for line in pem.split("\n") if not line.startswith("-----")), validate=True)
        keyid = hashlib.sha256(der).hexdigest()
        if len(der) != 44 or der[:12] != SPKI_PREFIX or entry["keyid"] != keyid:
            raise ValueError(f"{path}: key {entry.get('keyid')!r} is not an Ed25519 public key with that id")
        keys[keyid] = {**entry, "raw": der[12:]}
    return keys


def key_may_sign(key: dict[str, Any], keyid: str, at: str) -> None:
    """Raises DoesNotHold when a key did not count at `at`."""
    if key.get("revoked_at"):
        raise DoesNotHold(
            "key", f"key {keyid[:16]} was revoked at {key['revoked_at']}: nothing it signed counts any more"
        )
    if at < key["valid_from"] or (key.get("valid_until") and at > key["valid_until"]):
        raise DoesNotHold("key", f"key {keyid[:16]} was not valid at {at}, when it signed")


# The chain: each line of events.jsonl is the canonical JSON that was hashed; the next one names that hash.


def _chain(archive: zipfile.ZipFile, names: set[str], predicate: dict[str, Any]) -> list[dict[str, Any]]:
    if EVENTS not in names:
        raise DoesNotHold("chain", f"{EVENTS} is missing")
    events: list[dict[str, Any]] = []
    previous, run_id = FIRST_PREV_HASH, predicate["run"]["id"]
    for number, line in enumerate(archive.read(EVENTS).rstrip(b"\n").split(b"\n"), 1):
        event = _json(line, "chain", f"event {number}")
        if event.get("run_id") != run_id:
            raise DoesNotHold("chain", f"event {number} is of another run: {event.get('run_id')}")
        if event.get("seq") != number:
            raise DoesNotHold("chain", f"event {number} is missing: the next one is numbered {event.get('seq')}")
        if event.get("prev_hash") != previous:
            raise DoesNotHold(
                "chain", f"event {max(number - 1, 1)} was changed: event {number} names another hash before it"
            )
        previous = hashlib.sha256(line).hexdigest()
        events.append(event)
    if len(events) < predicate["chain"]["events"]:
        raise DoesNotHold(
            "chain", f"the end is cut off: {len(events)} of {predicate['chain']['events']} events are there"
        )
    if len(events) != predicate["chain"]["events"] or previous != predicate["chain"]["head"]:
        raise DoesNotHold("chain", f"event {len(events)}, the last one, is not the one that was signed")
    return events


def _files(archive: zipfile.ZipFile, names: set[str], subjects: dict[str, str], artifacts: dict[str, Any]) -> None:
    left_out = {f"artifacts/{name}" for name, artifact in artifacts.items() if not artifact["included"]}
    for name in sorted(subjects.keys() - names - left_out):
        raise DoesNotHold("file", f"{name} is missing")
    for name in sorted(names - subjects.keys() - {ENVELOPE}):
        raise DoesNotHold("file", f"{name} was added: the statement does not name it")
    for name in sorted(names - {ENVELOPE}):
        digest = hashlib.sha256()
        with archive.open(name) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        if digest.hexdigest() != subjects[name]:
            raise DoesNotHold("file", f"{name} was changed: its SHA-256 is not the one that was signed")


def _story(events: list[dict[str, Any]], archive: zipfile.ZipFile, predicate: dict[str, Any]) -> None:
    """What the statement says of the run is what the run's own events say."""
    first, run = events[0], predicate["run"]
    for name, digest in ((TEMPLATE, first["data"]["template_digest"]), (PARAMS, first["data"]["params_digest"])):
        if hashlib.sha256(archive.read(name)).hexdigest() != digest:
            raise DoesNotHold("story", f"{name} is not what the run was queued with: event 1 names another digest")
    ends = [
        event for event in events if event["type"] in ("run.succeeded", "run.failed", "run.cancelled", "run.timed_out")
    ]
    if len(ends) != 1 or ends[0]["type"] != f"run.{run['status']}":
        raise DoesNotHold("story", f"the statement says {run['status']}, the events do not")
    for what, kind, keys, listed in (
        (
            "artifact",
            "artifact.added",
            ("name", "sha256"),
            [a for a in predicate["artifacts"] if not a["carried_from"]],
        ),
        ("proof", "proof.recorded", ("step", "name", "passed"), predicate["proofs"]),
        ("approval", "gate.decided", ("step", "decision", "by", "subject_digest"), predicate["approvals"]),
    ):
        told = [event["data"] for event in events if event["type"] == kind]
        for number, (claimed, data) in enumerate(zip(listed, told), 1):
            if any(data.get(key) != claimed[key] for key in keys):
                raise DoesNotHold("story", f"{what} {number} of the statement is not the one that the events tell of")
        if len(told) != len(listed):
            raise DoesNotHold("story", f"the statement names {len(listed)} {what}s, the events {len(told)}")


def _approved(first: dict[str, Any], approvals: list[dict[str, Any]]) -> None:
    """What was approved is this template version with these params."""
    told = {name: first["data"][name] for name in ("params_digest", "template_digest")}
    digest = hashlib.sha256(json.dumps(told, separators=(",", ":"), sort_keys=True).encode()).hexdigest()
    for number, approval in enumerate(approvals, 1):
        if approval["subject_digest"] != digest:
            raise DoesNotHold("story", f"approval {number} is of another template version or of other params")


def _outcome(predicate: dict[str, Any]) -> None:
    if predicate["run"]["status"] != "succeeded":
        return
    for step in predicate["steps"]:
        if step["required"] and step["status"] != "succeeded":
            raise DoesNotHold("outcome", f"the run succeeded without its step {step['id']}, which is {step['status']}")
    for proof in predicate["proofs"]:
        if proof["required"] and not proof["passed"]:
            raise DoesNotHold("outcome", f"the run succeeded although its proof {proof['name']} did not pass")


# Ed25519, verification only: RFC 8032, section 5.1.7. Nothing secret is handled, so its time may depend on its input.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def _add(a: Any, b: Any) -> Any:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Any) -> Any:
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _point(data: bytes) -> Any:
    y, sign = int.from_bytes(data, "little") & ((1 << 255) - 1), data[31] >> 7
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = _point(bytes.fromhex("58" + "66" * 31))


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` is by the holder of `public_key` (32 bytes)."""
    if len(signature) != 64 or len(public_key) != 32:
        return False
    key, nonce, s = _point(public_key), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % L
    left, right = _times(s, BASE), _add(nonce, _times(h, key))
    return not ((left[0] * right[2] - right[0] * left[2]) % P or (left[1] * right[2] - right[1] * left[2]) % P)


def main() -> int:
    parser = argparse.ArgumentParser(description="Check an evidence bundle of Ops Control Room, offline.")
    parser.add_argument("bundle", help="the bundle, a zip file")
    parser.add_argument("--trust", required=True, help="the trust root: a JSON file with the public keys that may sign")
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    given = parser.parse_args()
    try:
        verdict = verify(given.bundle, given.trust)
    except DoesNotHold as error:
        told = {"holds": False, "check": error.check, "message": str(error)}
        print(json.dumps(told) if given.json else f"DOES NOT HOLD ({error.check}): {error}")
        return 1
    except (OSError, ValueError, KeyError, AttributeError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"holds": True, **verdict._asdict()}) if given.json else f"HOLDS: {summary(verdict)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
