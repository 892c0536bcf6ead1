"""The person in front of the tab, for every page. Each event handler asks `signed_in` first: any of them can be called
from any page, and from a bare socket, so what the page shows protects nothing.
"""

from typing import Any, Final
from urllib.parse import quote

import reflex as rx

from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.domain.lifecycle import at_least
from opsroom.room import broadcast, live
from opsroom.room.attention import attention
from opsroom.room.sign_ins import SignIn, cookie_of, require

LOAD_AGAIN_SECONDS: Final = 1.5
"""How long a page that could not load waits before it tries again by itself."""

NEEDS_OPERATOR: Final = "Your role may look, not act. Ask an admin for the role operator."


class Viewer(rx.State):
    """Who is signed in, as every page shows it."""

    name: rx.Field[str] = rx.field("")
    initials: rx.Field[str] = rx.field("")
    email: rx.Field[str] = rx.field("")
    role: rx.Field[str] = rx.field("")
    may_operate: rx.Field[bool] = rx.field(False)


def signed_in(state: rx.State) -> SignIn:
    """The sign-in of the browser whose event is being handled. Raises NotAuthenticated when it has none any more."""
    return require(cookie_of(state.router.headers.raw_headers))


async def arrive(state: rx.State) -> SignIn:
    """A page was opened: stop what the tab showed live before, and fill in who looks. Raises as `signed_in` and
    `whoami` do.
    """
    tab = broadcast.tab_of(state)
    await live.leave(tab)
    sign_in = signed_in(state)
    member = await sign_in.member()
    viewer = await state.get_state(Viewer)
    viewer.name = member.display_name or member.email.partition("@")[0]
    viewer.initials = "".join(part[0] for part in viewer.name.replace(".", " ").split()[:2])
    viewer.email, viewer.role = member.email, member.role
    viewer.may_operate = at_least(member.role, "operator")
    told = await live.watch(tab, sign_in, attention(member))
    await told.show(tab)
    return sign_in


def to_sign_in(state: rx.State) -> Any:
    """Go and sign in, then come back here. A full page load, so that the new cookie gets a new socket."""
    url = state.router.url
    return rx.redirect(
        f"/sign-in?next={quote(f'{url.path}?{url.query}' if url.query else url.path)}", is_external=False
    )


def refusal(error: OpsRoomError) -> Any:
    """A toast that says why something was not done, and what to do."""
    if isinstance(error, NotAuthenticated):
        return rx.redirect("/sign-in?reason=signed_out")
    return rx.toast.error(error.message, description=error.hint or "", duration=8000)
