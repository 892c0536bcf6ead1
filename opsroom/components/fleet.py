"""The fleet's strip: workers, queue, what is stuck, the last sweep; and the one thing that is wrong, if any."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import reflex as rx

from opsroom.components.basics import notice
from opsroom.components.browser import ago
from opsroom.components.views import FleetView


def _figure(
    name: str, *value: rx.Component | rx.Var[str], state: rx.Var[str] | str = "pending", title: rx.Var[str] | str = ""
) -> rx.Component:
    return rx.el.div(
        rx.el.dt(name), rx.el.dd(*value, class_name="num"), class_name="figure", data_state=state, title=title
    )


def fleet_strip(fleet: rx.Var[FleetView]) -> rx.Component:
    """One line, calm while all is well."""
    return rx.fragment(
        rx.el.dl(
            _figure(
                "Workers",
                rx.el.i(class_name="figure-dot", aria_hidden=True),
                fleet.workers,
                rx.el.span(fleet.workers_hint, class_name="faint figure-more"),
                state=fleet.workers_state,
                title=fleet.workers_hint,
            ),
            _figure(
                "Queue",
                fleet.queued.to_string(),
                rx.cond(
                    fleet.oldest_at,
                    rx.el.span("oldest ", ago(at=fleet.oldest_at, prefix=" "), class_name="faint figure-more"),
                ),
                title="Runs of all sessions that may start now",
            ),
            _figure("Running", fleet.active.to_string(), title="Runs of all sessions that a worker has"),
            _figure(
                "Stuck",
                fleet.stuck.to_string(),
                state=rx.cond(fleet.stuck > 0, "failed", "pending"),
                title="Runs whose worker has not been heard of for longer than its lease",
            ),
            _figure(
                "Last sweep",
                rx.cond(fleet.swept_at, ago(at=fleet.swept_at), "never"),
                title="A sweep ends runs that are stuck and starts their retries",
            ),
            class_name="fleet",
            aria_label="Fleet",
        ),
        rx.cond(fleet.alarm, rx.el.div(notice("failed", fleet.alarm, fleet.alarm_hint), class_name="fleet-alarm")),
    )
