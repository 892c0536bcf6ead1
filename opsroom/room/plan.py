"""What a run of a template will do, before it is launched: its graph, laid out from left to right, and its promises."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opsroom.components.views import PlanNode, PlanView
from opsroom.domain.template import Approval
from opsroom.room.present import span

WIDTH: Final = 176
HEIGHT: Final = 58
GAP_X: Final = 40
GAP_Y: Final = 12
EXPECTED: Final = {"status": "the status", "body_contains": "a text in the body", "json_path": "a value in the body"}
Steps = list[Mapping[str, Any]]


def plan_view(spec: Mapping[str, Any]) -> PlanView:
    """The plan of the template that `spec` defines."""
    steps: Steps = list(spec.get("steps", []))
    places, edges, (width, height) = lay_out(steps)
    return PlanView(
        width=width,
        height=height,
        nodes=[_node(step, *places[step["id"]]) for step in steps],
        edges=[path for _, path in edges],
        verified=[line for step in steps for line in _verified(step)],
        artifacts=[_artifact(step, rule) for step in steps for rule in step.get("artifacts", ())],
        approvals=list(_approvals(spec, steps)),
        limits=list(_limits(spec)),
        secrets=[str(name) for name in spec.get("secrets", ())],
    )


def lay_out(steps: Steps) -> tuple[dict[str, tuple[int, int]], list[tuple[str, str]], tuple[int, int]]:
    """Where each step stands (left upper corner), the edges as (step it comes from, SVG path), and width and height."""
    columns = _columns(steps)
    places = _places(steps, columns)
    edges = [
        (need, _edge(places[need], places[step["id"]]))
        for step in steps
        for need in step.get("needs", ())
        if need in places
    ]
    width = (max(columns.values(), default=0) + 1) * (WIDTH + GAP_X) - GAP_X
    return places, edges, (width, max((y for _, y in places.values()), default=0) + HEIGHT)


def _columns(steps: Steps) -> dict[str, int]:
    """How many steps come before each one, on the longest way to it."""
    columns: dict[str, int] = {}
    while len(columns) < len(steps):
        ready = [s for s in steps if s["id"] not in columns and all(need in columns for need in s.get("needs", ()))]
        for step in ready:
            columns[step["id"]] = 1 + max((columns[need] for need in step.get("needs", ())), default=-1)
        if not ready:
            break  # a circle, which no saved template has
    return {**{step["id"]: 0 for step in steps}, **columns}


def _places(steps: Steps, columns: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Left upper corners. A column keeps the order of the steps that it comes from, so that few edges cross."""
    rows: dict[str, float] = {}
    places: dict[str, tuple[int, int]] = {}
    for column in range(max(columns.values(), default=0) + 1):
        here = [step for step in steps if columns[step["id"]] == column]
        origin = {step["id"]: _mean([rows[n] for n in step.get("needs", ()) if n in rows]) for step in here}
        for row, step in enumerate(sorted(here, key=lambda step: origin[step["id"]])):
            rows[step["id"]] = row
            places[step["id"]] = (column * (WIDTH + GAP_X), row * (HEIGHT + GAP_Y))
    return places


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + WIDTH, start[1] + HEIGHT // 2
    x2, y2 = end[0], end[1] + HEIGHT // 2
    bend = (x1 + x2) // 2 if x2 - x1 <= GAP_X else x1 + GAP_X // 2
    return f"M{x1} {y1} C{bend} {y1} {bend} {y2} {x2} {y2}"


def _node(step: Mapping[str, Any], x: int, y: int) -> PlanNode:
    kind = str(step.get("kind", ""))
    count = len(step.get("artifacts", ())), len(_checks(step))
    facts = [
        "waits for a person" if kind == "gate" else f"≤ {_seconds(step.get('timeout_seconds', 600))}",
        f"{count[0]} artifact{'s' if count[0] > 1 else ''}" if count[0] else "",
        f"{count[1]} check{'s' if count[1] > 1 else ''}" if count[1] else "",
        "may fail" if step.get("required") is False else "",
        "can be undone" if step.get("rollback") else "",
    ]
    return PlanNode(
        id=str(step["id"]),
        title=str(step.get("title") or step["id"]),
        kind=kind,
        gate=kind == "gate",
        x=x,
        y=y,
        facts=[fact for fact in facts if fact],
    )


def _checks(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*step.get("preconditions", ()), *step.get("verifiers", ())]


def _verified(step: Mapping[str, Any]) -> Iterable[str]:
    title = step.get("title") or step["id"]
    for check in step.get("preconditions", ()):
        yield f"Before {title}: {_check(check)}"
    for check in step.get("verifiers", ()):
        yield f"{title}: {_check(check)}"
    if step.get("kind") == "http" and (expect := step.get("with", {}).get("expect")):
        names: dict[str, str] = {
            "status": "the status",
            "body_contains": "a text in the body",
            "json_path": "a value in the body",
        }
        yield f"{title}: {' and '.join(names.get(str(key), str(key)) for key in expect)}"


def _artifact(step: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    must = "" if rule.get("required", True) else " (if there is one)"
    return f"{rule.get('path')}{must} from {step.get('title') or step['id']}"


def _check(check: Mapping[str, Any]) -> str:
    return f"{check.get('name')}{'' if check.get('required', True) else ' (may fail)'}"


def _approvals(spec: Mapping[str, Any], steps: Steps) -> Iterable[str]:
    before = spec.get("approval") or ({} if spec.get("risk") == "block" else None)
    if before is not None:
        yield f"Before it starts: {_approvers(before)}"
    for step in steps:
        if step.get("kind") == "gate":
            yield f"At {step.get('title') or step['id']}: {_approvers(step.get('with', {}))}"


def _approvers(policy: Mapping[str, Any]) -> str:
    """Who has to approve, in words; what a policy leaves out is as `opsroom.domain.template.Approval` says."""
    rule = Approval.model_validate(dict(policy))
    who = f"{rule.role}s" if rule.approvers > 1 else f"{'an' if rule.role[0] in 'aeiou' else 'a'} {rule.role}"
    count = f"{rule.approvers} " if rule.approvers > 1 else ""
    return f"{count}{who}{'' if rule.self_approval else ' other than you'}, within {_seconds(rule.expires_seconds)}"


def _limits(spec: Mapping[str, Any]) -> Iterable[str]:
    yield f"Ends after {_seconds(spec.get('timeout_seconds', 3600))} at the latest"
    if waits := spec.get("queue_timeout_seconds"):
        yield f"Is given up when it did not start within {_seconds(waits)}"
    retry: Mapping[str, Any] = spec.get("retry", {})
    again = [{"failed": "failed", "lost": "was lost", "timed_out": "timed out"}[on] for on in retry.get("on", ())]
    more = int(retry.get("attempts", 1)) - 1
    if more > 0 and again:
        yield f"Is tried again up to {more} time{'s' if more > 1 else ''} when it {' or '.join(again)}"
    else:
        yield "Is not tried again by itself once it has started"
    if spec.get("concurrency_key"):
        yield "Never at the same time as another run with the same key"
    if rate := spec.get("rate_limit"):
        yield f"At most {rate['runs']} in {_seconds(rate['per_seconds'])}, with all other runs of the template"


def _seconds(seconds: int) -> str:
    return span(dt.datetime.min, dt.datetime.min + dt.timedelta(seconds=int(seconds))).replace(" m 00 s", " m")
