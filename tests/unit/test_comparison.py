"""What counts as the same when a run is repeated, and what does not."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from opsroom.domain.comparison import compare, to_read, unified
from opsroom.domain.errors import InvalidTemplate
from opsroom.domain.evidence.record import RunRecord
from opsroom.domain.evidence.statement import sha256
from opsroom.domain.normalising import Normaliser, matches
from opsroom.domain.template import Compare, parse
from tests.unit.evidence.made import RUN, WORKER, chained, record

AGAIN = "0d7c9d55-8f2c-44ab-8d0f-0b8f35a1e9aa"


def rules(**keys: Any) -> Compare:
    return Compare.model_validate_json(json.dumps(keys))


def side(run_id: str, said: str = "built\n", files: Mapping[str, bytes] | None = None, **changes: Any) -> RunRecord:
    """A run whose one step said something and left files."""
    made = record(run_id=run_id, artifacts=0)
    events = chained(
        [
            ("run.queued", None, {}),
            *(("output", "load", {"stream": "stdout", "text": line}) for line in said.splitlines()),
            ("run.succeeded", None, {}),
        ],
        run_id,
    )
    told = [e.model_copy(update={"message": e.data.get("text", e.message)}) for e in events]
    artifacts = [
        {"name": name, "step": "load", "kind": "json" if name.endswith(".json") else "file",
         "media_type": "text/plain" if name.endswith(".txt") else "application/octet-stream", "sha256": sha256(data),
         "size_bytes": len(data), "object_path": f"{run_id}/{sha256(data)}", "url": None, "carried_from": None}
        for name, data in (files or {}).items()
    ]  # fmt: skip
    return RunRecord.model_validate(
        {**made.model_dump(), "artifacts": artifacts, "events": [e.model_dump() for e in told], **changes}
    )


def found(old: RunRecord, new: RunRecord, with_rules: Compare | None = None, *contents: bytes) -> list[tuple[str, str]]:
    result = compare(old, new, with_rules or Compare(), {sha256(data): data for data in contents})
    assert (result.verdict == "REPRODUCED") is (not result.differences)
    assert (result.of, result.of_head) == (old.run.id, old.events[-1].hash)
    return [(d.place, d.message) for d in result.differences]


def test_ids_and_working_directories_do_not_count_and_all_else_does() -> None:
    old, new = (
        side(run, f"run {run}\nin /srv/runs/opsroom-run-{there}/work\n")
        for run, there in ((RUN, "ab12_x9z"), (AGAIN, "qqqq1234"))
    )
    assert found(old, new) == []
    assert found(old, side(AGAIN, "run nothing\n")) == [("step load, stdout", "differs from line 1 on")]
    assert found(side(RUN), side(AGAIN, "")) == [("step load, stdout", "differs from line 1 on")]


def test_the_first_place_and_a_diff_from_there_are_told() -> None:
    lines = [f"line {n}" for n in range(1, 40_001)]
    other = [*lines[:30_000], "line thirty thousand and one", *lines[30_001:]]
    result = compare(side(RUN, "\n".join(lines[:1000])), side(AGAIN, "\n".join([*lines[:999], "x"])), Compare(), {})
    assert result.differences[0].message == "differs from line 1000 on"
    began = time.monotonic()
    first, diff = unified("\n".join(lines), "\n".join(other))
    assert first == 30_001 and time.monotonic() - began < 1
    assert "@@ -29998,7 +29998,7 @@" in diff and "-line 30001" in diff and "+line thirty thousand and one" in diff
    assert len(unified("a" * 10_000, "b" * 10_000)[1]) < 4000


def test_outcome_steps_and_proofs_are_compared() -> None:
    old = record()
    facts = old.model_dump(mode="json")
    facts["run"] |= {"id": AGAIN, "status": "failed", "reason": "step_failed"}
    facts["steps"][0] |= {"status": "failed", "exit_code": 3}
    facts["proofs"] = [facts["proofs"][0] | {"passed": False}]
    assert found(old, RunRecord.model_validate(facts)) == [
        ("outcome", "was succeeded, is failed (step_failed)"),
        ("step load", "was succeeded, exit code 0, is failed, exit code 3"),
        ("step load, proof answers", "passed, and now not passed"),
        ("step load, proof is fast", "not passed, and now not made"),
    ]


def test_what_an_earlier_attempt_did_is_left_out() -> None:
    old, new = side(RUN, ""), side(AGAIN, "built\n")
    carried = [step.model_copy(update={"carried_from": WORKER}) for step in old.steps]
    result = compare(old.model_copy(update={"steps": tuple(carried)}), new, Compare(), {})
    assert result.verdict == "REPRODUCED"
    assert result.left_out == ("output and proofs of step load: an earlier attempt did it",)


def test_files_count_by_digest_unless_they_are_texts_that_the_rules_make_the_same() -> None:
    one, two = b'{"at": "10:00", "total": 2, "rows": [{"id": 1, "at": "x"}]}', b'{"rows":[{"at":"y","id":1}],"total":2}'
    old, new = side(RUN, files={"out/r.json": one}), side(AGAIN, files={"out/r.json": two})
    pointers = rules(ignore=["/at", "/rows/*/at"])
    assert found(old, new, pointers, one, two) == []
    assert found(old, new, Compare(), one, two) == [("artifact out/r.json", "differs from line 2 on")]
    assert found(old, new, rules(artifacts=["*.txt"])) == []
    assert len(to_read(old, new, Compare())) == 2 and to_read(old, new, rules(artifacts=["*.txt"])) == []

    took, quick = b"took 15 ms\n", b"took 7 ms\n"
    old, new = side(RUN, files={"a.txt": took, "b.bin": took}), side(AGAIN, files={"a.txt": quick, "b.bin": quick})
    durations = rules(normalise=[{"pattern": "[0-9]+ ms", "replace": "N ms"}])
    (only,) = found(old, new, durations, took, quick)
    assert only[0] == "artifact b.bin" and sha256(took) in only[1] and sha256(quick) in only[1]
    # What Storage did not give out is different: nothing is taken for the same unseen.
    assert [place for place, _ in found(old, new, durations, took)] == ["artifact a.txt", "artifact b.bin"]
    assert found(side(RUN, files={"a.txt": took}), side(AGAIN)) == [("artifact a.txt", "is missing")]
    assert found(side(RUN), side(AGAIN, files={"a.txt": took})) == [("artifact a.txt", "is new")]


def test_output_can_be_left_out_and_a_verdict_stays_small() -> None:
    old, new = side(RUN, "a\n"), side(AGAIN, "b\n")
    assert compare(old, new, rules(output=False), {}).left_out == ("output: the template says so",)
    many = {f"{n}.bin": b"%d" % n for n in range(30)}
    result = compare(side(RUN, files=many), side(AGAIN), Compare(), {})
    assert (len(result.differences), result.more) == (10, 20)
    assert len(result.model_dump_json()) < 60_000


@pytest.mark.parametrize(
    ("glob", "name", "counts"),
    [("**", "a/b", True), ("*.md", "a/b.md", False), ("**/*.md", "b.md", True), ("a?.x", "ab.x", True), ("a.x", "abx", False)],
)  # fmt: skip
def test_globs_are_those_of_artifacts(glob: str, name: str, counts: bool) -> None:
    assert matches(glob, name) is counts


def test_no_pattern_takes_long() -> None:
    began = time.monotonic()
    normaliser = Normaliser(rules(normalise=[{"pattern": "(a+)+$", "replace": ""}]), {})
    assert normaliser.text("a" * 50_000 + "b").endswith("b")
    assert matches("**/" * 20 + "x", "a/" * 200 + "y") is False
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"compare": {}}, "/compare"),
        ({"deterministic": True, "compare": {"normalise": [{"pattern": "(?=a)"}]}}, "/compare/normalise/0/pattern"),
        ({"deterministic": True, "compare": {"ignore": ["at"]}}, "/compare/ignore/0"),
    ],
)
def test_rules_that_can_not_be_are_refused_where_they_stand(keys: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidTemplate) as refused:
        parse({"slug": "x", "title": "X", "steps": [{"id": "a", "title": "A", "kind": "noop"}], **keys})
    assert [field.path for field in refused.value.fields] == [path]
