"""The parts of a run that live in the browser: log, steps, artifacts. Their code is in `assets/room/*.js`."""

from typing import Any

import reflex as rx

VIRTUAL_LIST = ["react-virtuoso@4.18.1"]


class LogView(rx.NoSSRComponent):
    """A run's log, streamed from `src`. `live` says that more may come; `linked` that the selected step and line stand
    in the address and the page's keys are its own.
    """

    library = "$/public/room/log.js"
    tag = "LogView"
    lib_dependencies: list[str] = VIRTUAL_LIST
    src: rx.Var[str]
    live: rx.Var[bool]
    linked: rx.Var[bool]


class StepsView(rx.NoSSRComponent):
    """The steps of a run as bars on the time they took, or as a graph. Selecting one filters a `linked` log."""

    library = "$/public/room/steps.js"
    tag = "StepsView"
    steps: rx.Var[list[Any]]
    graph: rx.Var[Any]
    note: rx.Var[str]
    live: rx.Var[bool]


class ArtifactViewer(rx.NoSSRComponent):
    """An artifact whose bytes are at `src`, shown as its kind asks. `in_place` is a part of a page: it can be closed
    and stands in the address.
    """

    library = "$/public/room/artifact.js"
    tag = "ArtifactView"
    lib_dependencies: list[str] = VIRTUAL_LIST
    src: rx.Var[str]
    in_place: rx.Var[bool]
    on_close: rx.EventHandler[rx.event.no_args_event_spec]


log_view = LogView.create
steps_view = StepsView.create
artifact_viewer = ArtifactViewer.create
