"""Gates: what waits for a person, what exactly is decided, and who decided before."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice, skeleton
from opsroom.components.browser import ago, confirm_button


@dataclass(frozen=True)
class DecisionView:
    """Who decided what, when and why."""

    by: str = ""
    word: str = ""
    state: str = "succeeded"
    comment: str = ""
    at: str = ""


@dataclass(frozen=True)
class GateView:
    """One gate. `may` says that the one who looks may decide; `obstacle` why not."""

    key: str = ""
    run_id: str = ""
    step_id: str = ""
    href: str = ""
    title: str = ""
    where: str = ""
    session: str = ""
    session_href: str = ""
    template: str = ""
    launched_by: str = ""
    launched_at: str = ""
    instructions: str = ""
    params: list[list[str]] = field(default_factory=list)
    digest: str = ""
    needs: str = ""
    decisions: list[DecisionView] = field(default_factory=list)
    expires_at: str = ""
    closed_at: str = ""
    status: str = "waiting"
    word: str = ""
    state: str = "warn"
    may: bool = False
    obstacle: str = ""


def _decision(item: rx.Var[DecisionView]) -> rx.Component:
    return rx.el.li(
        rx.el.span(item.word, class_name="badge", data_state=item.state),
        rx.el.span(item.by, style={"fontWeight": 550}),
        rx.cond(item.comment, rx.el.span("“", item.comment, "”", class_name="gate-comment")),
        ago(at=item.at, class_name="faint"),
        class_name="gate-decision",
    )


def _decide(gate: rx.Var[GateView], decision: str, pending: rx.Var[bool], on_decide: Any) -> rx.Component:
    approve = decision == "approved"
    return confirm_button(
        rx.icon("check" if approve else "x", size=14, aria_hidden=True),
        rx.cond(pending, "Deciding…", "Approve" if approve else "Deny"),
        class_name="btn btn-primary" if approve else "btn",
        label=f"{'Approve' if approve else 'Deny'} {gate.title}",
        title="Approve this?" if approve else "Deny this?",
        body=rx.cond(
            gate.step_id,
            f"“{gate.title}” waits at {gate.where}. "
            + (
                "It goes on when it has all its approvals."
                if approve
                else "The run fails, and nothing after the gate is done."
            ),
            f"“{gate.title}” has not started. "
            + ("It is queued when it has all its approvals." if approve else "It is cancelled."),
        ),
        confirm_label="Approve" if approve else "Deny",
        cancel_label="Not yet",
        ask_reason=True,
        danger=not approve,
        disabled=~gate.may | pending,
        hint=rx.cond(gate.obstacle, f"Not by you: {gate.obstacle}.", "It is being decided."),
        on_confirm=lambda comment: on_decide(gate.run_id, gate.step_id, gate.digest, decision, comment),
    )


def gate_card(gate: rx.Var[GateView], pending: rx.Var[Sequence[str]], on_decide: Any) -> rx.Component:
    """A gate that waits, with all one needs to decide."""
    busy = pending.contains(gate.key)
    return rx.el.article(
        rx.el.header(
            rx.el.div(
                rx.el.h2(nav_link(gate.title, to=gate.href)),
                rx.el.p(
                    rx.el.span(gate.where, style={"fontWeight": 550}),
                    rx.el.span(gate.template, class_name="mono"),
                    nav_link(gate.session, to=gate.session_href),
                    rx.el.span("by ", gate.launched_by, " ", ago(at=gate.launched_at)),
                    class_name="gate-meta",
                ),
                style={"minWidth": 0},
            ),
            rx.el.div(
                rx.el.span(gate.needs, class_name="badge", data_state="warn"),
                rx.el.span("expires ", ago(at=gate.expires_at), class_name="faint"),
                class_name="gate-state",
            ),
            class_name="gate-head",
        ),
        rx.cond(gate.instructions, rx.el.p(gate.instructions, class_name="gate-instructions")),
        rx.cond(
            gate.params.length() > 0,
            rx.el.dl(
                rx.foreach(gate.params, lambda row: rx.fragment(rx.el.dt(row[0]), rx.el.dd(row[1], class_name="mono"))),
                class_name="gate-params",
            ),
            rx.el.p("No params.", class_name="faint"),
        ),
        rx.cond(
            gate.decisions.length() > 0, rx.el.ul(rx.foreach(gate.decisions, _decision), class_name="gate-decisions")
        ),
        rx.el.footer(
            rx.el.span(
                "sha256 ",
                gate.digest,
                class_name="gate-digest mono",
                title="Template version and params: what is decided about",
            ),
            rx.cond(gate.obstacle, rx.el.span("Not by you: ", gate.obstacle, ".", class_name="faint")),
            rx.el.div(
                _decide(gate, "denied", busy, on_decide), _decide(gate, "approved", busy, on_decide), class_name="row"
            ),
            class_name="gate-foot",
        ),
        class_name="panel gate",
        custom_attrs={"data-gate": gate.key},
    )


def closed_gate(gate: rx.Var[GateView]) -> rx.Component:
    """A gate that was closed, in one row."""
    return rx.el.li(
        rx.el.span(gate.word, class_name="badge", data_state=gate.state),
        rx.el.div(
            nav_link(gate.title, to=gate.href, class_name="cut"),
            rx.el.span(gate.where, " · ", gate.template, class_name="faint cut"),
            style={"minWidth": 0, "display": "grid"},
        ),
        rx.el.ul(rx.foreach(gate.decisions, _decision), class_name="gate-decisions"),
        ago(at=gate.closed_at, class_name="faint"),
        class_name="gate-closed",
    )


def looks_on(role: rx.Var[str]) -> rx.Component:
    """Somebody who may see and not decide."""
    return notice("info", "You look on.", f"Deciding needs the role approver; yours is {role}.")


def gates_loading() -> rx.Component:
    """Where the first gates will be."""
    return rx.el.div(
        *(
            rx.el.div(skeleton("40%", "16px"), skeleton("70%"), skeleton("55%"), class_name="panel gate")
            for _ in range(2)
        ),
        class_name="gates",
        role="status",
        aria_busy=True,
        aria_label="Loading",
    )
