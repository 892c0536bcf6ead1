"""The parts that live in the browser: what moves by itself, dialogs, the log. Their code is in `assets/room/*.js`."""

from typing import Any

import reflex as rx

CLOCK = "$/public/room/clock.js"


class Elapsed(rx.Component):
    """A clock that counts from `since`, or the time between `since` and `until`."""

    library = CLOCK
    tag = "Elapsed"
    since: rx.Var[str]
    until: rx.Var[str]


class Ago(rx.Component):
    """How long ago `at` was; `prefix` stands before the age instead of "ago" behind it."""

    library = CLOCK
    tag = "Ago"
    at: rx.Var[str]
    prefix: rx.Var[str]


class Moment(rx.Component):
    """`at` as a time of day."""

    library = CLOCK
    tag = "Moment"
    at: rx.Var[str]


class Heartbeat(rx.Component):
    """The age of a worker's last heartbeat, against the `lease` (seconds) it was given."""

    library = CLOCK
    tag = "Heartbeat"
    at: rx.Var[str]
    lease: rx.Var[int]


class FeedPill(rx.Component):
    """Says whether the page shows the truth. Judged in the browser, as the server may be what is gone."""

    library = CLOCK
    tag = "FeedPill"
    mode: rx.Var[str]
    as_of: rx.Var[str]
    reason: rx.Var[str]
    offline: rx.Var[bool]


class Modal(rx.Component):
    """A dialog that keeps the focus and closes on Escape."""

    library = CLOCK
    tag = "Modal"
    open: rx.Var[bool]
    label: rx.Var[str]
    on_close: rx.EventHandler[rx.event.no_args_event_spec]


def _texts(texts: rx.Var[str]) -> list[rx.Var[Any]]:
    return [texts]


class ParamsForm(rx.Component):
    """The fields of a template's params, `start` in them; `memory` names what the browser remembers of the last launch,
    which `filled` params keep out. `on_edit` gets the tree of texts as JSON; the surrounding form sends it as `params`.
    `attempt` counts the refused launches: from the first one on, all `errors` show, those of fields left alone too.
    """

    library = "$/public/room/params.js"
    tag = "ParamsForm"
    fields: rx.Var[list[Any]]
    start: rx.Var[dict[str, Any]]
    errors: rx.Var[dict[str, str]]
    attempt: rx.Var[int]
    memory: rx.Var[str]
    filled: rx.Var[bool]
    on_edit: rx.EventHandler[_texts]


def _reason(reason: rx.Var[str]) -> list[rx.Var[Any]]:
    return [reason]


class ConfirmButton(rx.Component):
    """A button that asks once more; `on_confirm` gets the reason, empty if none was asked for or given."""

    library = CLOCK
    tag = "ConfirmButton"
    label: rx.Var[str]
    title: rx.Var[str]
    body: rx.Var[str]
    confirm_label: rx.Var[str]
    cancel_label: rx.Var[str]
    ask_reason: rx.Var[bool]
    danger: rx.Var[bool]
    disabled: rx.Var[bool]
    hint: rx.Var[str]
    on_confirm: rx.EventHandler[_reason]


class LogView(rx.NoSSRComponent):
    """A run's log, streamed from `src`. `live` says that more may come."""

    library = "$/public/room/log.js"
    tag = "LogView"
    lib_dependencies: list[str] = ["react-virtuoso@4.18.1"]  # noqa: RUF012 - Reflex reads the plain annotation
    src: rx.Var[str]
    live: rx.Var[bool]


elapsed = Elapsed.create
ago = Ago.create
moment = Moment.create
heartbeat = Heartbeat.create
feed_pill = FeedPill.create
modal = Modal.create
confirm_button = ConfirmButton.create
log_view = LogView.create
params_form = ParamsForm.create
