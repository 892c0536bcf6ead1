"""The command page: one line, what it was read as, and the button that launches it."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link


@dataclass(frozen=True)
class ProposedView:
    """One run of a proposal."""

    number: str = ""
    title: str = ""
    template: str = ""
    lane: str = ""
    order: str = ""
    risk: str = "info"
    risk_word: str = ""
    params: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    href: str = ""


@dataclass(frozen=True)
class ProposalView:
    """What a line was read as. `by`: the words, or the language model; `key` tells this reading from others."""

    key: str = ""
    runs: list[ProposedView] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    ready: bool = False
    by: str = ""


def line_form(key: rx.Var[str], text: rx.Var[str], on_submit: Any, on_change: Any) -> rx.Component:
    """The line."""
    return rx.el.form(
        rx.el.div(
            rx.icon("terminal", size=17, aria_hidden=True),
            rx.el.input(
                type="text",
                id="line",
                name="line",
                aria_label="Command in plain words",
                placeholder="snapshot odoo_prod then upgrade sale in staging",
                default_value=text,
                key=key,
                on_change=lambda value: on_change(value).debounce(250),
                auto_focus=True,
                auto_complete="off",
                spell_check=False,
                max_length=2000,
                class_name="input words-line",
            ),
            class_name="input-icon",
        ),
        on_submit=on_submit,
        reset_on_submit=False,
        role="search",
    )


def target_choice(chosen: rx.Var[str], sessions: rx.Var[Sequence[Sequence[str]]], on_choose: Any) -> rx.Component:
    """Which session the runs would go into."""
    return rx.el.label(
        rx.el.span("Into", class_name="muted"),
        rx.el.select(
            rx.foreach(sessions, lambda item: rx.el.option(item[1], value=item[0])),
            value=chosen,
            on_change=on_choose,
            aria_label="Session",
            class_name="input",
        ),
        class_name="row words-target",
    )


def _card(card: rx.Var[ProposedView]) -> rx.Component:
    return rx.el.li(
        rx.el.span(card.number, class_name="words-number num", aria_hidden=True),
        rx.el.div(
            rx.el.div(
                rx.el.strong(card.title),
                rx.el.span("Lane ", card.lane, class_name="tag"),
                rx.cond(card.order, rx.el.span(card.order, class_name="faint")),
                rx.cond(card.risk_word, rx.el.span(card.risk_word, class_name="tag", data_state=card.risk)),
                class_name="words-head",
            ),
            rx.el.div(
                rx.cond(
                    card.params.length() > 0,
                    rx.foreach(card.params, lambda text: rx.el.code(text, class_name="words-param")),
                    rx.el.span("With the template's defaults.", class_name="faint"),
                ),
                class_name="words-params",
            ),
            rx.foreach(
                card.problems,
                lambda text: rx.el.div(
                    rx.icon("circle-alert", size=13, aria_hidden=True), rx.el.span(text), class_name="field-error"
                ),
            ),
            class_name="grow",
        ),
        nav_link("Edit in the form", to=card.href, class_name="btn btn-small"),
        class_name="words-card",
    )


def proposal(view: rx.Var[ProposalView], *actions: rx.Component) -> rx.Component:
    """The cards, what was not understood, and the buttons."""
    return rx.el.section(
        rx.el.ol(rx.foreach(view.runs, _card), class_name="words-cards", aria_label="Proposed runs"),
        rx.cond(
            view.unmatched.length() > 0,
            rx.el.p(
                rx.icon("circle-help", size=14, aria_hidden=True),
                "Not understood, and not used:",
                rx.foreach(view.unmatched, lambda word: rx.el.mark(word, class_name="words-left")),
                class_name="words-unmatched",
                role="status",
            ),
        ),
        rx.cond(
            view.runs.length() > 1,
            rx.el.p(
                "Runs in one lane go one after the other, whether or not the one before went well.",
                class_name="field-hint",
            ),
        ),
        rx.el.div(*actions, class_name="row words-actions"),
        class_name="panel words-proposal",
        aria_label="Proposal",
    )
