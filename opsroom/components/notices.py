"""What a person is told of on every page: toasts, the number in the tab's title, notifications of the browser."""

from collections.abc import Sequence
from dataclasses import dataclass

import reflex as rx


@dataclass(frozen=True)
class Note:
    """Something that happened: told once to each browser. `at` is the database's time."""

    id: str = ""
    state: str = "pending"
    title: str = ""
    text: str = ""
    href: str = ""
    at: str = ""


class Notices(rx.Component):
    """Tells of new `notes` and writes `needs` into the tab's title. Stands beside the pages, once."""

    library = "$/public/room/notices.js"
    tag = "Notices"
    needs: rx.Var[int]
    notes: rx.Var[Sequence[Note]]
    as_of: rx.Var[str]


class NotifySwitch(rx.Component):
    """Turns notifications of this browser on and off; the browser asks the person the first time."""

    library = "$/public/room/notices.js"
    tag = "NotifySwitch"


notices = Notices.create
notify_switch = NotifySwitch.create
