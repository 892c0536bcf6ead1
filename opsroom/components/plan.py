"""The preview of a plan: the graph of steps, and what a run of it promises."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence

import reflex as rx

from opsroom.components.views import PlanNode, PlanView

ICONS = {
    "shell": "terminal",
    "http": "globe",
    "sql": "database",
    "spec_kit": "scroll-text",
    "gate": "stamp",
    "agent": "bot",
    "mcp": "plug",
    "noop": "circle",
}


def kind_icon(kind: rx.Var[str], size: int = 14) -> rx.Component:
    """The shape of a kind of step."""
    cases = [(name, rx.icon(icon, size=size, aria_hidden=True)) for name, icon in ICONS.items()]
    return rx.fragment(rx.match(kind, *cases, rx.icon("box", size=size, aria_hidden=True)))


def _node(node: rx.Var[PlanNode]) -> rx.Component:
    return rx.el.li(
        rx.el.span(kind_icon(node.kind), rx.el.span(node.title, class_name="cut"), class_name="plan-title"),
        rx.el.span(
            rx.el.span(node.kind, class_name="mono"),
            rx.foreach(node.facts, rx.el.span),
            class_name="plan-facts",
        ),
        class_name="plan-node",
        data_gate=node.gate.to_string(),
        title=node.title,
        style={"left": node.x.to_string() + "px", "top": node.y.to_string() + "px"},
    )


def _row(icon: str, word: str, lines: rx.Var[Sequence[str]], nothing: str) -> rx.Component:
    return rx.el.div(
        rx.el.dt(rx.icon(icon, size=14, aria_hidden=True), word),
        rx.el.dd(
            rx.cond(
                lines.length() > 0,
                rx.el.ul(rx.foreach(lines, rx.el.li)),
                rx.el.span(nothing, class_name="faint"),
            )
        ),
        class_name="promise",
    )


def plan_preview(plan: rx.Var[PlanView]) -> rx.Component:
    """The graph, which scrolls by itself where it is wide, and the promises."""
    size = {"width": plan.width.to_string() + "px", "height": plan.height.to_string() + "px"}
    return rx.el.section(
        rx.el.div(
            rx.el.div(
                rx.el.svg(
                    rx.foreach(plan.edges, lambda edge: rx.el.svg.path(d=edge)),
                    class_name="plan-edges",
                    style=size,
                    aria_hidden=True,
                ),
                rx.el.ol(rx.foreach(plan.nodes, _node), aria_label="Steps"),
                class_name="plan-graph",
                style=size,
            ),
            class_name="plan-scroll",
            tab_index=0,
            role="region",
            aria_label="Graph of the steps",
        ),
        rx.el.dl(
            _row("shield-check", "Verified", plan.verified, "Only that every step ends well"),
            _row("package", "Kept", plan.artifacts, "Nothing but the log"),
            _row("stamp", "Approvals", plan.approvals, "None needed"),
            _row("timer", "Limits", plan.limits, ""),
            rx.cond(plan.secrets.length() > 0, _row("key-round", "Secrets", plan.secrets, "")),
            class_name="promises",
        ),
        class_name="plan-preview",
        aria_label="Plan",
    )
