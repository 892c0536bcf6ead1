"""One version of a template as its page shows it: head, changes, source."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence
from typing import Any

import reflex as rx

from opsroom.components.browser import ago, code_editor
from opsroom.components.diff import diff_view
from opsroom.components.library import segment_links
from opsroom.components.library_views import Diff, VersionRow
from opsroom.components.templates import risk_tag
from opsroom.components.views import TemplateView


def template_head(shown: rx.Var[TemplateView], row: rx.Var[VersionRow], actions: rx.Component) -> rx.Component:
    """Which template, which version, who saved it, and what can be done with it."""
    return rx.el.header(
        rx.el.div(
            rx.el.div(
                rx.el.h1(shown.title),
                risk_tag(shown.risk, shown.risk_word),
                rx.cond(shown.enabled, rx.fragment(), rx.el.span("Disabled", class_name="tag", data_state="warn")),
                class_name="row wrap",
            ),
            rx.el.div(
                rx.el.span(shown.slug, class_name="mono"),
                rx.el.span(row.label, class_name="mono"),
                rx.el.span("saved ", ago(at=row.at)),
                rx.el.span(row.by),
                class_name="head-facts",
            ),
            class_name="stack grow",
            style={"gap": "4px"},
        ),
        actions,
        class_name="lib-head",
    )


def changes_panel(
    *,
    diff: rx.Var[Diff],
    number: rx.Var[int],
    older: rx.Var[Sequence[str]],
    against: rx.Var[str],
    on_choose: Any,
    split: rx.Var[bool],
    on_split: Any,
) -> rx.Component:
    """What changed from another version to the one that is shown."""
    choose = rx.el.select(
        rx.foreach(older, lambda name: rx.el.option("v", name, value=name)),
        value=against,
        on_change=on_choose,
        class_name="input select-small",
        aria_label="Compare with",
    )
    ways = [("false", "Unified", on_split(False)), ("true", "Side by side", on_split(True))]
    return rx.el.section(
        rx.el.header(
            rx.el.h2("Changes"),
            rx.cond(
                older.length() > 0,
                rx.el.span("from", choose, "to ", rx.el.span("v", number, class_name="mono"), class_name="row muted"),
            ),
            rx.el.span(
                rx.el.span("+", diff.added, data_state="succeeded", class_name="tone"),
                " ",
                rx.el.span("-", diff.removed, data_state="failed", class_name="tone"),
                class_name="num mono grow",
            ),
            segment_links(ways, split.to_string(), "How the diff is drawn"),
            class_name="box-head diff-head",
        ),
        diff_view(diff, split, "Changes"),
        class_name="panel clip",
    )


def source_panel(source: rx.Var[str], number: rx.Var[int], digest: rx.Var[str]) -> rx.Component:
    """The version as text, with the digest that pins it."""
    editor = code_editor(
        start=source,
        base=number,
        on_top=0,
        draft="",
        problems=[],
        read_only=True,
        label="The version as YAML",
        key=digest,
    )
    return rx.el.section(
        rx.el.header(
            rx.el.h2("As YAML"),
            rx.el.code("sha256 ", digest, class_name="mono faint cut grow", title=digest),
            rx.el.button(
                rx.icon("copy", size=14, aria_hidden=True),
                "Copy",
                type="button",
                class_name="btn btn-small",
                on_click=[rx.set_clipboard(source), rx.toast.success("Copied", duration=1500)],
            ),
            class_name="box-head",
        ),
        editor,
        class_name="panel source-panel",
    )
