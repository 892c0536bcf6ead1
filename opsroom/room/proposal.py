"""A line of plain words as cards to confirm, and the launch of what was confirmed."""

import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from opsroom.components.command_views import ProposalView, ProposedView
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.control_plane.models import Template
from opsroom.domain.errors import FieldError, OpsRoomError
from opsroom.domain.lifecycle import LANES, Lane
from opsroom.domain.plain_words import ProposedRun, Reading, Runbook

RISKS: Final = {"warn": "Changes things", "block": "Dangerous"}


def runbooks(templates: Sequence[Template]) -> list[Runbook]:
    """The templates that may be launched, as reading needs them."""
    return [Runbook(t.slug, t.title, t.params_schema, t.description) for t in templates if t.enabled]


def lanes(runs: Sequence[ProposedRun]) -> list[Lane]:
    """The lane of each run: as was said; that of the run before, for one that follows it; else the next free one."""
    chosen: list[Lane] = []
    for run in runs:
        if run.lane:
            chosen.append(run.lane)
        elif run.follows and chosen:
            chosen.append(chosen[-1])
        else:
            free: list[Lane] = [lane for lane in LANES if lane not in chosen]
            chosen.append(free[0] if free else "A")
    return chosen


def proposal_view(
    reading: Reading, templates: Sequence[Template], session_id: str, *, by: str, key: str
) -> ProposalView:
    """The cards. `by` says who read the line, `key` stands for this reading."""
    risks = {template.slug: template.risk for template in templates}
    cards = [
        _card(index, run, lane, risks.get(run.template, "info"), session_id)
        for index, (run, lane) in enumerate(zip(reading.runs, lanes(reading.runs), strict=True))
    ]
    left = [*reading.unmatched, *(word for run in reading.runs for word in run.unmatched)]
    ready = bool(cards) and not any(card.problems for card in cards)
    return ProposalView(key=key, runs=cards, unmatched=left, ready=ready, by=by)


def _card(index: int, run: ProposedRun, lane: Lane, risk: str, session_id: str) -> ProposedView:
    params = json.dumps(dict(run.params), ensure_ascii=False)
    order = "After the run before it" if run.follows and index else "In parallel" if index else ""
    return ProposedView(
        number=str(index + 1),
        title=run.title,
        template=run.template,
        lane=lane,
        order=order,
        risk=risk,
        risk_word=RISKS.get(risk, ""),
        params=[f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in run.params.items()],
        problems=[_sentence(error) for error in run.errors],
        href=f"/sessions/{session_id}/launch?template={run.template}&lane={lane}&params={quote(params)}",
    )


def _sentence(error: FieldError) -> str:
    where = error.path.removeprefix("/").replace("/", " ")
    return f"{where or 'params'} {error.message}"


async def launch(room: ControlPlane, session_id: str, runs: Sequence[ProposedRun], key: str) -> tuple[list[str], str]:
    """Queue the runs in order. The answer: what was queued, and why it stopped, empty if it did not. Asked again with
    the same key, what is queued already is not queued twice.
    """
    queued: list[str] = []
    for index, (run, lane) in enumerate(zip(runs, lanes(runs), strict=True)):
        try:
            done = await room.create_run(
                session_id, run.template, run.params, lane=lane, idempotency_key=f"{key}:{index}"
            )
        except ControlPlaneUnreachable as error:
            return queued, f"{error.message} Launching again queues nothing twice."
        except OpsRoomError as error:
            return queued, f"{run.title} was refused: {error.message} {error.hint or ''}".strip()
        queued.append(f"{done.title} in lane {done.lane}")
    return queued, ""
