"""A bundle holds as it was made, and in no other way: each tampered one is refused for its own reason."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from opsroom.domain.evidence.statement import canonical, sha256
from opsroom.domain.evidence.verify import DoesNotHold, is_signed, verify
from tests.unit.evidence.made import PARAMS, Bundle, bundle, chained, key, record, trust_root

OTHER_RUN = "11111111-2222-4333-8444-555555555555"


def _event(number: int, **changes: Any) -> Callable[[Bundle], None]:
    def tamper(made: Bundle) -> None:
        lines = made.lines()
        lines[number - 1] = canonical({**json.loads(lines[number - 1]), **changes})
        made.set_lines(lines)

    return tamper


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Bundle], None]:
    return lambda made: made.set_lines(change(made.lines()))


def _file(name: str, data: bytes) -> Callable[[Bundle], None]:
    return lambda made: made.files.update({name: data})


def _without(name: str) -> Callable[[Bundle], None]:
    return lambda made: made.files.__delitem__(name)


def _envelope(change: Callable[[dict[str, Any]], object]) -> Callable[[Bundle], None]:
    def tamper(made: Bundle) -> None:
        value = json.loads(made.files["statement.dsse.json"])
        change(value)
        made.files["statement.dsse.json"] = json.dumps(value).encode()

    return tamper


def _signed(change: Callable[[dict[str, Any]], object]) -> Callable[[Bundle], None]:
    return lambda made: made.sign(lambda told: change(told["predicate"]))


def _unsigned(change: Callable[[dict[str, Any]], object]) -> Callable[[Bundle], None]:
    """The statement changed, the signature left."""

    def tamper(made: Bundle) -> None:
        import base64

        told = made.statement()
        change(told["predicate"])
        _envelope(lambda e: e.update(payload=base64.b64encode(canonical(told)).decode()))(made)

    return tamper


def _swapped(made: Bundle) -> None:
    a, b = "artifacts/out/0.bin", "artifacts/out/1.bin"
    made.files[a], made.files[b] = made.files[b], made.files[a]


def _other_artifact_signed(made: Bundle) -> None:
    made.files["artifacts/out/0.bin"] = b"another"
    made.sign_files()
    made.sign(lambda told: told["predicate"]["artifacts"][0].update(sha256=sha256(b"another")))


def _params_signed(made: Bundle) -> None:
    made.files["params.json"] = canonical({**PARAMS, "module": "stock"})
    made.sign_files()


def _template_signed(made: Bundle) -> None:
    made.files["template.json"] = b"{}"
    made.sign_files()


def _cut_tail_signed(made: Bundle) -> None:
    made.set_lines(made.lines()[:-1])
    made.sign_files()


def _cut_tail_hidden(made: Bundle) -> None:
    lines = made.lines()[:-1]
    made.set_lines(lines)
    made.sign_files()
    made.sign(lambda told: told["predicate"].update(chain={"events": len(lines), "head": sha256(lines[-1])}))


def _trust(**changes: Any) -> Callable[[Bundle], None]:
    return lambda made: setattr(made, "trust", trust_root(**changes))


TAMPERED: dict[str, tuple[Callable[[Bundle], object], str, str]] = {
    "an event's message is edited": (_event(5, message="all well"), "chain", "event 5 was changed"),
    "an event's time is edited": (_event(6, at="2020-01-01T00:00:00.000000Z"), "chain", "event 6 was changed"),
    "the last event is edited": (_event(12, message="better"), "chain", "event 12, the last one"),
    "the first event is edited": (_event(1, data={}), "chain", "event 1 was changed"),
    "an event is of another run": (_event(4, run_id=OTHER_RUN), "chain", "event 4 is of another run"),
    "an event is taken out": (_lines(lambda lines: lines[:4] + lines[5:]), "chain", "event 5 is missing"),
    "an event is doubled": (_lines(lambda lines: lines[:4] + lines[3:]), "chain", "event 5 is missing"),
    "two events change places": (_lines(lambda x: [*x[:4], x[5], x[4], *x[6:]]), "chain", "event 5 is missing"),
    "the tail is cut": (_lines(lambda lines: lines[:-2]), "chain", "the end is cut off: 10 of 12"),
    "the tail is cut and the files signed again": (_cut_tail_signed, "chain", "the end is cut off"),
    "the tail is cut and hidden by the key's holder": (_cut_tail_hidden, "story", "the statement says succeeded"),
    "an event is added": (_lines(lambda x: [*x, canonical({**json.loads(x[-1]), "seq": 13, "prev_hash": sha256(x[-1])})]),
                          "chain", "event 13, the last one, is not"),
    "an event is not JSON": (_lines(lambda lines: [*lines[:3], b"{", *lines[4:]]), "chain", "event 4 is not JSON"),
    "the same event, written differently": (_lines(lambda x: [json.dumps(json.loads(x[0])).encode(), *x[1:]]),
                                            "chain", "event 1 was changed"),
    "the events are missing": (_without("events.jsonl"), "chain", "events.jsonl is missing"),
    "an artifact is changed": (_file("artifacts/out/1.bin", b"another"), "file", "artifacts/out/1.bin was changed"),
    "an artifact is missing": (_without("artifacts/out/0.bin"), "file", "artifacts/out/0.bin is missing"),
    "two artifacts change places": (_swapped, "file", "artifacts/out/0.bin was changed"),
    "an artifact is swapped and signed again": (_other_artifact_signed, "story", "artifact 1 of the statement"),
    "a file is added": (_file("artifacts/extra.txt", b"x"), "file", "artifacts/extra.txt was added"),
    "a file leads outside": (_file("../outside", b"x"), "zip", "an entry that it must not"),
    "a file is there twice": (lambda made: setattr(made, "doubled", "params.json"), "zip", "an entry that it must not"),
    "the report is changed": (_file("report.html", b"<h1>All well</h1>"), "file", "report.html was changed"),
    "the verifier is changed": (_file("verify.py", b"print('HOLDS')"), "file", "verify.py was changed"),
    "the params are changed": (_file("params.json", canonical({**PARAMS, "files": 4})), "file", "params.json was changed"),
    "the params are changed and signed again": (_params_signed, "story", "params.json is not what the run was queued with"),
    "the template is changed and signed again": (_template_signed, "story", "template.json is not what"),
    "the outcome is changed": (_unsigned(lambda p: p["run"].update(status="failed")), "signature", "does not fit"),
    "the outcome is changed and signed again": (_signed(lambda p: p["run"].update(status="failed")), "story", "says failed"),
    "proofs change places": (_signed(lambda p: p["proofs"].reverse()), "story", "proof 1 of the statement"),
    "a proof is left out": (_signed(lambda p: p["proofs"].pop()), "story", "names 1 proofs, the events 2"),
    "a proof is turned": (_signed(lambda p: p["proofs"][1].update(passed=True)), "story", "proof 2 of the statement"),
    "a failed proof becomes required": (_signed(lambda p: p["proofs"][1].update(required=True)), "outcome", "is fast"),
    "a required step did not succeed": (_signed(lambda p: p["steps"][0].update(status="skipped")), "outcome", "its step load"),
    "another person approved": (_signed(lambda p: p["approvals"][0].update(by=OTHER_RUN)), "story", "approval 1"),
    "something else was approved": (_signed(lambda p: p["approvals"][0].update(subject_digest="0" * 64)), "story", "approval 1"),
    "an approval is made up": (_signed(lambda p: p["approvals"].append(p["approvals"][0])), "story", "names 2 approvals"),
    "signed by another key": (lambda made: made.sign(lambda _: None, key(9)), "key", "which is not a key of the trust root"),
    "another key under the known name": (_envelope(lambda e: e["signatures"][0].update(sig="A" * 86 + "==")), "signature", "does not fit"),
    "no signature": (_envelope(lambda e: e.update(signatures=[])), "key", "signed by nobody"),
    "another payload type": (_envelope(lambda e: e.update(payloadType="text/plain")), "envelope", "carries 'text/plain'"),
    "the envelope is no JSON": (_file("statement.dsse.json", b"no"), "envelope", "is not JSON"),
    "the envelope is missing": (_without("statement.dsse.json"), "envelope", "nothing in the bundle is signed"),
    "another kind of statement": (lambda made: made.sign(lambda told: told.update(predicateType="x")), "statement", "is not an in-toto"),
    "a statement that says too little": (_signed(lambda p: p.pop("proofs")), "statement", "lacks what it must say"),
    "the key was revoked": (_trust(revoked_at="2026-12-01T00:00:00Z"), "key", "was revoked"),
    "the key had run out": (_trust(valid_until="2026-11-24T09:00:00Z"), "key", "was not valid at"),
    "the key was not valid yet": (_trust(valid_from="2026-11-25T00:00:00Z"), "key", "was not valid at"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_bundle_is_refused_for_its_reason(name: str, tmp_path: Path) -> None:
    tamper, check, says = TAMPERED[name]
    made = bundle(tmp_path)
    tamper(made)
    with warnings.catch_warnings(action="ignore"):  # zipfile says that a name is there twice
        paths = made.write(tmp_path)
    with pytest.raises(DoesNotHold) as refusal:
        verify(*paths)
    assert (refusal.value.check, says in str(refusal.value)) == (check, True), str(refusal.value)


def test_a_signature_of_another_run_is_refused(tmp_path: Path) -> None:
    made, other = bundle(tmp_path), bundle(tmp_path, record(run_id=OTHER_RUN))
    made.files["statement.dsse.json"] = other.files["statement.dsse.json"]
    with pytest.raises(DoesNotHold, match="event 1 is of another run"):
        verify(*made.write(tmp_path))


def test_a_whole_bundle_holds_and_says_what_it_proves(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    verdict = verify(*made.write(tmp_path))
    assert (verdict.status, verdict.events, verdict.artifacts, verdict.left_out) == ("succeeded", 12, 2, 0)
    assert (verdict.proofs, verdict.approvals, verdict.owner) == (2, 1, "worker 1")


def test_an_old_key_holds_for_what_it_signed_in_its_time(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    made.trust = trust_root().trusting(key(2).public_key(), "next", "2026-11-25T00:00:00Z")
    assert made.trust.keys[0].valid_until == "2026-11-25T00:00:00Z"
    assert verify(*made.write(tmp_path)).owner == "worker 1"


def test_artifacts_may_be_there_by_their_digest_only(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    del made.files["artifacts/out/1.bin"]
    made.sign(lambda told: told["predicate"]["artifacts"][1].update(included=False))
    assert verify(*made.write(tmp_path)).left_out == 1


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path, root = bundle(tmp_path).write(tmp_path)
    for data in (b"", b"PK\x03\x04 no", Path(path).read_bytes()[:-40]):
        Path(path).write_bytes(data)
        with pytest.raises(DoesNotHold, match="not a whole zip"):
            verify(path, root)


def test_the_script_in_the_bundle_runs_alone(tmp_path: Path) -> None:
    """No package is on its path: `-I -S` leaves it the standard library."""
    made = bundle(tmp_path)
    path, root = made.write(tmp_path)
    (tmp_path / "alone.py").write_bytes(made.files["verify.py"])
    command = [sys.executable, "-I", "-S", str(tmp_path / "alone.py"), path, "--trust", root]
    holds = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (holds.returncode, holds.stdout.startswith("HOLDS: run ")) == (0, True), holds
    made.files["params.json"] = b"{}"
    made.write(tmp_path)
    refused = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["check"] == "file"
    Path(root).write_text("{}")
    unreadable = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (unreadable.returncode, "not a trust root" in unreadable.stderr) == (2, True)


@settings(deadline=None, max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511), st.booleans())
def test_signatures_are_judged_as_the_cryptography_package_judges_them(
    seed: bytes, message: bytes, bit: int, flip: bool
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key(), bytearray(private.sign(message))
    if flip:
        signature[bit // 8] ^= 1 << bit % 8
    try:
        public.verify(bytes(signature), message)
        expected = True
    except InvalidSignature:
        expected = False
    assert is_signed(public.public_bytes_raw(), message, bytes(signature)) is expected


def test_the_vector_of_rfc_8032_holds() -> None:
    """Section 7.1, TEST 2."""
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert is_signed(public, b"\x72", signature)
    assert not is_signed(public, b"\x73", signature)


def test_an_approval_of_something_else_is_refused(tmp_path: Path) -> None:
    """The events tell of it, and the key's holder signed it: it is still not what ran."""
    made = record()
    events = [event.model_dump() for event in made.events]
    approval = made.approvals[0].model_copy(update={"subject_digest": "0" * 64})
    story: list[tuple[str, str | None, Any]] = [
        (e["type"], e["step"], {**e["data"], "subject_digest": "0" * 64} if e["type"] == "gate.decided" else e["data"])
        for e in events
    ]
    forged = made.model_copy(update={"approvals": (approval,), "events": chained(story)})
    with pytest.raises(DoesNotHold, match="approval 1 is of another template version or of other params"):
        verify(*bundle(tmp_path, forged).write(tmp_path))
