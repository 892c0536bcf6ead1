"""The room: the Reflex app, its pages, and the server it is mounted into."""

import reflex as rx

from opsroom.components.browser import command_bar
from opsroom.components.notices import notices
from opsroom.components.shell import starting
from opsroom.pages.approvals import ApprovalsState, approvals
from opsroom.pages.artifact import ArtifactState, artifact
from opsroom.pages.board import BoardState, board
from opsroom.pages.command import CommandState, command
from opsroom.pages.launch import LaunchState, launch
from opsroom.pages.not_found import not_found
from opsroom.pages.run import RunState, run
from opsroom.pages.runs import RunsState, runs
from opsroom.pages.sign_in import SignInState, sign_in
from opsroom.room import broadcast
from opsroom.room.attention import Attention
from opsroom.room.server import server

STYLES = (
    "fonts",
    "tokens",
    "base",
    "controls",
    "shell",
    "navigation",
    "command",
    "board",
    "fleet",
    "peek",
    "run",
    "gates",
    "steps",
    "log",
    "artifact",
    "launch",
    "params",
    "plan",
    "words",
    "runs",
)


def beside_the_pages(_: bool) -> rx.Component:
    """What outlives a change of page: the command bar, and what a person is told of."""
    told = notices(needs=Attention.needs, notes=Attention.notes, as_of=Attention.freshness.as_of)
    return rx.fragment(command_bar(), told)


app = rx.App(
    stylesheets=[f"room/{name}.css" for name in STYLES],
    html_lang="en",
    head_components=[rx.el.link(rel="icon", href="/room/mark.svg", type="image/svg+xml")],
    app_wraps={(5, "beside the pages"): beside_the_pages},
    hydrate_fallback=starting,
    toaster=rx.toast.provider(position="bottom-right", visible_toasts=4, offset="16px", rich_colors=False),
    api_transformer=server(),
)
broadcast.bind(app)

app.add_page(board, route="/", title="Board · Ops Control Room", on_load=BoardState.load)
app.add_page(board, route="/sessions/[session]", title="Board · Ops Control Room", on_load=BoardState.load)
app.add_page(launch, route="/sessions/[session]/launch", title="Launch · Ops Control Room", on_load=LaunchState.load)
app.add_page(runs, route="/runs", title="Runs · Ops Control Room", on_load=RunsState.load)
app.add_page(command, route="/command", title="Command · Ops Control Room", on_load=CommandState.load)
app.add_page(run, route="/runs/[run]", title="Run · Ops Control Room", on_load=RunState.load)
app.add_page(approvals, route="/approvals", title="Approvals · Ops Control Room", on_load=ApprovalsState.load)
app.add_page(
    artifact,
    route="/runs/[run]/artifacts/[artifact]",
    title="Artifact · Ops Control Room",
    on_load=ArtifactState.load,
)
app.add_page(sign_in, route="/sign-in", title="Sign in · Ops Control Room", on_load=SignInState.load)
app.add_page(not_found, route="404", title="Not found · Ops Control Room")
