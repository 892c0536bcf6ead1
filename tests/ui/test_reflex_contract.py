"""What `opsroom.room.broadcast` takes for granted of Reflex, which is not quite public: it breaks here before it
breaks a board.
"""

import importlib.metadata
import inspect

from reflex.app import EventNamespace
from reflex.state import StateUpdate
from reflex_base.constants.event import SocketEvent
from reflex_base.constants.state import FIELD_MARKER
from reflex_base.utils.format import json_dumps

from opsroom.app import app
from opsroom.components.views import LaneCard, RunView
from opsroom.pages.board import BoardState
from opsroom.room import broadcast


def test_reflex_is_the_version_that_this_was_written_for() -> None:
    assert importlib.metadata.version("reflex") == "0.10.1"


def test_the_namespace_is_one_of_socket_io_with_rooms() -> None:
    namespace = app.event_namespace
    assert isinstance(namespace, EventNamespace)
    assert namespace.server is app.sio
    for method in (namespace.enter_room, namespace.leave_room, namespace.emit):
        assert inspect.iscoroutinefunction(method)
    assert hasattr(app.sio.manager, "get_participants")  # type: ignore[union-attr]
    assert str(SocketEvent.EVENT) == "event"


def test_an_update_names_vars_as_the_frontend_does() -> None:
    state = BoardState()  # pyright: ignore[reportCallIssue] - Reflex fills in the rest
    fields = state.dict(initial=True)[BoardState.get_full_name()]
    assert f"lane_a{FIELD_MARKER}" in fields
    assert f"freshness{FIELD_MARKER}" in fields


def test_views_reach_the_browser_as_plain_objects() -> None:
    text = json_dumps(StateUpdate(delta={"s": {"lane_a": LaneCard(letter="A"), "active_a": [RunView(id="1")]}}))
    assert '"letter":"A"' in text.replace(": ", ":")
    assert '"id":"1"' in text.replace(": ", ":")


async def test_a_room_nobody_is_in_is_empty() -> None:
    assert broadcast.is_empty("nobody")
