"""How a page that shows one subject live is opened: the same for all of them."""

from collections.abc import AsyncGenerator
from typing import Any

import reflex as rx

from opsroom.components.views import Freshness
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.room import broadcast
from opsroom.room.live import Subject, watch
from opsroom.room.viewer import arrive, to_sign_in


async def open_live(state: Any, subject: Subject, load_again: Any) -> AsyncGenerator[Any, None]:
    """Show `subject` in the tab of `state`, whose vars `phase`, `problem_title` and `problem_text` say how the page
    stands; what this yields, the event handler yields. The tab joins first and gets the picture second. `load_again`
    is asked for when the control plane can not be reached.
    """
    page: rx.State = state
    setattr(page, subject.freshness, Freshness())
    try:
        sign_in = await arrive(page)
        yield
        tab = broadcast.tab_of(page)
        live = await watch(tab, sign_in, subject)
        for name, value in (await live.snapshot()).items():
            setattr(page, name, value)
        yield
        await live.show(tab)
    except NotAuthenticated:
        yield to_sign_in(page)
    except OpsRoomError as error:
        state.phase, state.problem_title, state.problem_text = "problem", error.message, error.hint or ""
        if isinstance(error, ControlPlaneUnreachable):
            yield load_again
