"""The page of workers: the fleet, what each of them does, how the sweep goes."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false

from dataclasses import dataclass, field
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice, skeleton
from opsroom.components.browser import ago, confirm_button, elapsed, heartbeat

SILENT_SECONDS = 60
"""After so long without a sign of life the database takes a worker for missing."""


@dataclass(frozen=True)
class HeldView:
    """A run in a worker's hands."""

    href: str = ""
    title: str = ""
    lane: str = ""
    status: str = "running"
    since: str = ""


@dataclass(frozen=True)
class WorkerView:
    """One worker. `state`: online, draining, missing or stopped; `tone` is its colour."""

    id: str = ""
    name: str = ""
    where: str = ""
    state: str = "online"
    word: str = "Online"
    tone: str = "succeeded"
    why: str = ""
    transport: str = ""
    version: str = ""
    odd_version: bool = False
    capacity: int = 1
    active: int = 0
    share: float = 0.0
    started_at: str = ""
    last_seen_at: str = ""
    runs: list[HeldView] = field(default_factory=list)
    unshown: int = 0


@dataclass(frozen=True)
class FleetHead:
    """The fleet in figures."""

    online: int = 0
    trouble: str = ""
    slots: str = ""
    slots_note: str = ""
    queued: int = 0
    oldest_queued_at: str = ""
    stuck: int = 0
    last_sweep_at: str = ""
    held_until: str = ""
    checkpoint_at: str = ""
    checkpoint_late: bool = False
    versions: str = ""


def _tile(label: str, value: Any, note: Any, state: Any = "pending") -> rx.Component:
    return rx.el.div(
        rx.el.dt(label, class_name="tile-label"),
        rx.el.dd(value, class_name="tile-value num"),
        rx.el.dd(note, class_name="tile-note faint"),
        class_name="panel tile",
        data_state=state,
    )


def fleet_head(head: rx.Var[FleetHead]) -> rx.Component:
    """The figures, and what to know about them."""
    return rx.fragment(
        rx.el.dl(
            _tile("Online", head.online, rx.cond(head.trouble, head.trouble, "None missing, none draining")),
            _tile("Slots taken", head.slots, head.slots_note),
            _tile(
                "Waiting",
                head.queued,
                rx.cond(
                    head.oldest_queued_at,
                    rx.fragment("The first for ", elapsed(since=head.oldest_queued_at)),
                    "Nothing waits",
                ),
            ),
            _tile("Stuck", head.stuck, rx.cond(head.stuck > 0, "Their leases are over", "All leases are renewed")),
            _tile(
                "Last sweep",
                rx.cond(head.last_sweep_at, ago(at=head.last_sweep_at), "never"),
                rx.cond(head.held_until, "Held back", "Ends what is stuck"),
            ),
            _tile(
                "Last checkpoint",
                rx.cond(head.checkpoint_at, ago(at=head.checkpoint_at), "never"),
                rx.cond(
                    head.checkpoint_late,
                    "Overdue: ends of runs are not published",
                    rx.cond(head.checkpoint_at, "Publishes the ends of runs", "None was published yet"),
                ),
                state=rx.cond(head.checkpoint_late, "warn", "pending"),
            ),
            class_name="tiles tiles-six",
        ),
        rx.cond(
            head.held_until,
            rx.el.div(
                notice(
                    "warn",
                    "The sweep holds back.",
                    "Most leases ended together. That is rarely all the workers: more often the database or the "
                    "network was away. "
                    "Their runs have one more lease to show that they live; then they are ended as lost.",
                ),
                class_name="runs-done",
            ),
        ),
        rx.cond(
            head.versions,
            rx.el.div(
                notice("info", "Workers of several versions are online.", head.versions),
                class_name="runs-done",
            ),
        ),
    )


def _held(run: rx.Var[HeldView]) -> rx.Component:
    return rx.el.li(
        rx.el.span(run.lane, class_name="runs-lane", title="Lane"),
        nav_link(run.title, to=run.href, class_name="runs-quiet cut"),
        elapsed(since=run.since, class_name="num faint"),
        data_state=run.status,
    )


def _drain(worker: rx.Var[WorkerView], is_admin: rx.Var[bool], drain: Any, resume: Any) -> rx.Component:
    hint = "Only an admin takes a worker out of service."
    return rx.cond(
        worker.state == "draining",
        rx.el.button(
            rx.icon("play", size=14, aria_hidden=True),
            "Resume",
            type="button",
            class_name="btn btn-small",
            aria_label="Resume " + worker.name,
            disabled=~is_admin,
            title=rx.cond(is_admin, "Give it runs again", hint),
            on_click=resume(worker.id),
        ),
        confirm_button(
            rx.icon("circle-pause", size=14, aria_hidden=True),
            "Drain",
            class_name="btn btn-small",
            label="Drain " + worker.name,
            title="Drain " + worker.name + "?",
            body="It gets no more runs. Those it has go on to their end. It can be resumed.",
            confirm_label="Drain it",
            danger=False,
            disabled=~is_admin,
            hint=hint,
            on_confirm=lambda _reason: drain(worker.id),
        ),
    )


def worker_row(worker: rx.Var[WorkerView], is_admin: rx.Var[bool], drain: Any, resume: Any) -> rx.Component:
    """A worker that lives, or should."""
    return rx.el.li(
        rx.el.div(
            rx.el.span(rx.el.i(class_name="feed-dot"), worker.word, class_name="badge", title=worker.why),
            rx.el.div(
                rx.el.h3(worker.name, class_name="cut"),
                rx.el.span(worker.where, class_name="faint mono cut"),
                class_name="stack",
            ),
            class_name="worker-who",
        ),
        rx.el.div(
            rx.el.span(
                rx.el.i(style={"width": rx.Var.create(f"{worker.share * 100}%")}),
                class_name="meter",
                data_state="running",
                aria_hidden=True,
            ),
            rx.el.span(worker.active, " of ", worker.capacity, class_name="num"),
            class_name="worker-slots",
            title="Runs it has, and how many it takes at once",
        ),
        rx.cond(
            worker.runs.length() > 0,
            rx.el.ul(
                rx.foreach(worker.runs, _held),
                rx.cond(worker.unshown > 0, rx.el.li("and ", worker.unshown, " more", class_name="faint")),
                class_name="worker-runs",
            ),
            rx.el.span("No run", class_name="faint worker-runs"),
        ),
        rx.el.div(
            heartbeat(at=worker.last_seen_at, lease=SILENT_SECONDS),
            rx.el.span(
                worker.transport,
                " · ",
                rx.el.span(worker.version, class_name=rx.cond(worker.odd_version, "worker-odd", "")),
                " · up ",
                elapsed(since=worker.started_at, class_name="num"),
                class_name="faint",
            ),
            class_name="worker-facts",
        ),
        rx.el.div(_drain(worker, is_admin, drain, resume), class_name="worker-do"),
        class_name="worker",
        data_state=worker.tone,
        custom_attrs={"data-worker": worker.id, "data-is": worker.state},
    )


def gone_row(worker: rx.Var[WorkerView]) -> rx.Component:
    """A worker of the last day that is not there any more."""
    return rx.el.li(
        rx.el.span(rx.el.i(class_name="feed-dot"), worker.word, class_name="badge", title=worker.why),
        rx.el.span(worker.name, class_name="cut"),
        rx.el.span(worker.where, class_name="faint mono cut"),
        rx.el.span(worker.version, class_name="faint hide-small"),
        rx.el.span(worker.why, class_name="faint cut hide-small"),
        ago(at=worker.last_seen_at, class_name="faint num"),
        class_name="worker-gone",
        data_state=worker.tone,
        custom_attrs={"data-worker": worker.id, "data-is": worker.state},
    )


def worker_list(title: str, count: rx.Var[int], rows: rx.Component) -> rx.Component:
    """Workers under a heading."""
    return rx.el.section(
        rx.el.header(rx.el.h2(title), rx.el.span(count, class_name="faint num"), class_name="box-head"),
        rx.el.ul(rows),
        class_name="panel workers",
        aria_label=title,
    )


def workers_loading() -> rx.Component:
    """The frame before the fleet is there."""
    tile = rx.el.div(skeleton("50%", "12px"), skeleton("36%", "24px"), class_name="panel tile")
    line = rx.el.div(skeleton("90px", "20px"), skeleton("24%", "14px"), skeleton("30%", "12px"), class_name="runs-wait")
    return rx.el.div(
        rx.el.div(*[tile] * 6, class_name="tiles tiles-six"),
        rx.el.div(*[line] * 3, class_name="panel"),
        role="status",
        aria_busy=True,
        aria_label="Loading workers",
    )
