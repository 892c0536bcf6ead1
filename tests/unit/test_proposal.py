"""From a reading to cards, and from a language model's answer to a reading: it is trusted no more than a person."""

from typing import Any

import pytest

from opsroom.control_plane.models import Template
from opsroom.domain.plain_words import ProposedRun, Reading, Runbook
from opsroom.room.language_model import configured, proposal
from opsroom.room.proposal import lanes, proposal_view, runbooks

SCHEMA: dict[str, Any] = {"required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}}}
BOOKS = [Runbook("greet", "Greet somebody", SCHEMA)]


def test_each_run_gets_a_lane() -> None:
    def run(**more: Any) -> ProposedRun:
        return ProposedRun("greet", "Greet", {}, **more)

    assert lanes([run(), run(follows=True), run(), run(lane="D"), run(follows=True), run()]) == list("AABDDC")
    assert lanes([run(follows=True), *(run() for _ in range(5))]) == ["A", "B", "C", "D", "A", "A"]


def test_a_proposal_is_ready_when_nothing_is_wrong_with_it() -> None:
    spec = {"title": "Greet somebody", "risk": "warn", "params": SCHEMA}
    template = Template.model_validate({"slug": "greet", "version": 1, "digest": "d", "spec": spec})
    off = template.model_copy(update={"slug": "off", "enabled": False})
    assert [book.slug for book in runbooks([template, off])] == ["greet"]
    good = proposal({"runs": [{"template": "greet", "params": {"name": "ada"}}]}, BOOKS)
    view = proposal_view(good, [template], "s", by="words", key="k")
    assert view.ready
    assert (view.runs[0].params, view.runs[0].risk_word, view.runs[0].lane) == (['name = "ada"'], "Changes things", "A")
    bad = Reading((ProposedRun("greet", "Greet", {}, unmatched=("quickly",), errors=good.runs[0].errors),), ("oh",))
    assert proposal_view(bad, [template], "s", by="words", key="k").unmatched == ["oh", "quickly"]
    assert not proposal_view(Reading(), [template], "s", by="words", key="k").ready


def test_what_a_model_proposes_is_checked() -> None:
    answer = {
        "runs": [
            {"template": "greet", "params": {"name": "ADA", "sudo": True}, "lane": "Z", "follows": True},
            {"template": "rm-rf", "params": {}},
            {"template": "greet", "params": {"name": "ada"}, "lane": "C", "follows": True},
        ],
        "unmatched": ["please", 7],
    }
    reading = proposal(answer, BOOKS)
    assert [(run.lane, run.follows) for run in reading.runs] == [(None, False), ("C", True)]
    assert {error.path for error in reading.runs[0].errors} == {"/name", "/sudo"}
    assert reading.runs[1].errors == ()
    assert reading.unmatched == ("please", "7")


@pytest.mark.parametrize(
    "answer", [None, [], "x", {"runs": "all"}, {"runs": [None, 1, {"params": []}]}, {"runs": [{"template": []}]}]
)
def test_nonsense_is_no_proposal(answer: object) -> None:
    assert proposal(answer, BOOKS) == Reading()


def test_a_model_is_configured_by_address_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPSROOM_LLM_URL", "OPSROOM_LLM_MODEL", "OPSROOM_LLM_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert configured() is None
    monkeypatch.setenv("OPSROOM_LLM_URL", "http://127.0.0.1:1/v1/")
    assert configured() is None
    monkeypatch.setenv("OPSROOM_LLM_MODEL", "m")
    model = configured()
    assert model is not None
    assert (model.url, model.name, model.key) == ("http://127.0.0.1:1/v1", "m", "")
