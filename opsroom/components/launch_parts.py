"""The parts of the launch page around the form."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import blank, notice, skeleton
from opsroom.components.forms import labelled, lane_choice, template_choice
from opsroom.components.plan import plan_preview
from opsroom.components.views import LaneOutcome, PlanView, TemplateView
from opsroom.domain.lifecycle import LANES


def template_picker(
    templates: rx.Var[Sequence[TemplateView]], chosen: rx.Var[str], query: rx.Var[str], on_search: Any, href: Any
) -> rx.Component:
    """All templates, with a search."""
    return rx.el.aside(
        rx.el.div(
            rx.el.div(
                rx.icon("search", size=14, aria_hidden=True),
                rx.el.input(
                    type="search",
                    placeholder="Search templates",
                    aria_label="Search templates",
                    class_name="input",
                    on_change=on_search,
                    auto_focus=True,
                ),
                class_name="input-icon",
            ),
            class_name="picker-head",
        ),
        rx.el.nav(
            rx.foreach(
                templates,
                lambda item: rx.cond(
                    item.search.contains(query.lower()),
                    template_choice(item, chosen, href),
                ),
            ),
            class_name="picker-list",
            aria_label="Templates",
        ),
        class_name="panel picker",
    )


def template_head(chosen: rx.Var[TemplateView], plan: rx.Var[PlanView]) -> rx.Component:
    """What will be launched: its name, what it does, its risk and its plan."""
    return rx.el.div(
        rx.el.div(
            rx.el.h1(chosen.title, style={"fontSize": "var(--t-16)"}),
            rx.el.span(chosen.slug, " ", chosen.version, class_name="faint mono"),
            class_name="row",
            style={"alignItems": "baseline", "flexWrap": "wrap"},
        ),
        rx.cond(chosen.description, rx.el.p(chosen.description, class_name="muted", style={"maxWidth": "78ch"})),
        rx.match(
            chosen.risk,
            ("warn", notice("warn", "This changes things.", "Read what it does before you launch it.")),
            ("block", notice("failed", "This is dangerous.", "What it does may not be undone.")),
            rx.fragment(),
        ),
        plan_preview(plan),
        class_name="form-part",
    )


def _outcomes(outcomes: rx.Var[Sequence[LaneOutcome]]) -> rx.Component:
    """What became of each lane, when not all of them went well."""
    return rx.el.ul(
        rx.foreach(
            outcomes,
            lambda item: rx.el.li(
                rx.cond(
                    item.done,
                    rx.icon("circle-check", size=15, aria_hidden=True),
                    rx.icon("circle-x", size=15, aria_hidden=True),
                ),
                rx.el.strong("Lane ", item.lane),
                rx.cond(item.href, nav_link(item.text, to=item.href, class_name="link"), rx.el.span(item.text)),
                data_state=rx.cond(item.done, "succeeded", "failed"),
            ),
        ),
        class_name="outcomes",
        aria_label="What became of each lane",
    )


def launch_foot(
    *,
    refused: rx.Var[str],
    launching: rx.Var[bool],
    back: rx.Var[str],
    word: rx.Var[str],
    may_operate: rx.Var[bool],
    enabled: rx.Var[bool],
) -> rx.Component:
    """What stands in the way, and the buttons."""
    return rx.el.div(
        rx.cond(
            refused,
            rx.el.div(
                rx.icon("circle-alert", size=14, aria_hidden=True),
                rx.el.span(refused),
                class_name="field-error",
                role="alert",
                style={"marginRight": "auto"},
            ),
        ),
        nav_link("Back", to=back, class_name="btn"),
        rx.el.button(
            rx.cond(
                launching,
                rx.icon("loader-circle", size=15, class_name="spin", aria_hidden=True),
                rx.icon("play", size=14, aria_hidden=True),
            ),
            word,
            type="submit",
            class_name="btn btn-primary",
            disabled=launching | ~may_operate | ~enabled,
            title=rx.cond(may_operate, "", "Viewers cannot launch runs. Ask an admin for the role operator."),
        ),
        class_name="launch-foot",
    )


def how_it_runs(
    *,
    template: rx.Var[TemplateView],
    lane: rx.Var[str],
    title_text: rx.Var[str],
    errors: rx.Var[dict[str, str]],
    again: rx.Var[bool],
    outcomes: rx.Var[Sequence[LaneOutcome]],
    served: rx.Var[Sequence[str]],
) -> rx.Component:
    """Lanes, title, and for a new run its priority and earliest start. `again`: the run repeats an old one and has its
    title.
    """
    priority = rx.el.input(
        type="number", id="priority", name="priority", default_value="0", min="-100", max="100", class_name="input num"
    )
    when = rx.el.input(type="datetime-local", id="not_before", name="not_before", class_name="input")
    title = rx.el.input(
        type="text",
        id="title",
        name="title",
        max_length=120,
        default_value=title_text,
        placeholder=template.title,
        auto_complete="off",
        class_name="input",
        disabled=again,
    )
    only_new = ~again
    return rx.el.div(
        rx.el.h2("How it runs"),
        lane_choice(lane, LANES, served, errors.get("lanes", "")),
        rx.cond(outcomes.length() > 0, _outcomes(outcomes)),
        rx.el.div(
            labelled("Title", title, name="title", required=False, class_name="field wide"),
            rx.cond(
                only_new,
                labelled(
                    "Priority",
                    priority,
                    name="priority",
                    hint="-100 to 100; the higher goes first.",
                    error=errors.get("priority", ""),
                ),
            ),
            rx.cond(
                only_new,
                labelled(
                    "Not before",
                    when,
                    name="not_before",
                    hint="In UTC. Empty: as soon as the lane is free.",
                    error=errors.get("not_before", ""),
                    required=False,
                ),
            ),
            class_name="form-grid",
        ),
        class_name="form-part",
    )


def launch_loading() -> rx.Component:
    """The page before the templates are known."""
    return rx.el.div(
        rx.el.div(
            *(skeleton("100%", "44px") for _ in range(5)),
            class_name="panel stack",
            style={"gap": "10px", "padding": "12px"},
        ),
        rx.el.div(
            *(skeleton(width, "34px") for width in ("40%", "100%", "100%", "60%")),
            class_name="panel stack",
            style={"gap": "18px", "padding": "20px"},
        ),
        class_name="launch",
        aria_hidden=True,
    )


def nothing_picked() -> rx.Component:
    """What stands where the form will be."""
    text = "Its form appears here. A template says what runs, in which order, and what is kept of it."
    return rx.el.div(blank("list-checks", "Pick a template", text), class_name="panel")
