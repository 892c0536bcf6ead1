"""A diff, one below the other or side by side (`opsroom.room.diff` makes it)."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false

import reflex as rx

from opsroom.components.library_views import Diff, DiffLine

SIGNS = {"added": "+", "removed": "−"}  # noqa: RUF001 - a real minus sign is as wide as the plus


def _text(parts: rx.Var[list[str]]) -> rx.Component:
    return rx.el.span(parts[0], rx.cond(parts[1], rx.el.mark(parts[1])), parts[2], class_name="diff-text")


def _sign(kind: rx.Var[str]) -> rx.Component:
    words = {"added": "added", "removed": "removed"}
    return rx.fragment(
        rx.match(
            kind,
            *(
                (k, rx.el.span(SIGNS[k], rx.el.span(w, class_name="visually-hidden"), class_name="diff-sign"))
                for k, w in words.items()
            ),
            rx.el.span(" ", class_name="diff-sign", aria_hidden=True),
        )
    )


def _fold(line: rx.Var[DiffLine]) -> rx.Component:
    return rx.el.div(line.old[0], class_name="diff-fold")


def _unified_line(line: rx.Var[DiffLine]) -> rx.Component:
    whole = rx.el.div(
        rx.el.span(line.left, class_name="diff-no"),
        rx.el.span(line.right, class_name="diff-no"),
        _sign(line.kind),
        rx.cond(line.kind == "added", _text(line.new), _text(line.old)),
        class_name="diff-line",
        data_kind=line.kind,
    )
    return rx.fragment(rx.cond(line.kind == "fold", _fold(line), whole))


def _split_line(line: rx.Var[DiffLine]) -> rx.Component:
    whole = rx.el.div(
        rx.el.span(line.left, class_name="diff-no"),
        rx.el.span(_text(line.old), class_name="diff-side", data_kind=rx.cond(line.left == "", "none", line.kind)),
        rx.el.span(line.right, class_name="diff-no"),
        rx.el.span(_text(line.new), class_name="diff-side", data_kind=rx.cond(line.right == "", "none", line.kind)),
        class_name="diff-pair",
        data_kind=line.kind,
    )
    return rx.fragment(rx.cond(line.kind == "fold", _fold(line), whole))


def diff_view(diff: rx.Var[Diff], split: rx.Var[bool], label: rx.Var[str] | str) -> rx.Component:
    """The comparison, scrolling by itself where it is wide."""
    lines = rx.cond(
        split,
        rx.el.div(rx.foreach(diff.split, _split_line), class_name="diff-lines"),
        rx.el.div(rx.foreach(diff.unified, _unified_line), class_name="diff-lines"),
    )
    return rx.el.div(
        rx.cond(diff.note, rx.el.p(diff.note, class_name="diff-note"), lines),
        class_name="diff",
        role="region",
        aria_label=label,
        tab_index=0,
    )
