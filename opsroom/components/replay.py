"""A replay's verdict, and the replays of a run."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from collections.abc import Sequence

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import state_icon
from opsroom.components.browser import ago
from opsroom.components.compare_views import DifferenceView, ReplayRow, ReplayView


def _difference(item: rx.Var[DifferenceView]) -> rx.Component:
    return rx.el.li(
        rx.el.span(item.place, class_name="replay-place"),
        rx.el.span(item.message, class_name="muted"),
        rx.cond(item.diff, rx.el.pre(item.diff, class_name="mono replay-diff", tab_index=0)),
    )


def _left_out(item: rx.Var[str]) -> rx.Component:
    return rx.el.li(item)


def verdict(replay: rx.Var[ReplayView], *, with_link: bool = True) -> rx.Component:
    """What a run is a replay of, and whether it left the same."""
    known = replay.verdict != ""
    return rx.el.section(
        rx.el.div(
            state_icon(rx.cond(known, replay.state, "pending"), 16),
            rx.el.span(
                rx.cond(
                    known,
                    rx.el.strong(replay.verdict, class_name="replay-word"),
                    rx.el.strong("A replay, compared when it has ended"),
                ),
            ),
            rx.el.span(
                "Replay of ",
                nav_link(replay.of_short, to=replay.of_href, class_name="mono"),
                rx.cond(known, rx.el.span(f": {replay.compared} compared")),
                class_name="muted",
            ),
            nav_link("Side by side", to=replay.compare, class_name="btn btn-small") if with_link else rx.fragment(),
            class_name="replay-line",
        ),
        rx.cond(
            replay.differences.length() > 0,
            rx.el.ul(rx.foreach(replay.differences, _difference), class_name="replay-list"),
        ),
        rx.cond(replay.more, rx.el.p(replay.more, class_name="faint")),
        rx.cond(
            replay.left_out.length() > 0,
            rx.el.details(
                rx.el.summary("Not compared"),
                rx.el.ul(rx.foreach(replay.left_out, _left_out)),
                class_name="replay-left-out",
            ),
        ),
        class_name="panel replay",
        data_state=rx.cond(known, replay.state, "pending"),
        aria_label="Replay",
    )


def replay_list(replays: rx.Var[Sequence[ReplayRow]]) -> rx.Component:
    """The replays of a run, each with its verdict."""

    def one(item: rx.Var[ReplayRow]) -> rx.Component:
        return rx.el.li(
            nav_link(
                state_icon(rx.cond(item.state == "pending", item.status, item.state), 15),
                rx.el.span(item.word, class_name="attempt-word"),
                ago(at=item.at, class_name="num faint"),
                to=item.href,
                class_name="attempt",
                data_state=rx.cond(item.state == "pending", item.status, item.state),
                title=item.short,
            )
        )

    return rx.el.ol(rx.foreach(replays, one))
