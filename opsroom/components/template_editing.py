"""What stands around the editor of a template: the preview, the verdict, and the way out of a conflict."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice
from opsroom.components.diff import diff_view
from opsroom.components.library_views import Diff
from opsroom.components.plan import plan_preview
from opsroom.components.views import PlanView


def conflict_panel(text: rx.Var[str], diff: rx.Var[Diff], version: rx.Var[int], on_top: Any) -> rx.Component:
    """Somebody else has saved meanwhile: what differs, and how to go on. Nothing is thrown away."""
    what = (
        "Nothing is lost: your text is in the editor. Below is what it would change in theirs. Take over what you want "
        "to keep of theirs, then save on top of it."
    )
    return rx.el.section(
        notice("failed", text, what),
        rx.el.div(diff_view(diff, rx.Var.create(False), "From their version to yours"), class_name="panel clip"),
        rx.el.div(rx.el.button("Save on top of version ", version, type="button", class_name="btn", on_click=on_top)),
        class_name="stack lib-stack gap-below",
        aria_label="Conflict",
    )


def editor_preview(
    title: rx.Var[str], plan: rx.Var[PlanView], outdated: rx.Var[bool], form: rx.Component
) -> rx.Component:
    """The plan and the launch form that the text gives."""
    return rx.el.section(
        rx.el.header(
            rx.el.h2("Preview"),
            rx.el.span(rx.cond(outdated, "of the last valid text", title), class_name="muted cut"),
            class_name="box-head",
        ),
        rx.el.div(
            plan_preview(plan),
            rx.el.h3("Launch form", class_name="eyebrow"),
            form,
            class_name="box-body stack lib-stack",
        ),
        class_name="panel editor-preview",
        aria_label="Preview",
        data_outdated=outdated.to_string(),
    )


def editor_foot(
    *, verdict: rx.Var[str], state: rx.Var[str], saving: rx.Var[bool], disabled: Any, why: Any, back: Any
) -> rx.Component:
    """What the check says, and the button that saves."""
    return rx.el.div(
        rx.el.div(
            rx.match(
                state,
                ("succeeded", rx.icon("circle-check", size=15, aria_hidden=True)),
                ("failed", rx.icon("circle-x", size=15, aria_hidden=True)),
                ("warn", rx.icon("triangle-alert", size=15, aria_hidden=True)),
                rx.icon("loader-circle", size=15, class_name="spin", aria_hidden=True),
            ),
            rx.el.span(verdict),
            class_name="verdict",
            data_state=state,
            role="status",
        ),
        nav_link("Back", to=back, class_name="btn"),
        rx.el.button(
            rx.cond(
                saving,
                rx.icon("loader-circle", size=15, class_name="spin", aria_hidden=True),
                rx.icon("save", size=15, aria_hidden=True),
            ),
            "Save",
            type="submit",
            class_name="btn btn-primary",
            disabled=disabled,
            title=why,
        ),
        class_name="editor-foot",
    )
