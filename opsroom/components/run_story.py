"""What stands beside a run's log: its attempts, who did what, its proofs."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import plain_link, state_icon
from opsroom.components.browser import ago
from opsroom.components.run_views import AttemptView, DeedView, ProofView, RunActs


def attempt_chain(attempts: rx.Var[Sequence[AttemptView]]) -> rx.Component:
    """All runs of a chain of retries, the one at hand marked."""

    def one(item: rx.Var[AttemptView]) -> rx.Component:
        return rx.el.li(
            nav_link(
                state_icon(item.status, 15),
                rx.el.span(
                    rx.el.span(f"Attempt {item.number} ", rx.el.span(item.word, class_name="attempt-word")),
                    rx.el.span(
                        rx.cond(item.reason, rx.el.span(item.reason)),
                        rx.cond(item.how, rx.el.span(item.how)),
                        rx.cond(item.carried, rx.el.span(item.carried)),
                        class_name="attempt-sub",
                    ),
                    class_name="attempt-text",
                ),
                rx.el.span(item.took, class_name="num faint"),
                to=item.href,
                class_name="attempt",
                data_state=item.status,
                aria_current=rx.cond(item.current, "page", "false"),
                title=item.message,
            )
        )

    return rx.el.ol(rx.foreach(attempts, one))


def deed_list(deeds: rx.Var[Sequence[DeedView]]) -> rx.Component:
    """Who did what, in order."""

    def one(item: rx.Var[DeedView]) -> rx.Component:
        return rx.el.li(
            rx.cond(
                item.machine,
                rx.icon("cog", size=14, aria_hidden=True),
                rx.icon("user", size=14, aria_hidden=True),
            ),
            rx.el.span(
                rx.el.span(item.who, class_name="deed-who"),
                f" {item.did}",
                rx.cond(item.why, rx.el.q(item.why, class_name="deed-why")),
            ),
            ago(at=item.at, class_name="num faint"),
            class_name="deed",
        )

    return rx.el.ol(rx.foreach(deeds, one), class_name="deeds")


def proof_list(proofs: rx.Var[Sequence[ProofView]]) -> rx.Component:
    """What was verified: what was expected, what was seen."""

    def one(item: rx.Var[ProofView]) -> rx.Component:
        return rx.el.li(
            state_icon(rx.cond(item.state == "succeeded", "succeeded", "failed"), 15),
            rx.el.span(
                rx.el.span(item.name, class_name="proof-name"),
                rx.el.span(
                    rx.el.span(item.word),
                    rx.cond(item.kind, rx.el.span(item.kind)),
                    rx.el.span("after ", item.step),
                    class_name="attempt-sub",
                ),
                rx.cond(item.message, rx.el.span(item.message, class_name="step-message")),
                rx.cond(
                    (item.expected != "") | (item.seen != ""),
                    rx.el.details(
                        rx.el.summary("Expected and seen"),
                        rx.el.dl(
                            rx.el.dt("Expected"),
                            rx.el.dd(item.expected, class_name="mono"),
                            rx.el.dt("Seen"),
                            rx.el.dd(item.seen, class_name="mono"),
                            class_name="facts",
                        ),
                        class_name="proof-facts",
                    ),
                ),
                class_name="attempt-text",
            ),
            class_name="proof",
            data_state=item.state,
        )

    return rx.el.ol(rx.foreach(proofs, one))


def evidence(acts: rx.Var[RunActs]) -> rx.Component:
    """The signed bundle of a run that is over, to take to whoever checks it."""
    return rx.el.div(
        rx.el.p("One signed file that proves what ran. Check it anywhere with ", rx.el.code("opsroom verify"), "."),
        rx.el.p(
            rx.el.span("signed ", ago(at=acts.signed)),
            rx.el.span(acts.size, class_name="num"),
            rx.el.span(acts.digest, class_name="mono cut", title="sha256"),
            class_name="artifact-meta",
        ),
        plain_link(
            rx.icon("download", size=14, aria_hidden=True), "Download the bundle", href=acts.bundle, class_name="btn"
        ),
        class_name="box-body stack evidence",
    )
