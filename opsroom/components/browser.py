"""The parts that live in the browser: what moves by itself, dialogs, the log. Their code is in `assets/room/*.js`."""

from typing import Any

import reflex as rx

CLOCK = "$/public/room/clock.js"
BOARD = "$/public/room/board.js"
DIALOG = "$/public/room/dialog.js"
CARDS = "$/public/room/cards.js"


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


class Later(rx.Component):
    """Shows its content once `seconds` have passed since `at`."""

    library = CLOCK
    tag = "Later"
    at: rx.Var[str]
    seconds: rx.Var[int]


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

    library = DIALOG
    tag = "Modal"
    open: rx.Var[bool]
    label: rx.Var[str]
    on_close: rx.EventHandler[rx.event.no_args_event_spec]


class CommandBar(rx.Component):
    """The command bar, closed until its button or Ctrl-K or ⌘-K opens it. Stands beside the pages, once."""

    library = "$/public/room/command.js"
    tag = "CommandBar"


class CommandButton(rx.Component):
    """The button that opens the command bar."""

    library = "$/public/room/command.js"
    tag = "CommandButton"


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

    library = DIALOG
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


def _run(run: rx.Var[str]) -> list[rx.Var[Any]]:
    return [run]


def _run_and_reason(run: rx.Var[str], reason: rx.Var[str]) -> list[rx.Var[Any]]:
    return [run, reason]


def _placed(run: rx.Var[str], lane: rx.Var[str], before: rx.Var[str]) -> list[rx.Var[Any]]:
    return [run, lane, before]


def _lane_paused(lane: rx.Var[str], paused: rx.Var[bool]) -> list[rx.Var[Any]]:
    return [lane, paused]


def _lane_sized(lane: rx.Var[str], capacity: rx.Var[int]) -> list[rx.Var[Any]]:
    return [lane, capacity]


RunHandler = rx.EventHandler[_run]
ReasonHandler = rx.EventHandler[_run_and_reason]


class CardLink(rx.Component):
    """A link to a run's page that opens the run beside the board."""

    library = CARDS
    tag = "CardLink"
    run: rx.Var[str]
    selected: rx.Var[bool]
    on_open: rx.EventHandler[_run]


class Still(rx.Component):
    """Redraws the card in it only when a value that the card was given has changed: Reflex gives every card new objects
    with each update, also those that say the same.
    """

    library = CARDS
    tag = "Still"


class SeenMark(rx.Component):
    """Calls `on_seen` once for a run whose result is `due` to be looked at, when the tab is in front."""

    library = CARDS
    tag = "SeenMark"
    run: rx.Var[str]
    due: rx.Var[bool]
    on_seen: rx.EventHandler[_run]


class Queue(rx.Component):
    """The runs that wait in a lane; `on_place` gets the run, the lane, and the run it goes before or an empty text."""

    library = "$/public/room/queue.js"
    tag = "Queue"
    runs: rx.Var[list[Any]]
    lane: rx.Var[str]
    queued: rx.Var[int]
    unshown: rx.Var[int]
    allowed: rx.Var[bool]
    selected: rx.Var[str]
    on_place: rx.EventHandler[_placed]
    on_open: rx.EventHandler[_run]
    on_cancel: rx.EventHandler[_run_and_reason]


class LaneMenu(rx.Component):
    """A lane's settings: how many runs at once, and whether its queue is held back."""

    library = BOARD
    tag = "LaneMenu"
    lane: rx.Var[str]
    paused: rx.Var[bool]
    capacity: rx.Var[int]
    allowed: rx.Var[bool]
    on_pause: rx.EventHandler[_lane_paused]
    on_capacity: rx.EventHandler[_lane_sized]


class BoardKeys(rx.Component):
    """The board's keys and their sheet; keeps the open run `peek` in the address."""

    library = BOARD
    tag = "BoardKeys"
    peek: rx.Var[str]
    as_of: rx.Var[str]
    on_open: rx.EventHandler[_run]
    on_close: rx.EventHandler[rx.event.no_args_event_spec]


def _text(text: rx.Var[str]) -> list[rx.Var[Any]]:
    return [text]


class CodeEditor(rx.NoSSRComponent):
    """A text of YAML with what is wrong in it. `start` is the saved text of version `base`; `draft` names where the
    browser keeps what is not saved (empty: nowhere); `on_top` a newer version that the person builds on instead. The
    surrounding form sends `source` and `base`.
    """

    library = "$/public/room/editor.js"
    tag = "CodeEditor"
    lib_dependencies: list[str] = [  # noqa: RUF012 - Reflex reads the plain annotation
        "@codemirror/commands@6.11.1",
        "@codemirror/lang-yaml@6.1.3",
        "@codemirror/language@6.13.1",
        "@codemirror/lint@6.9.8",
        "@codemirror/state@6.7.6",
        "@codemirror/view@6.43.15",
        "@lezer/highlight@1.2.5",
    ]
    start: rx.Var[str]
    base: rx.Var[int]
    on_top: rx.Var[int]
    draft: rx.Var[str]
    problems: rx.Var[list[Any]]
    read_only: rx.Var[bool]
    label: rx.Var[str]
    on_edit: rx.EventHandler[_text]


class Ticker(rx.Component):
    """Calls `on_tick` every few `seconds` while it is on the page and the page is looked at."""

    library = "$/public/room/tick.js"
    tag = "Ticker"
    seconds: rx.Var[int]
    on_tick: rx.EventHandler[rx.event.no_args_event_spec]


code_editor = CodeEditor.create
ticker = Ticker.create
elapsed = Elapsed.create
ago = Ago.create
moment = Moment.create
heartbeat = Heartbeat.create
feed_pill = FeedPill.create
later = Later.create
card_link = CardLink.create
seen_mark = SeenMark.create
still = Still.create
queue = Queue.create
lane_menu = LaneMenu.create
board_keys = BoardKeys.create
modal = Modal.create
confirm_button = ConfirmButton.create
command_bar = CommandBar.create
command_button = CommandButton.create
params_form = ParamsForm.create
